package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
	"postrider/queue/internal/table"
)

// ActionResult says what became of an operator's action, in recipients.
// Matched = Done + Skipped + Pending.
type ActionResult struct {
	Matched int
	Done    int
	Skipped int // ended or changed by themselves
	Pending int // in flight when ctx ended, and let be
	Items   []ActionItem
}

// ActionItem is one recipient of an ActionResult.
type ActionItem struct {
	ID        mail.ID
	Recipient int // index in the envelope
	Version   uint32
	State     State // in which it is now
	Done      bool
}

// maxActions bounds the actions whose sync is awaited at one time.
const maxActions = 4096

// dropCall is a Drop under way.
type dropCall struct {
	ended func(id mail.ID, recipient int) // may be nil

	mu      sync.Mutex // guards following
	items   []ActionItem
	settled []bool
	writing int           // actions that are not synced
	flying  int           // recipients in flight
	err     error         // the first
	changed chan struct{} // closed and replaced when a count falls
}

// dropRef is one recipient that a Drop waits for.
type dropRef struct {
	call  *dropCall
	item  int
	state State
	fly   bool
	tells bool // of several calls that want the same recipient dropped, one does
}

// tell hands the event of a recipient that was dropped out.
func (d *dropRef) tell(id mail.ID) {
	if !d.tells || d.state != Dropped || d.call.ended == nil {
		return
	}
	d.call.mu.Lock()
	rcpt := d.call.items[d.item].Recipient
	d.call.mu.Unlock()
	d.call.ended(id, rcpt)
}

// finish says how a recipient ended and that this is synced, or err.
func (c *dropCall) finish(d dropRef, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it := &c.items[d.item]
	it.State, it.Done = d.state, err == nil && d.state == Dropped
	c.settled[d.item] = err == nil
	if d.fly {
		c.flying--
	} else {
		c.writing--
	}
	if c.err == nil {
		c.err = err
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait returns when at most writing actions are not synced and, if fly, nothing
// is in flight; or at the end of ctx.
func (c *dropCall) wait(ctx context.Context, writing int, fly bool) {
	for {
		c.mu.Lock()
		ch := c.changed
		done := c.writing <= writing && (!fly || c.flying == 0) || c.err != nil
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return
		}
	}
}

// Drop ends the recipients that f chooses, for an operator; reason is recorded.
// It returns when that is synced. A recipient in flight is dropped when its
// attempt ends, unless the outcome is its end: then the outcome wins, and it is
// counted as skipped. The end of ctx ends the waiting for those, which are then let
// be, so that whatever is dropped stands in the result.
//
// ended, when not nil, is called once for each recipient that was dropped, after the
// sync and before any mark of LogMark passes it: whoever writes an event log writes
// the line there. It is called on the spool's goroutine, also after Drop has
// returned when that was the end of ctx, and must not call the queue.
func (q *Queue) Drop(ctx context.Context, f Filter, reason string, ended func(id mail.ID, recipient int)) (ActionResult, error) {
	select {
	case <-q.loaded: // before, not every recipient has its slot
	case <-ctx.Done():
		return ActionResult{}, ctx.Err()
	case <-q.stop:
		return ActionResult{}, ErrClosed
	}
	c := &dropCall{ended: ended, changed: make(chan struct{})}
	err := q.List(ctx, f, func(it *Item) bool {
		q.dropItem(c, it, reason)
		c.wait(ctx, maxActions, false)
		return c.failed() == nil
	})
	c.wait(ctx, 0, true)
	q.letBe(c)
	c.wait(context.WithoutCancel(ctx), 0, true) // what is being written is dropped
	if err == nil {
		err = c.failed()
	}
	return c.result(), err
}

// letBe takes back what c asked of recipients that are still in flight.
func (q *Queue) letBe(c *dropCall) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, refs := range q.drops {
		kept := slices.DeleteFunc(refs, func(d dropRef) bool {
			if d.call == c {
				c.flown()
			}
			return d.call == c
		})
		if len(kept) > 0 {
			q.drops[i] = kept
			continue
		}
		delete(q.drops, i)
		q.tb.At(i).Set(table.DropPending, false)
	}
}

// flown counts a recipient out that is let be.
func (c *dropCall) flown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying--
}

func (c *dropCall) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *dropCall) result() ActionResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := ActionResult{Matched: len(c.items), Items: slices.Clone(c.items)}
	for k := range r.Items {
		switch {
		case r.Items[k].Done:
			r.Done++
		case c.settled[k]:
			r.Skipped++
		default:
			r.Pending++
		}
	}
	return r
}

// add enters a recipient; the caller holds Queue.mu.
func (c *dropCall) add(id mail.ID, s *table.Slot, fly bool) dropRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, ActionItem{ID: id, Recipient: int(s.Rcpt), Version: s.Version + 1, State: State(s.State())})
	c.settled = append(c.settled, false)
	if fly {
		c.flying++
	} else {
		c.writing++
	}
	return dropRef{call: c, item: len(c.items) - 1, state: Dropped, fly: fly, tells: true}
}

// dropItem drops the recipients of one message that a listing chose, as far as
// they still are as it saw them.
func (q *Queue) dropItem(c *dropCall, it *Item, reason string) {
	id := it.Envelope.ID
	status := droppedStatus
	if reason != "" {
		status.Text = []byte(reason)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	i := q.index.Find(q.tb, id)
	if i == 0 {
		return // ended since it was listed
	}
	var e *entry
	if s := q.tb.At(i); s.Has(table.Hot) {
		e = q.hot[s.Link]
	}
	st := q.newSettlement(id)
	st.action.Reason = append(st.action.Reason[:0], reason...)
	last := uint32(0)
	for _, k := range q.slotsLocked(i, e) {
		s := q.tb.At(k)
		w := slices.IndexFunc(it.Recipients, func(r RecipientState) bool { return r.Index == int(s.Rcpt) })
		switch {
		case w < 0:
		case State(s.State()) == InFlight:
			s.Set(table.DropPending, true)
			q.drops[k] = append(q.drops[k], c.add(id, s, true))
		case s.Version == it.Recipients[w].Version:
			st.drops = append(st.drops, c.add(id, s, false))
			q.unscheduleLocked(k)
			q.changeLocked(st, e, k, Dropped, q.base, status, nil)
			last = k
		}
	}
	if last == 0 {
		q.settlements.Put(st)
		return
	}
	q.reapLocked(e, last)
	q.wholeLocked(e, last, true)
	if e != nil {
		st.e = e
		e.writes++
	}
	st.append(record.KindAction, false)
}

// slotsLocked returns the slots of the message of slot i, in scratch memory.
func (q *Queue) slotsLocked(i uint32, e *entry) []uint32 {
	q.slotScratch = q.slotScratch[:0]
	if e != nil {
		q.slotScratch = append(q.slotScratch, e.slots...)
		return q.slotScratch
	}
	for k := i; ; {
		q.slotScratch = append(q.slotScratch, k)
		if k = q.tb.At(k).Link; k == i {
			return q.slotScratch
		}
	}
}

// settleDropLocked lets the settlement tell those who wanted slot i dropped.
func (q *Queue) settleDropLocked(st *settlement, i uint32, state State) {
	for k, d := range q.drops[i] {
		d.state, d.tells = state, k == 0
		st.drops = append(st.drops, d)
	}
	delete(q.drops, i)
}

// holdGaps holds the messages that a salvage found damage near: an operator
// decides about them.
func (q *Queue) holdGaps() {
	status := mail.NewStatus(451, 4, 3, 0, "the log was damaged near this message")
	for _, g := range q.sp.Recovery().Gaps {
		q.alarm("damage", fmt.Errorf("%w: generation %d, bytes %d to %d", ErrDamaged, g.Gen, g.From, g.To))
		for _, id := range g.IDs {
			q.hold(id, status)
		}
	}
}

func (q *Queue) hold(id mail.ID, status mail.Status) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.index.Find(q.tb, id)
	if i == 0 || q.closed {
		return
	}
	var e *entry
	if s := q.tb.At(i); s.Has(table.Hot) {
		e = q.hot[s.Link]
	}
	st := q.newSettlement(id)
	for _, k := range q.slotsLocked(i, e) {
		if State(q.tb.At(k).State()) != InFlight {
			q.unscheduleLocked(k)
			q.changeLocked(st, e, k, Held, q.base, status, nil)
		}
	}
	if len(st.settle.Changes) == 0 {
		q.settlements.Put(st)
		return
	}
	if e != nil {
		st.e = e
		e.writes++
	}
	st.append(record.KindAction, false)
}
