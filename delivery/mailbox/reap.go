package mailbox

import (
	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// reapChunk is how many messages of a deleted mailbox go at once.
const reapChunk = 512

// reapSome removes messages of deleted mailboxes. It is done between the batches of
// others, and changes nothing that anybody sees; what a crash undoes of it is done
// again.
func (ap *applier) reapSome(idle bool) {
	if ap.turns++; len(ap.reap) == 0 || !idle && ap.turns%8 != 0 || ap.s.dead.Load() {
		return
	}
	box := ap.reap[0]
	ap.batch = ap.s.db.NewBatch()
	n := 0
	from := rows.EntryKey(nil, box.Account, box.Mailbox, 0)[:9]
	ap.check(scan(ap.s.db, from, func(key, v []byte) (bool, error) {
		var row rows.Entry
		if err := rows.ParseEntry(v, &row); err != nil {
			return false, err
		}
		n++
		return n < reapChunk, ap.drop(box, rows.UID(key), &row)
	}))
	if n < reapChunk {
		ap.check(ap.reaped(box))
		if a, err := ap.account(box.Account); err == nil && a != nil {
			delete(a.boxes, box.Mailbox)
		}
		ap.reap = append(ap.reap[:0], ap.reap[1:]...)
	}
	ap.settle()
}

// reaped removes the last rows of a deleted mailbox.
func (ap *applier) reaped(box record.Box) error {
	for _, from := range [][]byte{
		rows.VanishedKey(nil, box.Account, box.Mailbox, 0)[:9], rows.KeywordsKey(nil, box.Account, box.Mailbox),
		rows.MetadataKey(nil, box.Account, box.Mailbox),
		rows.StatusKey(nil, box.Account, box.Mailbox), rows.ReapKey(nil, box.Account, box.Mailbox), rows.MailboxKey(nil, box.Account, box.Mailbox),
	} {
		to := rows.After(append([]byte(nil), from...))
		if err := scanBetween(ap.s.db, from, to, func(key, _ []byte) (bool, error) { return true, ap.batch.Delete(key, nil) }); err != nil {
			return err
		}
	}
	return nil
}
