package relay

import (
	"math"
	"time"
)

// Retry is the schedule of a recipient that was deferred: the first retry comes
// after Min, each later one after Factor times the last wait, at most Max until
// the message is Slow old and at most SlowMax from then on. The last attempt comes
// when the message is Lifetime old; a recipient that is deferred then, or later,
// has failed.
type Retry struct {
	Min      time.Duration // 0: 5 minutes
	Factor   float64       // 0: 1.7
	Max      time.Duration // 0: 1 hour
	Slow     time.Duration // 0: 24 hours
	SlowMax  time.Duration // 0: 4 hours
	Lifetime time.Duration // 0: 5 days
	Jitter   float64       // share by which a wait is spread either way; 0: 0.25
}

// withDefaults fills in what is zero.
func (r Retry) withDefaults() Retry {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&r.Min, 5*time.Minute)
	def(&r.Max, time.Hour)
	def(&r.Slow, 24*time.Hour)
	def(&r.SlowMax, 4*time.Hour)
	def(&r.Lifetime, 5*24*time.Hour)
	if r.Factor <= 1 {
		r.Factor = 1.7
	}
	if r.Jitter <= 0 || r.Jitter >= 1 {
		r.Jitter = 0.25
	}
	return r
}

// next returns how long to wait after the attempt-th attempt (1 is the first) of
// a message of the given age. spread is a random number in [0, 1): without it
// whatever failed together would come back together.
func (r Retry) next(attempt int, age time.Duration, spread float64) time.Duration {
	limit := r.Max
	if age >= r.Slow {
		limit = r.SlowMax
	}
	wait := float64(r.Min) * math.Pow(r.Factor, float64(max(attempt, 1)-1))
	if wait > float64(limit) { // also when the power has grown to infinity
		wait = float64(limit)
	}
	return time.Duration(wait * (1 - r.Jitter + 2*r.Jitter*spread))
}

// longest is the longest wait the schedule can give.
func (r Retry) longest() time.Duration {
	return time.Duration(float64(max(r.Max, r.SlowMax)) * (1 + r.Jitter))
}
