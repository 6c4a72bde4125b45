package metrics

import (
	"sync/atomic"
	"time"
)

// rate counts by seconds and forgets after rateSeconds. A second's count may miss
// what is added while its slot is given to a new second; it is a figure to look
// at, no account.
type rate struct {
	slots [rateSlots]struct{ second, count atomic.Int64 }
}

const (
	rateSeconds = 10
	rateSlots   = 16 // above rateSeconds, so that a slot is forgotten before it is used again
)

func (r *rate) add(now time.Time, n int64) {
	second := now.Unix()
	s := &r.slots[second%rateSlots]
	if old := s.second.Load(); old != second && s.second.CompareAndSwap(old, second) {
		s.count.Store(0)
	}
	s.count.Add(n)
}

// perSecond is the mean of the last whole seconds.
func (r *rate) perSecond(now time.Time) float64 {
	second, sum := now.Unix(), int64(0)
	for i := range r.slots {
		s := &r.slots[i]
		if at := s.second.Load(); at < second && at >= second-rateSeconds {
			sum += s.count.Load()
		}
	}
	return float64(sum) / rateSeconds
}
