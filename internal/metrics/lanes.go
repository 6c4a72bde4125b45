package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lanes sums up those that share a label, since a series may be given once only.
func (c *collector) lanes(gauge, counter func(*prometheus.Desc, float64, ...string)) {
	type site struct {
		connections       int64
		paused, suspended bool
	}
	list := ask(c.s.Lanes)
	sites := map[string]site{Other: {}}
	for _, l := range list {
		label := c.sites.Label(l.Name)
		s := sites[label]
		s.connections += l.Connections
		s.paused = s.paused || l.Paused
		s.suspended = s.suspended || l.Suspended
		sites[label] = s
	}
	for label, s := range sites {
		gauge(descOutConnections, float64(s.connections), label)
		gauge(descSuspended, number(s.paused), label, "auto")
		gauge(descSuspended, number(s.suspended), label, "admin")
	}
	for key, total := range c.waits.add(list, c.sites) {
		counter(descLimitWait, total.Seconds(), key.name, key.limit)
	}
}

// waits keeps the totals of labels growing although lanes come and go.
type waits struct {
	mu     sync.Mutex                // guards following
	last   map[waitKey]time.Duration // of each lane, at the scrape before
	totals map[waitKey]time.Duration // of each label
}

// waitKey is a lane or a label, and a limit.
type waitKey struct{ name, limit string }

func newWaits() *waits {
	return &waits{totals: map[waitKey]time.Duration{{Other, Other}: 0}}
}

// add takes the figures of a scrape and returns a copy of the totals. A lane
// that begins anew, which its smaller figure tells, counts from zero.
func (w *waits) add(lanes []Lane, sites *TopN) map[waitKey]time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := make(map[waitKey]time.Duration, len(w.last))
	for _, l := range lanes {
		for _, wait := range l.Waits {
			now[waitKey{l.Name, wait.Limit}] += wait.Total
		}
	}
	for key, total := range now {
		grown := total - w.last[key]
		if grown < 0 {
			grown = total
		}
		w.totals[waitKey{sites.Label(key.name), key.limit}] += grown
	}
	w.last = now
	totals := make(map[waitKey]time.Duration, len(w.totals))
	for key, total := range w.totals {
		totals[key] = total
	}
	return totals
}

// ages is the histogram of what waits. Its sum is not known and stands at 0.
func ages(q *Queue) prometheus.Metric {
	buckets := make(map[float64]uint64, len(q.AgeBounds))
	var below uint64
	for k, bound := range q.AgeBounds {
		below += uint64(q.Ages[k])
		buckets[bound.Seconds()] = below
	}
	all := below
	if n := len(q.AgeBounds); n < len(q.Ages) {
		all += uint64(q.Ages[n])
	}
	return prometheus.MustNewConstHistogram(descQueueAge, all, 0, buckets)
}
