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
	ready   int        // recipients
	waiting int        // recipients in any state
	ring    table.Ring // buckets with ready recipients, taken in turn where there is no order
	order   Order      // nil: none
	waiters waiterList
	older   seeker // for NextOlder
	late    seeker // for NextLate
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
		l = &Lane{q: q, key: key}
		l.older.oldest, l.late.oldest = math.MaxInt64, math.MaxInt64
		if q.o.Order != nil {
			l.order = q.o.Order(key)
		}
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

// Look is ReadyCount, and tells when the lane's Order lets any of them go, when it
// holds all of them back now; zero: it lets some go.
func (l *Lane) Look() (ready int, opens time.Time) {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if o, ok := l.order.(opener); ok && l.ready > 0 {
		if at := o.NextAt(l.q.o.Clock().UnixMilli()); at != 0 {
			opens = time.UnixMilli(at)
		}
	}
	return l.ready, opens
}

// Waiting returns the number of recipients that have not ended, in whatever
// state.
func (l *Lane) Waiting() int {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	return l.waiting
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

// Lease says how much of a message one lease may take.
type Lease struct {
	MaxRecipients int  // 0: no limit
	MixDomains    bool // recipients of several domains together
}

// Next leases the lane's next ready job: one message with its recipients that are
// ready in this lane and go by the same way, as far as lease allows. The lane's
// Order says which bucket is next, or else the buckets take turns; within one the
// oldest comes first. With nothing ready, or nothing that may be taken yet, Next
// waits until something is, ctx ends or wait has passed, and then returns nil; wait
// 0 does not block. A closed queue returns nil at once.
//
// reuse, when not nil, is a job that was settled and whose memory is taken
// again; when Next returns nil it is still the caller's.
func (l *Lane) Next(ctx context.Context, wait time.Duration, lease Lease, reuse *Job) *Job {
	q := l.q
	j := reuse
	if j == nil {
		j = &Job{q: q}
	}
	var w *waiter
	var end time.Time
	defer func() { q.putWaiter(w) }()
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return nil
		}
		if q.leaseLocked(l, j, lease) {
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
		if now := time.Now(); w == nil {
			end = now.Add(wait)
		} else if wait = end.Sub(now); wait <= 0 {
			q.mu.Unlock()
			return nil
		}
		w = q.newWaiter(w, min(wait, l.opensLocked()))
		l.waiters.push(w)
		q.mu.Unlock()
		l.await(ctx, w)
	}
}

// opensLocked is how long it takes until the order lets something go that it holds
// back now.
func (l *Lane) opensLocked() time.Duration {
	o, ok := l.order.(opener)
	if !ok || l.ready == 0 {
		return math.MaxInt64
	}
	now := l.q.o.Clock().UnixMilli()
	at := o.NextAt(now)
	if at == 0 {
		return math.MaxInt64
	}
	return time.Duration(max(at-now, 1)) * time.Millisecond
}

// await waits for w's token, the end of ctx or the timer. A token that came at the
// same time as one of those is passed on, so that no job is left without the waiter
// that it woke.
func (l *Lane) await(ctx context.Context, w *waiter) {
	select {
	case <-w.wake:
		return
	case <-ctx.Done():
	case <-w.timer.C:
	}
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if w.listed {
		l.waiters.remove(w)
		return
	}
	<-w.wake
	if l.ready > 0 {
		l.wakeLocked()
	}
}

// newWaiter readies w, or another one if that is nil.
func (q *Queue) newWaiter(w *waiter, wait time.Duration) *waiter {
	if w == nil {
		w, _ = q.waiters.Get().(*waiter)
	}
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
