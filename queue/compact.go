package queue

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/queue/internal/cold"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
)

// coldText is a text that was copied to a cold segment.
type coldText struct {
	segment uint32
	size    int64
}

// compact unlinks cold segments that are dead, and copies what lives in one that
// is more than half dead to the current one.
func (w *worker) compact() error {
	if !w.q.keepFiles.TryLock() {
		return nil // a backup is being made
	}
	defer w.q.keepFiles.Unlock()
	n, live, ok := w.st.cold.Dead()
	if !ok {
		return nil
	}
	b := w.st.db.NewIndexedBatch()
	w.copied = w.copied[:0]
	if live > 0 {
		err := w.st.cold.Walk(n, func(id mail.ID, off int64, text []byte, crc uint32) error {
			return w.copyText(b, id, rows.Location{Segment: n, Offset: off}, text, crc)
		})
		if errors.Is(err, cold.ErrDamaged) {
			// What cannot be read stays where it is; its readers will say so.
			w.q.alarm("damage", err)
			w.st.cold.Keep(n)
			for _, k := range w.copied { // no row says that they are there
				w.st.cold.Kill(k.segment, k.size)
			}
			return b.Close()
		}
		if err == nil {
			err = w.st.cold.Sync()
		}
		if err != nil {
			return errors.Join(err, b.Close())
		}
	}
	if err := b.Delete(rows.Cold(w.key[:0], n), nil); err != nil {
		return errors.Join(fmt.Errorf("compact: %w", err), b.Close())
	}
	delete(w.touched, n)
	if err := w.commit(b, w.written); err != nil {
		return err
	}
	// The rows must say where the texts are now before the old file goes.
	if err := w.sync(); err != nil {
		return err
	}
	return w.st.cold.Remove(n)
}

// copyText copies a text to the current segment, if its row still says that it
// is at loc.
func (w *worker) copyText(b *pebble.Batch, id mail.ID, at rows.Location, text []byte, crc uint32) error {
	loc, err := w.st.messageIn(b, id, &w.key, &w.msgRow, &w.msg)
	if errors.Is(err, pebble.ErrNotFound) || err == nil && loc != at {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: row of %v: %w", cold.ErrDamaged, id, err)
	}
	if loc.Segment, loc.Offset, err = w.st.cold.Append(id, text, crc); err != nil {
		return err
	}
	w.copied = append(w.copied, coldText{loc.Segment, int64(len(text))})
	w.touched[loc.Segment] = struct{}{}
	w.idx = rows.AppendLocation(w.idx[:0], loc)
	w.val = record.AppendMessageHead(w.val[:0], &w.msg.Envelope, record.BodyRef{
		Size: w.msg.Body.Size, CRC: w.msg.Body.CRC, Large: w.idx,
	})
	if err := b.Set(w.key, w.val, nil); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}
