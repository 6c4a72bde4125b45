package access

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// slot is a session that is due.
type slot struct {
	due time.Time
	box *mailbox
}

// schedule hands out sessions: when the next is due and whose mailbox it is for.
type schedule struct {
	rate   float64   // a second; 0: at once
	end    time.Time // no session begins after it; zero: no end
	inTurn bool      // mailboxes come in turn; else by chance

	mu    sync.Mutex // guards following
	rng   *rand.Rand
	next  time.Time // when the next is due, with a rate
	left  int64     // sessions still to be handed out; below 0: any number
	free  []*mailbox
	freed sync.Cond // a mailbox has come back
}

func newSchedule(o *Options, boxes []*mailbox, rng *rand.Rand, now time.Time) *schedule {
	s := &schedule{rate: o.Rate, rng: rng, next: now, left: o.Sessions, free: append([]*mailbox(nil), boxes...)}
	s.freed.L = &s.mu
	if s.left == 0 {
		s.left = -1
	}
	if o.Duration > 0 {
		s.end = now.Add(o.Duration)
	}
	return s
}

// take waits until the next session is due and returns it; false when there is
// none any more. late reports that it was due before anybody was there to take it.
func (s *schedule) take(ctx context.Context) (sl slot, late, ok bool) {
	due, ok := s.moment()
	if !ok || ctx.Err() != nil {
		return slot{}, false, false
	}
	wait := time.Until(due)
	if wait > 0 && !pause(ctx, wait) {
		return slot{}, false, false
	}
	// A timer fires late by itself: what is less than that is not a lack of connections.
	late = s.rate > 0 && wait < -time.Millisecond
	return slot{due: due, box: s.mailbox()}, late, true
}

func (s *schedule) moment() (due time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due = time.Now()
	if s.rate > 0 {
		s.next = s.next.Add(time.Duration(s.rng.ExpFloat64() / s.rate * float64(time.Second)))
		due = s.next
	}
	if s.left == 0 || !s.end.IsZero() && due.After(s.end) {
		return due, false
	}
	s.left--
	return due, true
}

// mailbox takes one that is free, and waits until there is one.
func (s *schedule) mailbox() *mailbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.free) == 0 {
		s.freed.Wait()
	}
	if s.inTurn {
		box := s.free[0]
		s.free = append(s.free[:0], s.free[1:]...)
		return box
	}
	i := s.rng.IntN(len(s.free))
	box := s.free[i]
	last := len(s.free) - 1
	s.free[i] = s.free[last]
	s.free = s.free[:last]
	return box
}

// back returns the mailbox of a session that has ended.
func (s *schedule) back(box *mailbox) {
	s.mu.Lock()
	s.free = append(s.free, box)
	s.mu.Unlock()
	s.freed.Signal()
}

// pause waits and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
