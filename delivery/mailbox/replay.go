package mailbox

import (
	"fmt"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/spool"
)

// replay is the replay function of spool.Open.
func (ap *applier) replay(r *spool.Recovered) error {
	ap.replays = true
	if r.End.Compare(ap.pending) <= 0 {
		return nil
	}
	if r.Kind != record.Kind {
		return fmt.Errorf("%w: record of kind %d", ErrVersion, r.Kind)
	}
	head := r.Payload[:len(r.Payload)-len(r.Body)]
	if err := ap.record(head, &place{gen: r.LSN.Gen, body: r.BodyAt, end: r.End, bodyLen: int64(len(r.Body))}); err != nil {
		return fmt.Errorf("record at %d/%d: %w", r.LSN.Gen, r.LSN.Off, err)
	}
	if ap.batch.Len() >= batchBytes {
		ap.settle()
	}
	if ap.s.dead.Load() {
		return errIndex
	}
	return nil
}

// replayed ends the replay.
func (ap *applier) replayed() error {
	ap.settle()
	ap.replays = false
	if ap.s.dead.Load() {
		return errIndex
	}
	ap.reap = ap.reap[:0]
	return scan(ap.s.db, []byte{rows.PrefixReap}, func(key, _ []byte) (bool, error) {
		a, m := rows.Box(key)
		ap.reap = append(ap.reap, record.Box{Account: a, Mailbox: m})
		return true, nil
	})
}

// readMarks reads how far the index goes.
func (ap *applier) readMarks() error {
	var m rows.Marks
	found, err := get(ap.s.db, []byte{rows.PrefixMarks}, func(v []byte) error { return rows.ParseMarks(v, &m) })
	if err != nil {
		return err
	}
	if !found {
		m.NextAccount = 1
	}
	ap.applied = spool.LSN{Gen: m.Gen, Off: m.Off}
	ap.pending = ap.applied
	ap.s.nextAccount.Store(m.NextAccount)
	return nil
}
