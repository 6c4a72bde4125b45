// Package limit holds the small machines that keep one peer from taking more
// than its share: a token bucket, a table of counters by peer, and the window of
// concurrency that grows while a destination copes and shrinks when it does not.
//
// Time comes in as an argument; nothing here reads a clock or starts a
// goroutine.
//
// # Concurrency
//
// Bucket and Window belong to their owner, who guards them. Keyed is safe for
// concurrent use.
package limit

import "time"

// Bucket is a token bucket, kept as the one moment at which it will be full
// again (the generic cell rate algorithm). The zero Bucket is full.
type Bucket struct {
	full time.Time
}

// Rate is what a bucket allows: one token each Interval, Burst of them at once.
// An Interval of 0 allows everything.
type Rate struct {
	Interval time.Duration
	Burst    int // less than 1 counts as 1
}

// PerSecond returns the rate of n tokens a second; n 0 or less allows
// everything.
func PerSecond(n float64, burst int) Rate {
	if n <= 0 {
		return Rate{}
	}
	return Rate{Interval: time.Duration(float64(time.Second) / n), Burst: burst}
}

// Take takes n tokens if the bucket holds them at now. Else it takes none and
// returns how long to wait until it would.
func (b *Bucket) Take(now time.Time, r Rate, n int) (wait time.Duration, ok bool) {
	if r.Interval <= 0 {
		return 0, true
	}
	start := b.full
	if start.Before(now) {
		start = now
	}
	after := start.Add(time.Duration(n) * r.Interval)
	room := time.Duration(max(r.Burst, 1, n)) * r.Interval // more than a burst at once passes when the bucket is full
	if wait = after.Sub(now) - room; wait > 0 {
		return wait, false
	}
	b.full = after
	return 0, true
}

// Tokens returns how many tokens the bucket holds at now.
func (b *Bucket) Tokens(now time.Time, r Rate) int {
	burst := max(r.Burst, 1)
	if r.Interval <= 0 || !b.full.After(now) {
		return burst
	}
	missing := b.full.Sub(now)
	return max(0, burst-int((missing+r.Interval-1)/r.Interval))
}
