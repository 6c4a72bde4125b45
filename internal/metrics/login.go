package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The words of the event log for logins.
var (
	loginServices = []string{"smtp", "pop3", "imap"}
	loginResults  = []string{"ok", "bad_password", "unknown_user", "disabled", "wrong_protocol", "bad_token", "throttled", "unavailable", "malformed"}
)

// logins registers what is counted of logins.
func (r *Registry) logins() {
	r.login = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postrider_logins_total", Help: "Logins, by service and by what became of them: ok, or why they failed.",
	}, []string{"service", "result"})
	r.loginTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "postrider_login_seconds", Help: "Duration of logins without the delay of failed ones, by whether the password had to be hashed: hit, miss.", Buckets: secondsBuckets(),
	}, []string{"cache"})
	r.registry.MustRegister(r.login, r.loginTime)
	for _, service := range loginServices {
		for _, result := range loginResults {
			r.login.WithLabelValues(service, result)
		}
	}
	r.loginTime.WithLabelValues("hit")
	r.loginTime.WithLabelValues("miss")
}

// Login counts a login. service and result are words of the program.
func (r *Registry) Login(service, result string, took time.Duration, cached bool) {
	r.login.WithLabelValues(service, result).Inc()
	cache := "miss"
	if cached {
		cache = "hit"
	}
	r.loginTime.WithLabelValues(cache).Observe(took.Seconds())
}
