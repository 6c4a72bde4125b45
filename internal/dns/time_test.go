package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/miekg/dns"

	"postrider/internal/dns"
)

// pipes is a network in a bubble: its servers answer at once, or never.
type pipes struct {
	// answer writes the answer into m; false: none comes. It may wait.
	answer func(server string, m *wire.Msg) bool

	mu      sync.Mutex // guards following
	queries []string   // "server name type"
}

func (p *pipes) dial(_ context.Context, _, address string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() { // ends when the resolver closes its end
		defer theirs.Close()
		b := make([]byte, 4096)
		n, err := theirs.Read(b)
		q := new(wire.Msg)
		if err != nil || q.Unpack(b[:n]) != nil {
			return
		}
		p.mu.Lock()
		p.queries = append(p.queries, fmt.Sprint(address, " ", q.Question[0].Name, " ", wire.TypeToString[q.Question[0].Qtype]))
		p.mu.Unlock()
		m := new(wire.Msg).SetReply(q)
		m.RecursionAvailable = true
		if p.answer(address, m) {
			if b, err := m.Pack(); err == nil {
				_, _ = theirs.Write(b)
			}
		}
		_, _ = theirs.Read(b) // until the end
	}()
	return ours, nil
}

// asked returns how many queries contained the text.
func (p *pipes) asked(text string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, q := range p.queries {
		if strings.Contains(q, text) {
			n++
		}
	}
	return n
}

// bubble runs f with a resolver of two servers in a network of pipes.
func bubble(t *testing.T, o dns.Options, answer func(server string, m *wire.Msg) bool, f func(t *testing.T, r *dns.Resolver, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{answer: answer}
		o.Dial = p.dial
		if o.Servers == nil {
			o.Servers = []string{"127.0.0.1:53", "192.0.2.53:53"}
		}
		r := resolver(t, o)
		f(t, r, p)
	})
}

// record returns a record of text, as in a zone file.
func record(t *testing.T, text string) wire.RR {
	t.Helper()
	rr, err := wire.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// Answers live as long as they say, within bounds, what does not exist shorter, and
// failures least.
func TestLife(t *testing.T) {
	const soa = ". %d IN SOA ns. host. 1 2 3 4 %d"
	for _, c := range []struct {
		name   string
		rcode  int
		answer []string
		ns     string
		life   time.Duration
	}{
		{"plain", 0, []string{"a.test. 60 IN MX 1 b.test."}, "", time.Minute},
		{"least of all", 0, []string{"a.test. 60 IN MX 1 b.test.", "a.test. 50 IN MX 1 c.test."}, "", 50 * time.Second},
		{"alias counts", 0, []string{"a.test. 30 IN CNAME c.test.", "c.test. 60 IN MX 1 b.test."}, "", 30 * time.Second},
		{"zero", 0, []string{"a.test. 0 IN MX 1 b.test."}, "", 5 * time.Second},
		{"long", 0, []string{"a.test. 10000000 IN MX 1 b.test."}, "", 6 * time.Hour},
		{"not found", wire.RcodeNameError, nil, fmt.Sprintf(soa, 100, 90), 90 * time.Second},
		{"not found, SOA's own", wire.RcodeNameError, nil, fmt.Sprintf(soa, 80, 90), 80 * time.Second},
		{"not found, long", wire.RcodeNameError, nil, fmt.Sprintf(soa, 86400, 86400), 15 * time.Minute},
		{"not found, silent about it", wire.RcodeNameError, nil, "", 5 * time.Second},
		{"no data", 0, nil, fmt.Sprintf(soa, 100, 90), 90 * time.Second},
		{"failure", wire.RcodeServerFailure, nil, "", 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, dns.Options{}, func(_ string, m *wire.Msg) bool {
				m.Rcode = c.rcode
				for _, text := range c.answer {
					m.Answer = append(m.Answer, record(t, text))
				}
				if c.ns != "" {
					m.Ns = append(m.Ns, record(t, c.ns))
				}
				return true
			}, func(t *testing.T, r *dns.Resolver, p *pipes) {
				first := saysMX(r, t.Context(), "a.test")
				asked := p.asked("MX")
				time.Sleep(c.life - time.Nanosecond)
				mx, _ := r.MX(t.Context(), "a.test")
				if len(mx.Hosts) > 0 && mx.TTL != time.Nanosecond {
					t.Errorf("%s are left", mx.TTL)
				}
				if again := saysMX(r, t.Context(), "a.test"); again != first || p.asked("MX") != asked {
					t.Errorf("asked before its time: %s, %s", first, again)
				}
				time.Sleep(time.Nanosecond)
				if again := saysMX(r, t.Context(), "a.test"); again != first || p.asked("MX") == asked {
					t.Errorf("not asked in time: %s, %s", first, again)
				}
			})
		})
	}
}

// An answer that was got past the cache is not asked for again at once, however often
// somebody wants it confirmed.
func TestFreshLife(t *testing.T) {
	bubble(t, dns.Options{}, func(_ string, m *wire.Msg) bool {
		m.Rcode, m.Ns = wire.RcodeNameError, []wire.RR{record(t, ". 600 IN SOA ns. host. 1 2 3 4 600")}
		return true
	}, func(t *testing.T, r *dns.Resolver, p *pipes) {
		ask := func(ctx context.Context, asked int) {
			t.Helper()
			for range 3 {
				if got := saysMX(r, ctx, "a.test"); got != "not found" || p.asked("") != asked {
					t.Errorf("%s after %d queries, want %d", got, p.asked(""), asked)
				}
			}
		}
		ask(t.Context(), 1)
		ask(dns.Fresh(t.Context()), 2)
		ask(t.Context(), 2)
		time.Sleep(30*time.Second - time.Nanosecond)
		ask(dns.Fresh(t.Context()), 2)
		time.Sleep(time.Nanosecond)
		ask(t.Context(), 2)
		ask(dns.Fresh(t.Context()), 3)
		if p.asked("192.0.2.53") != 2 {
			t.Errorf("the second server was asked %d times", p.asked("192.0.2.53"))
		}
	})
}

// A silent server is asked last for a second, two, four and so on, and first again
// when it has answered.
func TestSilentServer(t *testing.T) {
	var silent atomic.Bool
	silent.Store(true)
	bubble(t, dns.Options{}, func(server string, m *wire.Msg) bool {
		m.Rcode = wire.RcodeNameError
		return server == "192.0.2.53:53" || !silent.Load()
	}, func(t *testing.T, r *dns.Resolver, p *pipes) {
		ask := func(name string, took time.Duration) {
			t.Helper()
			start := time.Now()
			if got := saysMX(r, t.Context(), name); got != "not found" || time.Since(start) != took {
				t.Errorf("%s: %s after %s, want %s", name, got, time.Since(start), took)
			}
		}
		ask("a.test", 2*time.Second) // the first is silent for so long
		ask("b.test", 0)
		time.Sleep(time.Second)
		ask("c.test", 2*time.Second)
		time.Sleep(time.Second)
		ask("d.test", 0)
		time.Sleep(time.Second)
		silent.Store(false)
		ask("e.test", 0)
		if p.asked("127.0.0.1:53 e.test") != 1 || p.asked("192.0.2.53:53 e.test") != 0 {
			t.Errorf("%q", p.queries)
		}
		silent.Store(true)
		ask("f.test", 2*time.Second) // counts from the start
		time.Sleep(time.Second)
		ask("g.test", 2*time.Second)
	})
}

// Covers HO5. The total holds however many tries there are, and a single server gets
// three, each with more patience.
func TestTotal(t *testing.T) {
	never := func(string, *wire.Msg) bool { return false }
	for _, c := range []struct {
		o     dns.Options
		took  time.Duration
		tries int
	}{
		{dns.Options{}, 28 * time.Second, 6},
		{dns.Options{Servers: []string{"127.0.0.1:53"}}, 14 * time.Second, 3},
		{dns.Options{Servers: []string{"127.0.0.1:53", "127.0.0.2:53", "127.0.0.3:53"}}, 30 * time.Second, 8},
		{dns.Options{Total: 3 * time.Second}, 3 * time.Second, 2},
	} {
		bubble(t, c.o, never, func(t *testing.T, r *dns.Resolver, p *pipes) {
			start := time.Now()
			_, err := r.MX(t.Context(), "a.test")
			var e *dns.Error
			if !errors.As(err, &e) || e.Kind != dns.ErrTemporary || e.Server == "" || e.Record != "MX" || e.Name != "a.test" {
				t.Errorf("%#v", err)
			}
			if took := time.Since(start); took != c.took || p.asked("") != c.tries {
				t.Errorf("%+v: ended after %s and %d tries, want %s and %d", c.o, took, p.asked(""), c.took, c.tries)
			}
		})
	}
}
