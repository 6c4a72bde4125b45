package relay

import (
	"time"

	"postrider/internal/mail"
	"postrider/internal/metrics"
	"postrider/queue"
)

// count adds one recipient's result to the figures; one that is ready again had an
// answer that is about its site.
func (e *Engine) count(l *lane, d *mail.Delivery, r *queue.Result) {
	switch r.State {
	case queue.Ready:
		l.site.Attempts(metrics.ResultTemp, 1) // what it said holds the site's mail, not only this
	case queue.Delivered:
		l.site.Attempts(metrics.ResultOK, 1)
		e.o.Metrics.Final(metrics.FinalDelivered, 1)
	case queue.Deferred:
		if d.Remote.Session == 0 {
			l.site.Attempts(metrics.ResultConnFail, 1)
		} else {
			l.site.Attempts(metrics.ResultTemp, 1)
		}
	case queue.Failed:
		l.site.Attempts(metrics.ResultPerm, 1)
	case queue.Dropped:
		e.o.Metrics.Final(metrics.FinalDropped, 1)
	}
}

// countTimes adds a delivery's times to the figures, once for all of its
// recipients.
func (e *Engine) countTimes(d *mail.Delivery, waited, took time.Duration) {
	m := e.o.Metrics
	m.Phase(metrics.PhaseWait, waited)
	m.Phase(metrics.PhaseDNS, d.Timings.DNS)
	m.Phase(metrics.PhaseConnect, d.Timings.Connect)
	m.Phase(metrics.PhaseTLS, d.Timings.TLS)
	m.Phase(metrics.PhaseData, d.Timings.Data)
	m.Phase(metrics.PhaseTotal, took)
	switch {
	case d.Remote.Reused:
		m.Reused()
	case d.Remote.TLSPolicy != "" && d.Remote.TLSVerdict != "":
		m.TLSOut(d.Remote.TLSPolicy, d.Remote.TLSVerdict)
	}
}
