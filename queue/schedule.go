package queue

import (
	"math"
	"time"

	"postrider/queue/internal/table"
)

const (
	// tick is the unit of due times in memory: 32 bits of it are 13 years.
	tick = 100 * time.Millisecond
	// timerSteps bounds how many slots the clock touches under one lock.
	timerSteps = 512
)

// ticks returns t as ticks since Open, rounded up, so that nothing is early.
// With readings of time.Now the monotonic clock counts, not the wall clock: a
// step of the latter makes nothing due.
func (q *Queue) ticks(t time.Time) uint32 {
	d := t.Sub(q.base)
	if d <= 0 {
		return 0
	}
	return uint32(min((d+tick-1)/tick, math.MaxUint32))
}

// passed returns the ticks that have passed altogether at t.
func (q *Queue) passed(t time.Time) uint32 {
	return uint32(max(0, min(t.Sub(q.base)/tick, math.MaxUint32)))
}

func (q *Queue) timeOf(t uint32) time.Time { return q.base.Add(time.Duration(t) * tick) }

// scheduleLocked puts a slot that is in no list into state st, and where that
// state belongs. fresh says that a waiter may be woken for it.
func (q *Queue) scheduleLocked(i uint32, st State, due uint32, told *notices) {
	s := q.tb.At(i)
	s.SetState(uint8(st))
	s.Due = due
	q.states[st]++
	switch st {
	case Ready:
		q.readyLocked(i, s, false, told)
	case Deferred:
		before, waits := q.wheel.Next()
		q.wheel.Add(q.tb, i)
		if !waits || s.Due < before {
			q.kickClock()
		}
	case Failed:
		q.failLocked(i, s)
	}
}

// readyLocked puts a ready slot into its bucket's line and wakes one waiter.
func (q *Queue) readyLocked(i uint32, s *table.Slot, front bool, told *notices) {
	b := q.bk.At(s.Bucket)
	l := q.dests[b.Dest].lane
	if front {
		b.Ready.PushFront(q.tb, i)
	} else {
		b.Ready.PushBack(q.tb, i)
	}
	if b.Ready.Len() == 1 {
		l.addLocked(s.Bucket, b)
	}
	l.ready++
	l.older.oldest = min(l.older.oldest, s.IDMilli())
	if !s.Has(table.Warned) {
		l.late.oldest = min(l.late.oldest, s.IDMilli())
	}
	if told != nil && !l.wakeLocked() {
		told.add(l)
	}
}

// unscheduleLocked takes a slot out of the list of its state.
func (q *Queue) unscheduleLocked(i uint32) {
	s := q.tb.At(i)
	st := State(s.State())
	q.states[st]--
	switch st {
	case Ready:
		b := q.bk.At(s.Bucket)
		l := q.dests[b.Dest].lane
		b.Ready.Remove(q.tb, i)
		l.ready--
		if b.Ready.Len() == 0 {
			l.removeLocked(s.Bucket)
		}
	case Deferred:
		q.wheel.Remove(q.tb, i)
	case Failed:
		q.unfailLocked(i, s)
	}
}

// kickClock makes the clock look at the wheel again.
func (q *Queue) kickClock() {
	select {
	case q.clockKick <- struct{}{}:
	default:
	}
}

// runClock makes deferred recipients ready when they are due, until stop.
func (q *Queue) runClock() {
	defer q.running.Done()
	var told notices
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(q.advance(&told))
		select {
		case <-q.stop:
			return
		case <-q.clockKick:
		case <-timer.C:
		}
	}
}

// advance makes due what is due and returns how long the clock may rest.
func (q *Queue) advance(told *notices) time.Duration {
	for {
		now := q.o.Clock()
		at := q.passed(now)
		q.mu.Lock()
		done := q.wheel.Advance(q.tb, at, timerSteps, func(i uint32) {
			s := q.tb.At(i)
			q.states[Deferred]--
			q.states[Ready]++
			s.SetState(uint8(Ready))
			q.readyLocked(i, s, false, told)
		})
		next, waits := q.wheel.Next()
		q.mu.Unlock()
		q.tell(told)
		if done {
			if !waits {
				return time.Hour
			}
			return max(q.timeOf(next).Sub(now), time.Millisecond)
		}
	}
}
