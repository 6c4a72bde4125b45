// Package metrics holds every figure that the daemon shows to Prometheus.
//
// All of them are registered when a Registry is made and stand at zero until
// something happens, so that a rate or an alert works from the first scrape. On
// the path of a message only atomics and pre-resolved histograms are touched;
// what another part already counts is read from it at the scrape (Sources).
//
// Label values are listed with the metric or bounded: sites by TopN, listeners
// by the configuration. No label ever holds an address of a message.
//
// # Concurrency
//
// Everything is safe for concurrent use, but Sources, which is set once before
// the first scrape.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Result is how a delivery attempt ended.
type Result uint8

// The results of an attempt, in the order of their names.
const (
	ResultOK Result = iota
	ResultTemp
	ResultPerm
	ResultConnFail
	results
)

var resultNames = [results]string{"ok", "temp", "perm", "conn_fail"}

// Final is how a recipient ended.
type Final uint8

// The ends of a recipient.
const (
	FinalDelivered Final = iota
	FinalBounced
	FinalExpired
	FinalDropped
	finals
)

var finalNames = [finals]string{"delivered", "bounced", "expired", "dropped"}

// Phase is a part of a delivery's time.
type Phase uint8

// The phases of a delivery.
const (
	PhaseWait Phase = iota
	PhaseDNS
	PhaseConnect
	PhaseTLS
	PhaseData
	PhaseTotal
	phases
)

var phaseNames = [phases]string{"wait", "dns", "connect", "tls", "data", "total"}

// Registry is the set of all metrics of one daemon.
type Registry struct {
	registry *prometheus.Registry

	accept prometheus.Histogram
	sync   prometheus.Histogram
	batch  prometheus.Histogram

	mailboxSync, mailboxBatch prometheus.Histogram
	phase                     [phases]prometheus.Histogram
	reused                    prometheus.Counter
	recipients                prometheus.Counter
	final                     [finals]prometheus.Counter
	attempts                  *prometheus.CounterVec
	replies                   *prometheus.CounterVec
	tlsOut                    *prometheus.CounterVec
	dns                       *prometheus.HistogramVec
	dnsCache                  *prometheus.CounterVec
	notices                   *prometheus.CounterVec
	rejected                  *prometheus.CounterVec
	login                     *prometheus.CounterVec
	loginTime                 *prometheus.HistogramVec
	loaded                    prometheus.Gauge
	reloadOK                  prometheus.Gauge
	sites                     *TopN
}

// MaxSites is how many sites have a label of their own; the others share
// "other".
const MaxSites = 200

// secondsBuckets go from 100 us, below which no disk syncs, to 100 s, where an
// SMTP client gives up.
func secondsBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 100}
}

// New returns a registry with every metric at zero. version is the program's.
func New(version string, start time.Time) *Registry {
	reg := prometheus.NewRegistry()
	r := &Registry{registry: reg, sites: NewTopN(MaxSites)}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		reg.MustRegister(h)
		return h
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "postrider_build_info", Help: "Always 1."}, []string{"version", "go"})
	reg.MustRegister(info)
	info.WithLabelValues(version, runtime.Version()).Set(1)
	gauge("postrider_start_time_seconds", "When the daemon started, Unix time.").Set(unix(start))
	r.loaded = gauge("postrider_config_loaded_timestamp_seconds", "When the configuration in force was loaded, Unix time.")
	r.reloadOK = gauge("postrider_config_last_reload_ok", "1 if the last reload took effect, 0 if it was refused.")

	r.accept = histogram("postrider_accept_seconds", "From the end of a message's text to its 250.", secondsBuckets())
	r.sync = histogram("postrider_queue_sync_seconds", "Duration of the queue's syncs.", secondsBuckets())
	r.batch = histogram("postrider_queue_sync_batch", "Records made durable by one sync.", prometheus.ExponentialBuckets(1, 2, 10))
	r.mailboxSync = histogram("postrider_mailbox_sync_seconds", "Duration of the mailboxes' syncs.", secondsBuckets())
	r.mailboxBatch = histogram("postrider_mailbox_sync_batch", "Changes of mailboxes made durable by one sync.", prometheus.ExponentialBuckets(1, 2, 10))
	r.recipients = counter("postrider_recipients_accepted_total", "Recipients of accepted messages.")
	r.reused = counter("postrider_out_connection_reuse_total", "Deliveries on a connection that had carried one before.")
	r.rejected = counters("postrider_smtp_in_rejected_total", "4xx and 5xx replies given.", "listener", "cmd", "code_class", "rule")
	r.attempts = counters("postrider_delivery_attempts_total", "Delivery attempts, by recipient.", "site", "result")
	r.replies = counters("postrider_replies_total", "Replies of next hops that deferred or refused a recipient, by their class in the event log.", "site", "class")
	ended := counters("postrider_recipients_final_total", "Recipients that ended.", "result")
	for i, name := range finalNames {
		r.final[i] = ended.WithLabelValues(name)
	}
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "postrider_delivery_seconds", Help: "Where the time of delivery attempts went.", Buckets: secondsBuckets(),
	}, []string{"phase"})
	reg.MustRegister(took)
	for i, name := range phaseNames {
		r.phase[i] = took.WithLabelValues(name).(prometheus.Histogram)
	}
	r.outbound()
	r.logins()
	r.replies.WithLabelValues(Other, Other)
	for _, result := range resultNames { // "other" stands for all sites until one is known
		r.attempts.WithLabelValues(Other, result)
	}
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Handler serves the metrics in Prometheus' formats.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Gatherer gives tests and the status page the figures.
func (r *Registry) Gatherer() prometheus.Gatherer { return r.registry }

// AcceptSeconds counts an accepted message: the time from the end of its text to
// its 250.
func (r *Registry) AcceptSeconds(d time.Duration) { r.accept.Observe(d.Seconds()) }

// AcceptedRecipients counts the recipients of an accepted message.
func (r *Registry) AcceptedRecipients(n int) { r.recipients.Add(float64(n)) }

// QueueSync counts one sync of the queue, which made n records durable.
func (r *Registry) QueueSync(n int, took time.Duration) {
	r.sync.Observe(took.Seconds())
	r.batch.Observe(float64(n))
}

// MailboxSync counts one sync of the mailboxes, which made n changes durable.
func (r *Registry) MailboxSync(n int, took time.Duration) {
	r.mailboxSync.Observe(took.Seconds())
	r.mailboxBatch.Observe(float64(n))
}

// Final counts n recipients that ended so.
func (r *Registry) Final(f Final, n int) { r.final[f].Add(float64(n)) }

// Phase counts the time that a delivery spent in a part; 0 is not counted.
func (r *Registry) Phase(p Phase, took time.Duration) {
	if took > 0 {
		r.phase[p].Observe(took.Seconds())
	}
}

// Reused counts a delivery on a connection that had carried one before.
func (r *Registry) Reused() { r.reused.Inc() }

// Rejected counts a 4xx or 5xx reply. cmd and rule are words of the program,
// never of a client.
func (r *Registry) Rejected(listener, cmd string, code uint16, rule string) {
	class := "4xx"
	if code >= 500 {
		class = "5xx"
	}
	r.rejected.WithLabelValues(listener, cmd, class, rule).Inc()
}

// Reloaded notes the outcome of loading the configuration; the first load counts
// as one.
func (r *Registry) Reloaded(now time.Time, ok bool) {
	if !ok {
		r.reloadOK.Set(0)
		return
	}
	r.reloadOK.Set(1)
	r.loaded.Set(unix(now))
}

func unix(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
