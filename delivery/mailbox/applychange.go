package mailbox

import (
	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// change gives a message other flags.
func (ap *applier) change(m *Mailbox, uid uint32, row *rows.Entry, flags uint32, more, modSeq uint64) error {
	ap.touchBox(m)
	m.count(row, -1)
	row.Flags, row.More, row.ModSeq = flags, more, modSeq
	m.count(row, 1)
	m.counts.HighestModSeq = max(m.counts.HighestModSeq, modSeq)
	m.event(Changed, uid, row)
	return ap.setEntry(m, uid, row)
}

// entries calls f for the messages of a run that are in the index.
func (ap *applier) entries(m *Mailbox, r *record.Run, f func(uid uint32, row *rows.Entry) error) error {
	return scanEntries(ap.s.db, m, r.From, r.To, func(uid uint32, v []byte) (bool, error) {
		var row rows.Entry
		if err := rows.ParseEntry(v, &row); err != nil {
			return false, err
		}
		return true, f(uid, &row)
	})
}

// scanEntries calls f for the rows of messages from one UID to another, both
// included.
func scanEntries(r pebble.Reader, m *Mailbox, from, to uint32, f func(uid uint32, value []byte) (bool, error)) error {
	low := rows.EntryKey(nil, m.a.id, m.id, from)
	high := append(rows.EntryKey(nil, m.a.id, m.id, to), 0)
	return scanBetween(r, low, high, func(key, v []byte) (bool, error) { return f(rows.UID(key), v) })
}

func (ap *applier) applyFlags(p *record.Part) error {
	m, err := ap.mailbox(p.Box)
	if m == nil || err != nil {
		return err
	}
	modSeq := p.ModSeq
	var run record.Run
	for p.Runs.Next(&run) {
		err := ap.entries(m, &run, func(uid uint32, row *rows.Entry) error {
			if row.ModSeq >= modSeq {
				return nil
			}
			return ap.change(m, uid, row, run.Flags, run.More, modSeq)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (ap *applier) applyExpunge(p *record.Part) error {
	m, err := ap.mailbox(p.Box)
	if m == nil || err != nil {
		return err
	}
	if ap.reader.Copied && !ap.rebuilds {
		return nil // it has taken effect
	}
	ap.touchBox(m)
	vanished := []byte{rows.Version}
	var run record.Run
	for p.Runs.Next(&run) {
		vanished = rows.AppendRange(vanished, run.From, run.To)
		err := ap.entries(m, &run, func(uid uint32, row *rows.Entry) error {
			m.count(row, -1)
			m.event(Expunged, uid, row)
			return ap.drop(m.box(), uid, row)
		})
		if err != nil {
			return err
		}
	}
	c := &m.counts
	c.HighestModSeq = max(c.HighestModSeq, p.ModSeq)
	if p.ModSeq <= c.Floor {
		return nil
	}
	key := rows.VanishedKey(nil, m.a.id, m.id, p.ModSeq)
	if ap.rebuilds {
		if known, err := get(ap.s.db, key, func([]byte) error { return nil }); known || err != nil {
			return err
		}
	}
	if err := ap.batch.Set(key, vanished, nil); err != nil {
		return err
	}
	if c.Vanished++; c.Vanished > 2*int64(ap.s.o.Vanished) {
		return ap.trim(m)
	}
	return nil
}

// trim forgets the older half of the expunges that a mailbox remembers.
func (ap *applier) trim(m *Mailbox) error {
	n := m.counts.Vanished - int64(ap.s.o.Vanished)
	return scan(ap.s.db, rows.VanishedKey(nil, m.a.id, m.id, 0)[:9], func(key, _ []byte) (bool, error) {
		m.counts.Floor = rows.VanishedModSeq(key)
		m.counts.Vanished--
		n--
		return n > 0, ap.batch.Delete(key, nil)
	})
}

// drop removes the rows of a message, and its text with the last that needs it.
func (ap *applier) drop(box record.Box, uid uint32, row *rows.Entry) error {
	ap.keyBuf = rows.EntryKey(ap.keyBuf[:0], box.Account, box.Mailbox, uid)
	if err := ap.batch.Delete(ap.keyBuf, nil); err != nil {
		return err
	}
	if row.PrefixLen > 0 || row.HasUIDL {
		ap.keyBuf = rows.HeadKey(ap.keyBuf[:0], box.Account, box.Mailbox, uid)
		if err := ap.batch.Delete(ap.keyBuf, nil); err != nil {
			return err
		}
	}
	b, err := ap.blob(row.Blob)
	if err != nil {
		return err
	}
	if b.row.Refs > 0 {
		b.row.Refs--
	}
	return nil
}
