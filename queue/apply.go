package queue

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
)

const (
	// housekeeping is how often the worker looks at disk and segments when
	// nothing kicks it.
	housekeeping = 250 * time.Millisecond
	// maxApplies bounds the settlements that wait for Pebble: above it no moved
	// message is leased, so no more can come.
	maxApplies = 1 << 16
)

// worker is the goroutine that alone writes to Pebble and the cold segments.
// Its fields are its own.
type worker struct {
	q     *Queue
	st    *store
	batch []*settlement
	dead  []mail.ID // large files whose message has ended

	touched map[uint32]struct{} // cold segments whose counters changed
	key     []byte
	idx     []byte
	row     []byte
	val     []byte
	msgRow  []byte
	msg     record.Message
	rcpt    rows.Recipient
	movers  []mover
	copied  []coldText
	text    []byte
	head    []byte

	written spool.LSN // applied, as of the last batch
	dirty   bool      // it, or one before, is not synced
}

func (q *Queue) kickWorker() {
	select {
	case q.workKick <- struct{}{}:
	default:
	}
}

// runWorker applies, moves and recycles until stop or an error.
func (q *Queue) runWorker(w *worker) {
	defer q.running.Done()
	if err := q.guard(func() error { return w.run() }); err != nil {
		q.failRows(err)
	}
}

func (w *worker) run() error {
	q := w.q
	timer := time.NewTicker(housekeeping)
	defer timer.Stop()
	for {
		q.lookAtDisk()
		q.appendRefused()
		if err := w.work(); err != nil {
			return err
		}
		select {
		case <-q.stop:
			return nil
		case <-q.workKick:
		case <-timer.C:
		}
	}
}

// work does everything there is to do.
func (w *worker) work() error {
	for {
		if err := w.apply(); err != nil {
			return err
		}
		moved, err := w.move()
		if err != nil {
			return err
		}
		if err := w.recycle(); err != nil {
			return err
		}
		if err := w.compact(); err != nil {
			return err
		}
		w.q.feed()
		if moved == 0 {
			return nil
		}
		select {
		case <-w.q.stop:
			return nil
		default:
		}
	}
}

// apply writes the settlements of moved messages that are synced to Pebble, in
// the order of the log, together with the place up to which that is so.
func (w *worker) apply() error {
	q := w.q
	q.mu.Lock()
	w.batch, q.applies = q.applies, w.batch[:0]
	w.dead, q.unlinks = q.unlinks, w.dead[:0]
	applied := q.committed
	q.mu.Unlock()
	if q.behind.Swap(false) {
		defer q.wakeAll()
	}
	defer func() { clear(w.batch) }()
	if len(w.batch) > 0 || applied.Gen > w.written.Gen {
		b := w.st.db.NewIndexedBatch()
		for _, st := range w.batch {
			if err := w.applyChanges(b, st.settle.ID, st.settle.Changes); err != nil {
				return errors.Join(err, b.Close())
			}
		}
		if err := w.commit(b, applied); err != nil {
			return err
		}
		for _, st := range w.batch {
			q.recycle(st)
		}
	}
	if len(w.dead) > 0 && !q.keepFiles.TryLock() { // a backup is being made
		q.mu.Lock()
		q.unlinks = append(q.unlinks, w.dead...)
		q.mu.Unlock()
		w.dead = w.dead[:0]
	} else if len(w.dead) > 0 {
		defer q.keepFiles.Unlock()
	}
	for _, id := range w.dead {
		// An orphan that stays is swept at the next start.
		if err := w.st.fs.Remove(q.largePath(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
			q.alarm("large", err)
		}
	}
	return nil
}

// wakeAll wakes a waiter for each lane with ready jobs, after moved messages could
// not be leased for a while.
func (q *Queue) wakeAll() {
	var told notices
	q.mu.Lock()
	for _, l := range q.lanes {
		n := 0
		for n < l.ready && l.wakeLocked() {
			n++
		}
		if n < l.ready {
			told.add(l)
		}
	}
	q.mu.Unlock()
	q.tell(&told)
}

// commit writes a batch with the counters of the cold segments it touched and
// the applied place, without a sync.
func (w *worker) commit(b *pebble.Batch, applied spool.LSN) error {
	for n := range w.touched {
		w.key = rows.Cold(w.key[:0], n)
		if total, dead, ok := w.st.cold.Counters(n); ok {
			w.val = rows.AppendCounters(w.val[:0], total, dead)
			if err := b.Set(w.key, w.val, nil); err != nil {
				return fmt.Errorf("count cold segment: %w", err)
			}
		}
	}
	clear(w.touched)
	w.val = rows.AppendApplied(w.val[:0], applied.Gen, applied.Off)
	if err := b.Set([]byte{rows.PrefixApplied}, w.val, nil); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	w.written, w.dirty = applied, true
	return b.Close()
}

// applyChanges folds changes of one message into its rows: the higher version
// wins, and what has no row has ended.
func (w *worker) applyChanges(b *pebble.Batch, id mail.ID, changes []record.Change) error {
	ended := false
	for k := range changes {
		ch := &changes[k]
		w.key = rows.RecipientKey(w.key[:0], id, ch.Recipient)
		found, err := rowOf(b, w.key, &w.row, &w.rcpt)
		if err != nil {
			// One damaged block must not stop the others. An end is recorded by
			// the row's deletion, whatever it says; its index rows are checked
			// by whoever reads them.
			w.q.alarm("damage", fmt.Errorf("recipient %d of %v: %w", ch.Recipient, id, err))
			if State(ch.State).Terminal() {
				if err := b.Delete(w.key, nil); err != nil {
					return fmt.Errorf("apply: %w", err)
				}
				ended = true
			}
			continue
		}
		if !found || ch.Version <= w.rcpt.Version {
			continue
		}
		if err := w.changeRow(b, id, ch); err != nil {
			return err
		}
		ended = ended || State(ch.State).Terminal()
	}
	if ended {
		return w.endMessage(b, id)
	}
	return nil
}

// changeRow replaces or deletes the recipient's row that w.key and w.rcpt hold.
func (w *worker) changeRow(b *pebble.Batch, id mail.ID, ch *record.Change) error {
	r := &w.rcpt
	ended := State(ch.State).Terminal()
	if ch.Code == 0 && len(ch.Text) == 0 { // without a reply of its own the last one stands
		ch.Code, ch.Enhanced, ch.Text = r.Code, r.Enhanced, r.Text
	}
	if r.Code != ch.Code || r.Enhanced != ch.Enhanced || ended {
		if err := b.Delete(w.reasonKey(id, ch.Recipient), nil); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
	}
	if ended {
		w.idx = rows.WithRecipient(rows.DomainPrefix(w.idx[:0], r.Domain), id, ch.Recipient)
		if err := errors.Join(b.Delete(w.idx, nil), b.Delete(w.key, nil)); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		return nil
	}
	r.State, r.Flags, r.Version, r.Attempts, r.DueUnixMilli = ch.State, ch.Flags, ch.Version, ch.Attempts, ch.DueUnixMilli
	r.Code, r.Enhanced, r.Text = ch.Code, ch.Enhanced, ch.Text
	return w.setRow(b, id, ch.Recipient)
}

// setRow writes w.rcpt and its reason's index row.
func (w *worker) setRow(b *pebble.Batch, id mail.ID, rcpt uint32) error {
	w.key = rows.RecipientKey(w.key[:0], id, rcpt)
	w.val = rows.AppendRecipient(w.val[:0], &w.rcpt)
	if err := errors.Join(b.Set(w.key, w.val, nil), b.Set(w.reasonKey(id, rcpt), nil, nil)); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

func (w *worker) reasonKey(id mail.ID, rcpt uint32) []byte {
	w.idx = rows.ReasonPrefix(w.idx[:0], w.rcpt.Code, w.rcpt.Enhanced)
	w.idx = rows.WithRecipient(w.idx, id, rcpt)
	return w.idx
}

// endMessage removes the rows of a message when no recipient's row is left.
func (w *worker) endMessage(b *pebble.Batch, id mail.ID) error {
	loc, err := w.st.messageIn(b, id, &w.key, &w.msgRow, &w.msg)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	damaged := err != nil
	if damaged {
		w.q.alarm("damage", fmt.Errorf("message %v: %w", id, err))
	}
	if damaged || len(w.msg.Envelope.Recipients) > 1 {
		left, err := w.anyRow(b, id)
		if err != nil || left {
			return err
		}
	}
	if damaged { // where its text is cannot be known any more
		if err := b.Delete(rows.Message(nil, id), nil); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		return nil
	}
	w.idx = rows.WithID(rows.SenderPrefix(w.idx[:0], w.msg.Envelope.Sender), id)
	if err := errors.Join(b.Delete(w.key, nil), b.Delete(w.idx, nil)); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	if loc.Large {
		w.dead = append(w.dead, id)
		w.q.movedLarge.Add(-w.msg.Body.Size)
		return nil
	}
	w.st.cold.Kill(loc.Segment, w.msg.Body.Size)
	w.touched[loc.Segment] = struct{}{}
	return nil
}

// anyRow reports whether a recipient of the message has a row. What cannot be
// read counts as one.
func (w *worker) anyRow(b *pebble.Batch, id mail.ID) (bool, error) {
	w.idx = rows.Recipients(w.idx[:0], id)
	it, err := b.NewIter(&pebble.IterOptions{LowerBound: w.idx, UpperBound: rows.After(nil, w.idx)})
	if err != nil {
		return false, fmt.Errorf("look for recipients: %w", err)
	}
	any := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		w.q.alarm("damage", fmt.Errorf("recipients of %v: %w", id, err))
		return true, nil
	}
	return any, nil
}

// recycle gives up generations that nobody needs: all their messages have ended,
// synced, or have moved; Pebble holds, synced, what they did; and the event log
// is durable past them. The spool itself waits for readers.
func (w *worker) recycle() error {
	q := w.q
	if !q.keepFiles.TryLock() {
		return nil // a backup is being made
	}
	defer q.keepFiles.Unlock()
	low := q.sp.Low()
	to := low
	q.mu.Lock()
	limit := min(q.sp.Current(), q.logged.Gen, w.written.Gen)
	for to < limit && q.genEmptyLocked(to) {
		to++
	}
	q.mu.Unlock()
	if to == low {
		return nil
	}
	if w.dirty {
		if err := w.sync(); err != nil {
			return err
		}
	}
	q.mu.Lock()
	for q.genLow < to && len(q.gens) > 0 {
		q.gens[0] = nil
		q.gens = q.gens[1:]
		q.genLow++
	}
	q.genLow = max(q.genLow, to)
	q.mu.Unlock()
	q.sp.Advance(to)
	return nil
}

// sync makes all that was written to Pebble durable.
func (w *worker) sync() error {
	if err := w.st.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync rows: %w", err)
	}
	w.dirty = false
	return nil
}

func (q *Queue) genEmptyLocked(g uint64) bool {
	if g < q.genLow || g-q.genLow >= uint64(len(q.gens)) {
		return true
	}
	return q.gens[g-q.genLow].entries.n == 0
}
