package queue

import (
	"context"
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

// action is what an operator wants of recipients.
type action struct {
	to     State
	from   []State
	flies  bool        // of those in flight, too: when their lease ends
	status mail.Status // the reply that is given to it; zero: the last one stands
	reason string
	done   func(id mail.ID, recipient int) // may be nil
}

// has reports whether the action is for a recipient in such a state.
func (a *action) has(st State) bool { return slices.Contains(a.from, st) }

// actionCall is an action under way.
type actionCall struct {
	action

	mu      sync.Mutex // guards following
	items   []ActionItem
	settled []bool
	writing int           // actions that are not synced
	flying  int           // recipients in flight
	err     error         // the first
	changed chan struct{} // closed and replaced when a count falls
}

// actionRef is one recipient that an action waits for.
type actionRef struct {
	call  *actionCall
	item  int
	state State
	fly   bool
	tells bool // of several calls that want the same of a recipient, one does
}

// tell hands the event of a recipient out.
func (d *actionRef) tell(id mail.ID) {
	if !d.tells || d.state != d.call.to || d.call.done == nil {
		return
	}
	d.call.mu.Lock()
	rcpt := d.call.items[d.item].Recipient
	d.call.mu.Unlock()
	d.call.done(id, rcpt)
}

// finish says how a recipient ended and that this is synced, or err.
func (c *actionCall) finish(d actionRef, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it := &c.items[d.item]
	it.State, it.Done = d.state, err == nil && d.state == d.call.to
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
func (c *actionCall) wait(ctx context.Context, writing int, fly bool) {
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

// letBe takes back what c asked of recipients that are still in flight.
func (q *Queue) letBe(c *actionCall) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, refs := range q.drops {
		kept := slices.DeleteFunc(refs, func(d actionRef) bool {
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
func (c *actionCall) flown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying--
}

func (c *actionCall) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *actionCall) result() ActionResult {
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
func (c *actionCall) add(id mail.ID, s *table.Slot, fly bool) actionRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, ActionItem{ID: id, Recipient: int(s.Rcpt), Version: s.Version + 1, State: State(s.State())})
	c.settled = append(c.settled, false)
	if fly {
		c.flying++
	} else {
		c.writing++
	}
	return actionRef{call: c, item: len(c.items) - 1, state: c.to, fly: fly, tells: true}
}

// actItem does the action to the recipients of one message that a listing chose, as
// far as they still are as it saw them.
func (q *Queue) actItem(c *actionCall, it *Item) {
	id := it.Envelope.ID
	var told notices
	defer func() { q.tell(&told) }()
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
	st.action.Reason = append(st.action.Reason[:0], c.reason...)
	last := uint32(0)
	for _, k := range q.slotsLocked(i, e) {
		s := q.tb.At(k)
		w := slices.IndexFunc(it.Recipients, func(r RecipientState) bool { return r.Index == int(s.Rcpt) })
		switch {
		case w < 0:
		case State(s.State()) == InFlight:
			// One whose notice is being written has failed already.
			if c.flies && (c.to == Dropped || !s.Has(markFailing)) {
				s.Set(table.DropPending, true)
				q.drops[k] = append(q.drops[k], c.add(id, s, true))
			}
		case c.has(State(s.State())) && s.Version == it.Recipients[w].Version:
			st.drops = append(st.drops, c.add(id, s, false))
			q.unscheduleLocked(k)
			q.changeLocked(st, e, k, c.to, q.o.Clock(), c.status, &told)
			last = k
		}
	}
	if last == 0 {
		q.settlements.Put(st)
		return
	}
	if c.to.Terminal() {
		st.last = q.reapLocked(e, last)
	}
	q.wholeLocked(e, last, c.to.Terminal())
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

// pendingLocked returns what is wanted of slot i, in flight, most: its end before its
// failure before its hold.
func (q *Queue) pendingLocked(i uint32) *action {
	var most *action
	for _, d := range q.drops[i] {
		if a := &d.call.action; most == nil || a.to > most.to {
			most = a
		}
	}
	return most
}

// settleActionsLocked lets the settlement tell those who wanted something of slot i,
// which goes to a state. Of calls that wanted the same, the first hands the event out.
func (q *Queue) settleActionsLocked(st *settlement, i uint32, state State) {
	tells := true
	for _, d := range q.drops[i] {
		d.state, d.tells = state, tells && d.call.to == state
		tells = tells && !d.tells
		st.drops = append(st.drops, d)
	}
	delete(q.drops, i)
}
