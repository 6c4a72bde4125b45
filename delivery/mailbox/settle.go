package mailbox

import (
	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/rows"
)

// settle puts the batch into the index, shows it to others, and lets the callers
// go on.
func (ap *applier) settle() {
	ap.commit()
	if ap.s.dead.Load() {
		for _, o := range ap.ready {
			ap.refuse(o)
		}
		clear(ap.ready)
		ap.ready = ap.ready[:0]
		return
	}
	for _, a := range ap.accounts {
		ap.show(a)
	}
	for _, a := range ap.accounts {
		a.tell()
		a.touched, a.renamed = false, false
		clear(a.dirty)
		a.dirty = a.dirty[:0]
	}
	for _, m := range ap.boxes {
		m.touched, m.news = false, false
		clear(m.events)
		m.events = m.events[:0]
	}
	clear(ap.accounts)
	clear(ap.boxes)
	ap.accounts, ap.boxes = ap.accounts[:0], ap.boxes[:0]
	for _, blob := range ap.unlink {
		ap.s.removeLarge(blob)
	}
	ap.unlink = ap.unlink[:0]
	for i, o := range ap.ready {
		ap.ready[i] = nil
		ap.release(o)
	}
	ap.ready = ap.ready[:0]
}

// commit puts the batch into the index.
func (ap *applier) commit() {
	if ap.batch == nil || ap.s.dead.Load() {
		return
	}
	b := ap.batch
	for id, blob := range ap.blobs {
		ap.check(ap.writeBlob(b, id, blob))
	}
	clear(ap.blobs)
	for gen, n := range ap.live {
		ap.check(ap.writeLive(b, gen, n))
	}
	clear(ap.live)
	for _, m := range ap.boxes {
		ap.check(ap.writeBox(b, m))
	}
	for _, a := range ap.accounts {
		ap.keyBuf = rows.AccountKey(ap.keyBuf[:0], a.id)
		ap.valBuf = rows.AppendAccount(ap.valBuf[:0], &a.row)
		ap.check(b.Set(ap.keyBuf, ap.valBuf, nil))
	}
	marks := rows.Marks{Gen: ap.pending.Gen, Off: ap.pending.Off, NextAccount: ap.s.nextAccount.Load()}
	ap.valBuf = rows.AppendMarks(ap.valBuf[:0], &marks)
	ap.check(b.Set([]byte{rows.PrefixMarks}, ap.valBuf, nil))
	if ap.s.dead.Load() {
		return
	}
	ap.check(b.Commit(pebble.NoSync))
	ap.check(b.Close())
	ap.batch = nil
	ap.applied = ap.pending
}

// writeBlob writes a blob's row, or removes it with the last that needed it.
func (ap *applier) writeBlob(b *pebble.Batch, id uint64, blob *blobState) error {
	row := &blob.row
	ap.keyBuf = rows.BlobKey(ap.keyBuf[:0], id)
	if row.Refs > 0 || ap.rebuilds { // then what nobody needs goes at the end
		if !blob.had {
			ap.count(row, 1)
		}
		ap.valBuf = rows.AppendBlob(ap.valBuf[:0], row)
		return b.Set(ap.keyBuf, ap.valBuf, nil)
	}
	if row.Large {
		ap.unlink = append(ap.unlink, id)
	}
	if !blob.had {
		return nil
	}
	ap.count(row, -1)
	if err := b.Delete(ap.keyBuf, nil); err != nil {
		return err
	}
	if err := b.Delete(rows.TopKey(ap.keyBuf[:0], id), nil); err != nil {
		return err
	}
	return b.Delete(rows.ItemsKey(ap.keyBuf[:0], id), nil)
}

// writeLive adds to what lives in a generation.
func (ap *applier) writeLive(b *pebble.Batch, gen uint64, n int64) error {
	have, err := ap.s.liveBytes(ap.keyBuf[:0], gen)
	if err != nil || n == 0 {
		return err
	}
	return b.Set(rows.LiveKey(ap.keyBuf[:0], gen), rows.AppendCount(ap.valBuf[:0], have+n), nil)
}

// liveBytes returns how many bytes of texts in a generation are still needed. scratch is
// room for a key.
func (s *Store) liveBytes(scratch []byte, gen uint64) (n int64, err error) {
	_, err = get(s.db, rows.LiveKey(scratch, gen), func(v []byte) (err error) {
		n, err = rows.ParseCount(v)
		return err
	})
	return n, err
}

// writeBox writes a mailbox's counters and keywords.
func (ap *applier) writeBox(b *pebble.Batch, m *Mailbox) error {
	if m.row.Deleted {
		return nil
	}
	if m.wordsChange {
		m.wordsChange = false
		if err := b.Set(rows.KeywordsKey(nil, m.a.id, m.id), rows.AppendNames(nil, 0, m.words), nil); err != nil {
			return err
		}
	}
	ap.keyBuf = rows.StatusKey(ap.keyBuf[:0], m.a.id, m.id)
	ap.valBuf = rows.AppendStatus(ap.valBuf[:0], &m.counts)
	return b.Set(ap.keyBuf, ap.valBuf, nil)
}

// show lets others see what the batch has done to an account.
func (ap *applier) show(a *Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.setRow(&a.row)
	a.reserveLocked(reservation{-a.ended.bytes, -a.ended.messages})
	a.ended = reservation{}
	for _, m := range a.dirty {
		m.showLocked()
		m.takeEventsLocked(m.events)
	}
	if a.renamed {
		a.index()
		a.subs, a.subsVersion, a.notes = a.subsRow.names, a.subsRow.version, a.notesRow
	}
	switch {
	case a.row.Deleted:
		ap.s.accounts.remove(a)
		delete(ap.fresh, a.id)
	case a.brandNew:
		a.brandNew, a.shown = false, true
		delete(ap.fresh, a.id)
	}
}
