package relay

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/classify"
	"postrider/relay/route"
	"postrider/relay/schedule"
	"postrider/relay/site"
)

// blocklist is the rule of a site that has something against our address.
func blocklist(t *testing.T) *classify.Table {
	t.Helper()
	rules, err := classify.New([]classify.Rule{{Name: "blocklist", Pattern: "blocked using", Class: mail.ClassReputation}})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

var statusBlocked = mail.NewStatus(451, 4, 7, 1, "Service unavailable, client host [192.0.2.1] blocked using a blocklist")

// Mail for a site that refuses every transaction, be it of one sender or of many, ends
// with its lifetime, and its senders are told once that it is late.
//
// Covers B2, Q10.
func TestRefusedTransactionsEndWithTheLifetime(t *testing.T) {
	for _, senders := range []int{1, 10} {
		run := func(t *testing.T) {
			mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
			var connections atomic.Int64
			mx.reach = func(a netip.Addr) mail.Status {
				if a.As4()[2] == 1 {
					connections.Add(1)
				}
				return mail.Status{}
			}
			mx.answer = func(_ netip.Addr, d *mail.Delivery) mail.Status {
				if isHome(d) {
					return handedOver
				}
				return statusBlocked
			}
			w := newRelayWorld(t, 1, mx, func(o *Options) {
				o.Rules.Replies, o.WarnAfter, o.Retry.Lifetime = blocklist(t), 2*time.Hour, 8*time.Hour
			})
			const n = 200
			for i := range n {
				w.accept(t, fmt.Sprintf("u@c%d.s9.example", i%senders), fmt.Sprintf("r@d%d.s1.example", i))
			}
			time.Sleep(4 * time.Hour)
			if got := w.log.of("dsn"); got != n {
				t.Errorf("%d senders: %d notices of a delay, want %d", senders, got, n)
			}
			time.Sleep(6 * time.Hour)
			if l := w.e.Ledger(); l.Queued != 0 || l.Imbalance() != 0 {
				t.Errorf("%d senders: %+v", senders, l)
			}
			if got := w.log.of("expired"); got != n {
				t.Errorf("%d senders: %d expired, want %d", senders, got, n)
			}
			if connections.Load() > 80 {
				t.Errorf("%d senders: %d connections to a site that takes nothing, in 10 hours", senders, connections.Load())
			}
		}
		t.Run(fmt.Sprint(senders), func(t *testing.T) { synctest.Test(t, run) })
	}
}

// A source that stays blocked rests again each time that it was tried in vain: mail
// goes by another one all the while.
//
// Covers T4, D7.
func TestABlockedSourceGoesOnResting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
		var late atomic.Int64
		mx.answer = func(a netip.Addr, d *mail.Delivery) mail.Status {
			if a.As4()[2] == 1 && d.Remote.Source == "one" {
				return statusBlocked
			}
			if time.Since(time.UnixMicro(d.Envelope.ArrivedMicro)) > 2*time.Minute {
				late.Add(1)
			}
			return handedOver
		}
		w := newRelayWorld(t, 1, mx, func(o *Options) {
			source := func(name string, last byte) route.Source {
				return route.Source{SourceHost: mail.SourceHost{Name: name, V4: netip.AddrFrom4([4]byte{192, 0, 2, last})}, Weight: 1}
			}
			o.Rules.Routes = route.New(route.Options{Sources: []route.Source{source("one", 1), source("two", 2)}})
			o.Rules.Replies = blocklist(t)
		})
		for i := range 360 {
			w.accept(t, fmt.Sprintf("u@c%d.s9.example", i%10), fmt.Sprintf("r@d%d.s1.example", i))
			time.Sleep(time.Minute)
		}
		time.Sleep(5 * time.Minute)
		if l := w.e.Ledger(); l.Queued > 1 {
			t.Errorf("%+v", l)
		}
		// A message that tries the source out is put off, and tried again after its own
		// time: a few for each rest, which are half an hour before long.
		if late.Load() > 40 {
			t.Errorf("%d messages were late while another source was free", late.Load())
		}
	})
}

// When the exchangers of a domain change while they are down, what waits goes to the
// new ones.
//
// Covers Q5, HO4.
func TestExchangersChangeWhileTheyAreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mx := &fakeMX{latency: 10 * time.Millisecond}
		mx.reach = func(a netip.Addr) mail.Status {
			if a.As4()[2] == 1 {
				return statusNoConnection
			}
			return mail.Status{}
		}
		mx.answer = func(netip.Addr, *mail.Delivery) mail.Status { return handedOver }
		var moved atomic.Bool
		w := newRelayWorld(t, 1, mx, nil)
		w.dns.moved = &moved
		for i := range 10 {
			w.accept(t, "u@c.s9.example", fmt.Sprintf("r%d@d.s1.example", i))
		}
		time.Sleep(3 * time.Hour)
		moved.Store(true) // its records are good for an hour
		time.Sleep(2 * time.Hour)
		if l := w.e.Ledger(); l.Queued != 0 || mx.delivered != 10 {
			t.Errorf("%+v, %d delivered", l, mx.delivered)
		}
	})
}

// A reload that gives a site to a provider puts that one's rules in force.
//
// Covers T10.
func TestProvidersChangeAtAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most atomic.Int64
		mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
		mx.answer = func(_ netip.Addr, d *mail.Delivery) mail.Status {
			most.Store(max(most.Load(), int64(len(d.Recipients)))) // one lane at a time
			return handedOver
		}
		w := newRelayWorld(t, 1, mx, nil)
		for _, want := range []int64{1, 3, 1} {
			rules := *w.e.rules.Load()
			sites := *rules.Sites
			sites.Providers = nil
			if want > 1 {
				sites.Providers = []site.Provider{{Name: "big", Hosts: []string{".s1.example"}, MixDomains: true}}
			}
			rules.Sites = &sites
			most.Store(0)
			w.e.Reload(&rules)
			time.Sleep(time.Second)
			w.acceptAll(t, "u@c.s9.example", "a@d1.s1.example", "b@d2.s1.example", "c@d3.s1.example")
			time.Sleep(10 * time.Second)
			w.acceptAll(t, "u@c.s9.example", "a@d1.s1.example", "b@d2.s1.example", "c@d3.s1.example")
			time.Sleep(10 * time.Second)
			if l := w.e.Ledger(); l.Queued != 0 || most.Load() != want {
				t.Errorf("%+v, %d recipients in a transaction, want %d", l, most.Load(), want)
			}
		}
	})
}

// Gates that nothing waits at count no time.
//
// Covers O9.
func TestNothingWaitsAtAGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mx := &fakeMX{latency: time.Second, reach: reachable}
		mx.answer = func(netip.Addr, *mail.Delivery) mail.Status { return handedOver }
		w := newRelayWorld(t, 1, mx, func(o *Options) { o.ConnectionsPerHop = 1 })
		for i := range 50 {
			w.accept(t, "u@c.s9.example", fmt.Sprintf("r%d@d.s1.example", i))
		}
		time.Sleep(2 * time.Minute)
		before := w.e.sched.Waited(time.Now())
		if l := w.e.Ledger(); l.Queued != 0 || before[schedule.GateWindow] == 0 {
			t.Fatalf("%+v, %v", l, before)
		}
		time.Sleep(time.Hour)
		if after := w.e.sched.Waited(time.Now()); after != before {
			t.Errorf("waited %v, and an hour of nothing later %v", before, after)
		}
	})
}

// Rules that lead to the same hop by different logins or protections have lanes of
// their own: neither waits behind the other, nor borrows what the other is allowed.
//
// Covers T1, S1.
func TestLanesToOneHopByDifferentRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]time.Duration{} // by login and protection, how long after the start
		start := time.Now()
		hop := &egressHop{serve: func(eg *mail.Egress, d *mail.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			user := ""
			if eg.Login != nil {
				user = eg.Login.User
			}
			name := user + " " + eg.TLS.Level.String() + " " + string(mail.DomainOf(d.Envelope.Recipients[d.Recipients[0]].Address))
			if _, ok := seen[name]; !ok {
				seen[name] = time.Since(start)
			}
		}}
		w := newRelayWorld(t, 1, &fakeMX{}, func(o *Options) {
			to := mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "203.0.113.7:25"}
			rule := func(domain, user string, level mail.TLSLevel) route.Rule {
				return route.Rule{Domain: domain, Hop: to, Login: &mail.Login{User: user}, TLS: &mail.TLSPolicy{Level: level}}
			}
			o.Rules.Routes = route.New(route.Options{Rules: []route.Rule{
				rule("a.example", "one", mail.TLSVerify), rule("b.example", "two", mail.TLSVerify), rule("c.example", "two", mail.TLSEncrypt),
			}})
			o.SMTP = hop
		})
		for range 400 {
			w.accept(t, "u@s.example", "r@a.example")
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		start = time.Now()
		mu.Unlock()
		w.accept(t, "u@s.example", "r@b.example")
		w.accept(t, "u@s.example", "r@c.example")
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if _, ok := seen["one verify a.example"]; len(seen) != 3 || !ok {
			t.Errorf("connections %v", seen)
		}
		for _, name := range []string{"two verify b.example", "two encrypt c.example"} {
			if took, ok := seen[name]; !ok || took > 2*time.Second {
				t.Errorf("%s: %v %v", name, ok, took)
			}
		}
	})
}

// egressHop takes one message a second on each connection.
type egressHop struct {
	serve func(eg *mail.Egress, d *mail.Delivery)
}

func (h *egressHop) Serve(ctx context.Context, _ <-chan struct{}, eg *mail.Egress, src mail.Source) error {
	target := mail.Target{Host: "hop.example", Addr: netip.MustParseAddrPort(eg.Hop.Address)}
	eg.Heard(mail.Hearing{Target: target, Connect: true})
	for d := src.Next(ctx, time.Second); d != nil; d = src.Next(ctx, time.Second) {
		time.Sleep(time.Second)
		h.serve(eg, d)
		d.Remote = mail.Remote{Host: target.Host, Addr: target.Addr, Session: 1}
		d.SetRest(handedOver)
		src.Done(d)
	}
	return nil
}
