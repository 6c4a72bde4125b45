package sink

import (
	"fmt"
	"slices"
	"sync/atomic"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/result"
)

// noticeCounters count what came for the sender's domain.
type noticeCounters struct{ bounces, delays, other, unread atomic.Int64 }

// Notices are messages to the sender's domain.
type Notices struct {
	Bounces int64 // recipients said to have failed
	Delays  int64 // recipients said to be late
	Other   int64 // recipients of which something else is said
	Unread  int64 // messages that say nothing of any duty
}

// Counts returns the totals.
func (f *Farm) Counts() Counts { return f.server.Counts() }

// Notices returns what came for the sender's domain.
func (f *Farm) Notices() Notices {
	n := &f.notices
	return Notices{Bounces: n.bounces.Load(), Delays: n.delays.Load(), Other: n.other.Load(), Unread: n.unread.Load()}
}

// Violations returns how often a limit was broken.
func (f *Farm) Violations() (n int64) {
	for _, p := range f.places {
		n += p.n.violations.Load()
	}
	return n
}

// EndToEnd returns a histogram of the time from the intended moment of a message
// until it was here, in microseconds, for each delivery that is measured.
func (f *Farm) EndToEnd() *hdr.Histogram { return f.latency.all() }

// Snapshot is an interval of a Farm.
type Snapshot struct {
	Counts   // within the interval; Open: at its end
	EndToEnd *hdr.Histogram
}

// Snapshot returns what came since the last call.
func (f *Farm) Snapshot() Snapshot {
	h := f.latency.cut()
	now := f.Counts()
	f.latency.mu.Lock()
	last := f.last
	f.last = now
	f.latency.mu.Unlock()
	return Snapshot{Counts: now.less(last), EndToEnd: h}
}

// PolicyFigures are the figures of all domains that behave alike.
type PolicyFigures struct {
	Name     string         // "plain": those that no site names
	EndToEnd *hdr.Histogram // as Farm.EndToEnd
}

// Policies returns the figures of each policy that something was delivered to, in
// the order of the sites, and last "plain".
func (f *Farm) Policies() []PolicyFigures {
	var list []PolicyFigures
	for _, b := range f.behaviours {
		if h := b.took.all(); h.TotalCount() > 0 {
			list = append(list, PolicyFigures{b.name, h})
		}
	}
	return list
}

// Domains returns the figures of the destinations, the busiest first; beyond so
// many, the rest is summed up as "others". 0 is all. Destinations that nobody came
// to are left out.
func (f *Farm) Domains(most int) []result.Domain {
	var rows []result.Domain
	for _, p := range f.places {
		if d := p.row(); d.Connections > 0 || d.Delivered > 0 {
			rows = append(rows, d)
		}
	}
	slices.SortStableFunc(rows, func(a, b result.Domain) int { return int(b.Delivered - a.Delivered) })
	if most <= 0 || len(rows) <= most {
		return rows
	}
	rest := result.Domain{Name: "others", Policy: fmt.Sprintf("%d more", len(rows)-most)}
	for _, d := range rows[most:] {
		rest.Delivered += d.Delivered
		rest.Deferred += d.Deferred
		rest.Refused += d.Refused
		rest.Dropped += d.Dropped
		rest.Connections += d.Connections
		rest.PeakOpen += d.PeakOpen
		rest.Violations += d.Violations
	}
	return append(rows[:most:most], rest)
}
