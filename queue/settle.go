package queue

import (
	"errors"
	"fmt"
	"time"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/internal/spool/frame"
	"postrider/queue/internal/record"
)

// droppedStatus is the reason of a recipient that an operator dropped.
//
// It is a constant in all but name: nothing writes to it.
var droppedStatus = mail.NewStatus(550, 5, 7, 0, "dropped by the operator")

// bouncedStatus is the reason of a recipient that an operator bounced, likewise.
var bouncedStatus = mail.NewStatus(550, 5, 7, 0, "returned by the operator")

// settlement is a SETTLE or ACTION record on its way to the spool and, when the
// message has moved, to Pebble.
type settlement struct {
	q      *Queue
	e      *entry // the hot message, held by entry.writes; nil when it had moved
	settle record.Settle
	action record.Action
	text   []byte
	head   []byte
	w      spool.Write
	drops  []actionRef // whom to tell when it is synced or has failed
	notice *Draft      // the message that comes into being with it; nil: none
	last   bool        // no recipient of the message is left when it is synced
}

func (q *Queue) newSettlement(id mail.ID) *settlement {
	st, _ := q.settlements.Get().(*settlement)
	if st == nil {
		st = &settlement{q: q}
	}
	st.settle.ID = id
	st.settle.Changes = st.settle.Changes[:0]
	st.action.Changes = st.action.Changes[:0]
	st.text, st.e, st.drops, st.notice = st.text[:0], nil, nil, nil
	st.settle.Embedded, st.last = nil, false
	return st
}

// add appends a change; text is copied.
func (st *settlement) add(ch record.Change, due time.Time, text []byte) {
	if State(ch.State) == Deferred {
		ch.DueUnixMilli = due.UnixMilli()
	}
	n := len(st.text)
	st.text = append(st.text, text...)
	ch.Text = st.text[n:len(st.text):len(st.text)]
	st.settle.Changes = append(st.settle.Changes, ch)
}

// append encodes the record and hands it to the spool. Queue.mu is held.
func (st *settlement) append(kind frame.Kind, lazy bool) {
	st.q.unsynced += int64(len(st.settle.Changes))
	if kind == record.KindAction {
		st.action.ID = st.settle.ID
		for _, ch := range st.settle.Changes {
			st.action.Changes = append(st.action.Changes, record.ActionChange{Change: ch, Expected: ch.Version - 1})
		}
		st.head = record.AppendAction(st.head[:0], &st.action)
	} else {
		if d := st.notice; d != nil {
			st.settle.Embedded = d.head
		}
		st.head = record.AppendSettle(st.head[:0], &st.settle)
	}
	st.w = spool.Write{Kind: kind, ID: st.settle.ID, Head: st.head, Lazy: lazy, Committer: st}
	if d := st.notice; d != nil {
		d.appended = true
		st.w.Body, st.w.BodyCRC, st.w.BodySummed = d.buf.B, d.sum, true
	}
	st.q.sp.Append(&st.w)
}

// Committed implements spool.Committer: the record is synced, or never will be; or it
// finds no room, and is written when it does.
func (st *settlement) Committed(w *spool.Write) {
	q := st.q
	if errors.Is(w.Err, spool.ErrFull) {
		q.mu.Lock()
		q.refused = append(q.refused, st)
		q.mu.Unlock()
		return
	}
	notice := st.notice
	st.notice, st.settle.Embedded = nil, nil
	if w.Err != nil {
		// The spool has told of it by Fatal, or is closed: nothing goes on.
		for _, d := range st.drops {
			d.call.finish(d, ErrClosed)
		}
		if notice != nil {
			notice.finish(w.Err)
		}
		return
	}
	for k := range st.drops {
		st.drops[k].tell(st.settle.ID)
	}
	if st.last && q.o.Ended != nil {
		q.o.Ended(st.settle.ID)
	}
	if notice != nil {
		q.accept(notice, w)
		notice.finish(nil)
	}
	q.mu.Lock()
	q.committed = w.End
	q.unsynced -= int64(len(st.settle.Changes))
	e := st.e
	keep := true
	if e != nil {
		e.writes--
		keep = e.moving || e.detached
		if !keep && len(e.slots) == 0 && e.writes == 0 {
			if e.large {
				q.unlinks = append(q.unlinks, e.id)
				q.kickWorker()
			}
			q.detachLocked(e)
		} else {
			q.disposeLocked(e)
		}
	}
	if keep {
		st.e = nil
		q.applies = append(q.applies, st)
		if len(q.applies) >= maxApplies {
			q.behind.Store(true)
		}
		q.kickWorker()
	}
	drops := st.drops // st is the worker's after the lock, if it is kept
	q.mu.Unlock()
	if !keep {
		q.recycle(st)
	}
	for _, d := range drops {
		d.call.finish(d, nil)
	}
}

// maxSettlementBytes is the most memory that a pooled settlement holds on to.
const maxSettlementBytes = 64 << 10

// recycle gives a settlement back to the pool.
func (q *Queue) recycle(st *settlement) {
	if cap(st.text)+cap(st.head)+96*cap(st.settle.Changes) > maxSettlementBytes {
		return
	}
	st.w = spool.Write{}
	q.settlements.Put(st)
}

// appendRefused tries those settlements again that have found no room in the spool.
func (q *Queue) appendRefused() {
	q.mu.Lock()
	refused := q.refused
	q.refused = nil
	q.mu.Unlock()
	if len(refused) > 0 {
		q.alarm("disk", fmt.Errorf("%w: %d settlements wait for a segment", ErrFull, len(refused)))
	}
	for _, st := range refused {
		q.sp.Append(&st.w)
	}
}
