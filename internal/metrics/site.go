package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Site holds the counters of one site, looked up once and kept by its lane.
type Site struct {
	attempts [results]prometheus.Counter
	replies  *prometheus.CounterVec // of this site, by class
	ok       rate                   // recipients that were delivered
}

// Site returns the counters of a site. Beyond MaxSites they are those of
// "other".
func (r *Registry) Site(name string) *Site {
	label := r.sites.Label(name)
	s := &Site{replies: r.replies.MustCurryWith(prometheus.Labels{"site": label})}
	for i, result := range resultNames {
		s.attempts[i] = r.attempts.WithLabelValues(label, result)
	}
	return s
}

// Attempts counts n recipients of an attempt that ended so.
func (s *Site) Attempts(result Result, n int) {
	s.attempts[result].Add(float64(n))
	if result == ResultOK {
		s.ok.add(time.Now(), int64(n))
	}
}

// PerSecond returns how many recipients a second were delivered lately, counted
// by this Site and no other of the same name.
func (s *Site) PerSecond() float64 { return s.ok.perSecond(time.Now()) }

// Reply counts a reply that deferred or refused a recipient. class is one of the
// event log's.
func (s *Site) Reply(class string) { s.replies.WithLabelValues(class).Inc() }
