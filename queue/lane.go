package queue

import (
	"context"
	"math"
	"time"

	"postrider/queue/internal/table"
)

// Lane is a line of recipients that share a next hop. It exists in memory only:
// Options.Bind says which lane a recipient's domain takes.
type Lane struct {
	q   *Queue
	key string

	// Guarded by Queue.mu.
	ready   int     // recipients
	waiting int     // recipients in any state
	ring    *domain // domains with ready recipients, taken in turn
	waiters waiterList

	// oldest is no later than the arrival of any ready recipient; aged are slots
	// that NextOlder has found and not yet handed out.
	oldest int64    // Unix milliseconds; math.MaxInt64: none is ready
	aged   []uint32 // at most maxAged
}

// Lane returns the lane of a key, which is made on first use.
func (q *Queue) Lane(key string) *Lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.laneLocked(key)
}

func (q *Queue) laneLocked(key string) *Lane {
	l := q.lanes[key]
	if l == nil {
		l = &Lane{q: q, key: key, oldest: math.MaxInt64}
		q.lanes[key] = l
	}
	return l
}

// Lanes returns all lanes, in no order.
func (q *Queue) Lanes() []*Lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	ls := make([]*Lane, 0, len(q.lanes))
	for _, l := range q.lanes {
		ls = append(ls, l)
	}
	return ls
}

// Key returns what Options.Bind called the lane.
func (l *Lane) Key() string { return l.key }

// ReadyCount returns the number of recipients that could be leased now.
func (l *Lane) ReadyCount() int {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	return l.ready
}

// Waiting returns the number of recipients that have not ended, in whatever
// state.
func (l *Lane) Waiting() int {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	return l.waiting
}

// ringLocked puts d last in the lane's ring.
func (l *Lane) ringLocked(d *domain) {
	if l.ring == nil {
		d.prev, d.next = d, d
		l.ring = d
		return
	}
	head := l.ring
	d.prev, d.next = head.prev, head
	head.prev.next = d
	head.prev = d
}

func (l *Lane) unringLocked(d *domain) {
	if d.next == d {
		l.ring = nil
	} else {
		d.prev.next, d.next.prev = d.next, d.prev
		if l.ring == d {
			l.ring = d.next
		}
	}
	d.prev, d.next = nil, nil
}

// waiter is a call of Next that waits for a job.
type waiter struct {
	wake       chan struct{} // one token; sent under Queue.mu after leaving the list
	timer      *time.Timer
	prev, next *waiter
	listed     bool
}

type waiterList struct{ head, tail *waiter }

func (l *waiterList) push(w *waiter) {
	w.prev, w.next, w.listed = l.tail, nil, true
	if l.tail != nil {
		l.tail.next = w
	} else {
		l.head = w
	}
	l.tail = w
}

func (l *waiterList) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.tail = w.prev
	}
	w.prev, w.next, w.listed = nil, nil, false
}

// wakeLocked wakes the waiter that has waited longest; false when there is none.
func (l *Lane) wakeLocked() bool {
	w := l.waiters.head
	if w == nil {
		return false
	}
	l.waiters.remove(w)
	w.wake <- struct{}{}
	return true
}

// notices collects the lanes that OnReady is to be told of after unlocking.
type notices struct{ lanes []*Lane }

func (n *notices) add(l *Lane) {
	for _, k := range n.lanes {
		if k == l {
			return
		}
	}
	n.lanes = append(n.lanes, l)
}

// tell calls OnReady; no lock may be held.
func (q *Queue) tell(n *notices) {
	if q.o.OnReady != nil {
		for _, l := range n.lanes {
			q.o.OnReady(l)
		}
	}
	clear(n.lanes)
	n.lanes = n.lanes[:0]
}

// Next leases the lane's next ready job: one message with all of its recipients
// that are ready in this lane, at most maxRcpts of them (0: no limit). The
// lane's domains take turns; within one the oldest comes first. With nothing
// ready Next waits until something is, ctx ends or wait has passed, and then
// returns nil; wait 0 does not block. A closed queue returns nil at once.
//
// reuse, when not nil, is a job that was settled and whose memory is taken
// again; when Next returns nil it is still the caller's.
func (l *Lane) Next(ctx context.Context, wait time.Duration, maxRcpts int, reuse *Job) *Job {
	q := l.q
	j := reuse
	if j == nil {
		j = &Job{q: q}
	}
	var w *waiter
	defer func() { q.putWaiter(w) }()
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return nil
		}
		if q.leaseLocked(l, j, maxRcpts) {
			q.mu.Unlock()
			if j.open() {
				return j
			}
			continue
		}
		if wait <= 0 || ctx.Err() != nil {
			q.mu.Unlock()
			return nil
		}
		if w == nil {
			w = q.newWaiter(wait)
		}
		l.waiters.push(w)
		q.mu.Unlock()
		if !l.await(ctx, w) {
			return nil
		}
	}
}

// await waits for w's token; false when ctx or the timer ended the wait. A token
// that came at the same time is passed on, so that no job is left without the
// waiter that it woke.
func (l *Lane) await(ctx context.Context, w *waiter) bool {
	select {
	case <-w.wake:
		return true
	case <-ctx.Done():
	case <-w.timer.C:
	}
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if w.listed {
		l.waiters.remove(w)
		return false
	}
	<-w.wake
	if l.ready > 0 {
		l.wakeLocked()
	}
	return false
}

func (q *Queue) newWaiter(wait time.Duration) *waiter {
	w, _ := q.waiters.Get().(*waiter)
	if w == nil {
		return &waiter{wake: make(chan struct{}, 1), timer: time.NewTimer(wait)}
	}
	w.timer.Reset(wait)
	return w
}

func (q *Queue) putWaiter(w *waiter) {
	if w != nil {
		w.timer.Stop()
		q.waiters.Put(w)
	}
}

// maxAged bounds the slots that one search of NextOlder keeps.
const maxAged = 4096

// NextOlder leases a ready job whose message arrived before the moment given, be it
// behind others in its line, with at most maxRcpts of its recipients (0: no
// limit); nil when there is none. It never waits. reuse is as for Next.
//
// A lane that has nothing so old costs next to nothing, since the least arrival of
// all its ready recipients is known. One that has is searched once for each 4096
// that are found, at some 10 ns a ready recipient, all of it under the queue's
// lock.
func (l *Lane) NextOlder(before time.Time, maxRcpts int, reuse *Job) *Job {
	q := l.q
	j := reuse
	if j == nil {
		j = &Job{q: q}
	}
	for q.leaseOlder(l, j, before.UnixMilli(), maxRcpts) {
		if j.open() {
			return j
		}
	}
	return nil
}

// leaseOlder leases a job for NextOlder; false when there is none.
func (q *Queue) leaseOlder(l *Lane, j *Job, before int64, maxRcpts int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	for {
		if len(l.aged) == 0 && !l.searchLocked(before) {
			return false
		}
		i := l.aged[len(l.aged)-1]
		l.aged = l.aged[:len(l.aged)-1]
		s := q.tb.At(i)
		if State(s.State()) != Ready || q.domains[s.Domain].lane != l {
			continue // it went another way since it was found
		}
		if s.IDMilli() >= before { // the caller's clock went back, or another waits in this slot
			l.oldest = min(l.oldest, s.IDMilli())
			continue
		}
		if !s.Has(table.Hot) && q.behind.Load() {
			l.oldest, l.aged = min(l.oldest, s.IDMilli()), l.aged[:0]
			return false
		}
		q.leaseSlotsLocked(l, j, i, maxRcpts)
		return true
	}
}

// searchLocked fills l.aged; false when nothing is old enough.
func (l *Lane) searchLocked(before int64) bool {
	if l.ring == nil || l.oldest >= before {
		return false
	}
	tb := l.q.tb
	oldest := int64(math.MaxInt64)
	for d := l.ring; ; {
		for i := d.ready.Front(); i != 0; i = tb.Next(i) {
			switch at := tb.At(i).IDMilli(); {
			case at >= before:
				oldest = min(oldest, at)
			case len(l.aged) == maxAged:
				return true // what is left keeps l.oldest as it is
			default:
				l.aged = append(l.aged, i)
			}
		}
		if d = d.next; d == l.ring {
			break
		}
	}
	l.oldest = oldest
	return len(l.aged) > 0
}
