package dns_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/miekg/dns"

	"postrider/internal/dns"
)

// One family is enough while the other fails, and only both together are an end.
func TestOneFamily(t *testing.T) {
	bubble(t, dns.Options{Total: time.Minute}, func(_ string, m *wire.Msg) bool {
		switch q := m.Question[0]; {
		case q.Qtype == wire.TypeAAAA && q.Name != "gone.test.":
			return false
		case q.Name == "a.test.":
			m.Answer = append(m.Answer, record(t, "a.test. 60 IN A 192.0.2.1"))
		case q.Name == "gone.test.":
			m.Rcode = wire.RcodeNameError
		}
		return true
	}, func(t *testing.T, r *dns.Resolver, _ *pipes) {
		took := map[string]time.Duration{}
		for host, want := range map[string]string{
			"a.test":    "[192.0.2.1] [] true ok",
			"b.test":    "[] [] false temporary",
			"gone.test": "[] [] false not found",
		} {
			start := time.Now()
			a, err := r.Addresses(t.Context(), host)
			took[host] = time.Since(start)
			if got := fmt.Sprint(a.V4, a.V6, a.Partial, " ", outcome(err)); got != want {
				t.Errorf("%s: %s, want %s", host, got, want)
			}
		}
		// Mail does not wait for the other family, and that there is none is no verdict.
		if took["a.test"] != time.Second/2 || took["b.test"] != 28*time.Second || took["gone.test"] != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// Callers share a question, and one that gives up leaves it to the others.
func TestShared(t *testing.T) {
	bubble(t, dns.Options{}, func(_ string, m *wire.Msg) bool {
		time.Sleep(time.Second)
		m.Answer = append(m.Answer, record(t, "a.test. 60 IN MX 1 b.test."))
		return true
	}, func(t *testing.T, r *dns.Resolver, p *pipes) {
		hasty, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		results := make(chan string)
		go func() { results <- saysMX(r, hasty, "a.test") }()
		synctest.Wait()
		for range 20 {
			go func() { results <- saysMX(r, t.Context(), "a.test") }()
		}
		start := time.Now()
		if got := <-results; got != "temporary" || time.Since(start) != time.Second/2 {
			t.Errorf("%s after %s", got, time.Since(start))
		}
		for range 20 {
			if got := <-results; got != "1 b.test, " {
				t.Error(got)
			}
		}
		if p.asked("") != 1 {
			t.Errorf("%q", p.queries)
		}
	})
}

// Close ends what is being asked, and later questions fail at once.
func TestClose(t *testing.T) {
	bubble(t, dns.Options{}, func(string, *wire.Msg) bool { return false }, func(t *testing.T, r *dns.Resolver, p *pipes) {
		result := make(chan string)
		go func() { result <- saysMX(r, t.Context(), "a.test") }()
		synctest.Wait()
		start := time.Now()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if got := <-result; got != "temporary" {
			t.Error(got)
		}
		if got := saysMX(r, t.Context(), "b.test"); got != "temporary" || time.Since(start) != 0 {
			t.Errorf("%s after %s", got, time.Since(start))
		}
	})
}
