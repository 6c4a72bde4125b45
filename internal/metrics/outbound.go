package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The words that label values are made of, so that each series is there from
// the first scrape. They are those of the event log.
var (
	tlsPolicies = []string{"none", "may", "encrypt", "verify", "fingerprint"}
	tlsVerdicts = []string{"verified", "untrusted", "clear", "downgraded"}
	noticeKinds = []string{"failure", "delay", "success", "relayed", "expanded"}
	dnsTypes    = []string{"mx", "a", "aaaa", "txt", "tlsa", "ptr"}
	dnsResults  = []string{"ok", "notfound", "nodata", "temporary"}
)

// outbound registers what the way out counts.
func (r *Registry) outbound() {
	r.tlsOut = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postrider_tls_out_total", Help: "Outbound connections that carried mail, by the protection that was wanted and what was got.",
	}, []string{"policy", "verdict"})
	r.dns = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "postrider_dns_seconds", Help: "Duration of DNS lookups that the cache did not answer.", Buckets: secondsBuckets(),
	}, []string{"type", "result"})
	r.dnsCache = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postrider_dns_cache_total", Help: "DNS lookups, by whether the cache answered: hit, miss.",
	}, []string{"result"})
	r.notices = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postrider_notices_total", Help: "Delivery status notifications, by what they tell, and by whether they were queued or withheld.",
	}, []string{"kind", "result"})
	r.registry.MustRegister(r.tlsOut, r.dns, r.dnsCache, r.notices)
	for _, policy := range tlsPolicies {
		for _, verdict := range tlsVerdicts {
			r.tlsOut.WithLabelValues(policy, verdict)
		}
	}
	for _, kind := range dnsTypes {
		for _, result := range dnsResults {
			r.dns.WithLabelValues(kind, result)
		}
	}
	for _, result := range []string{"hit", "miss"} {
		r.dnsCache.WithLabelValues(result)
	}
	for _, kind := range noticeKinds {
		r.notices.WithLabelValues(kind, "queued")
		r.notices.WithLabelValues(kind, "withheld")
	}
}

// TLSOut counts an outbound connection that carried mail. Both are words of
// mail.Remote.
func (r *Registry) TLSOut(policy, verdict string) { r.tlsOut.WithLabelValues(policy, verdict).Inc() }

// DNS counts a lookup. kind is the record's type, result "ok" or what was wrong;
// both are words of the program. What the cache answered took no time.
func (r *Registry) DNS(kind, result string, took time.Duration, cached bool) {
	if cached {
		r.dnsCache.WithLabelValues("hit").Inc()
		return
	}
	r.dnsCache.WithLabelValues("miss").Inc()
	r.dns.WithLabelValues(kind, result).Observe(took.Seconds())
}

// Notice counts a delivery status notification of a kind: "failure", "delay",
// "success", "relayed" or "expanded". One that was owed and not written is
// withheld.
func (r *Registry) Notice(kind string, withheld bool) {
	result := "queued"
	if withheld {
		result = "withheld"
	}
	r.notices.WithLabelValues(kind, result).Inc()
}
