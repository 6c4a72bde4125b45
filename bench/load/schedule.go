package load

import (
	"sync"
	"sync/atomic"
	"time"
)

// job is a message that has been handed out and not yet begun.
type job struct {
	order uint64    // its place among all messages
	due   time.Time // zero in the closed loop: as soon as the connection is free
	slot  slot
}

// schedule hands out jobs. In an open loop they come in the order of their
// moments, and a worker takes one only when its connection is free. So a job whose
// moment has passed when it is taken found no connection free at that moment.
type schedule struct {
	messages int64 // 0: no limit
	began    time.Time
	duration time.Duration // of an open loop, behind the warm-up; 0: no limit
	closed   bool

	next atomic.Uint64 // jobs of a closed loop

	mu   sync.Mutex // guards following
	plan *plan
	n    uint64
	over bool
}

// start begins the schedule at measured, the end of the warm-up.
func (s *schedule) start(o *Options, measured time.Time) {
	s.messages, s.duration, s.closed, s.began = o.Messages, o.Duration, o.Pace.Closed(), measured
	if !s.closed {
		s.plan = newPlan(o.Pace, o.Seed+o.Run, -o.Warmup)
	}
}

// take hands out the next job; false when there is none.
func (s *schedule) take() (job, bool) {
	if s.closed {
		n := s.next.Add(1) - 1
		return job{order: n}, s.messages <= 0 || n < uint64(s.messages)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked()
}

func (s *schedule) takeLocked() (job, bool) {
	if s.over || s.messages > 0 && s.n >= uint64(s.messages) {
		return job{}, false
	}
	slot, ok := s.plan.next()
	if !ok || s.duration > 0 && slot.at >= s.duration {
		s.over = true
		return job{}, false
	}
	j := job{order: s.n, due: s.began.Add(slot.at), slot: slot}
	s.n++
	return j, true
}

// exhausted reports whether every job of a closed loop has been handed out.
func (s *schedule) exhausted() bool {
	return s.closed && s.messages > 0 && s.next.Load() >= uint64(s.messages)
}

// rest counts the jobs that were due before t and that nobody has taken.
func (s *schedule) rest(t time.Time) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		j, ok := s.takeLocked()
		if !ok || !j.due.Before(t) {
			break
		}
		n++
	}
	return n
}
