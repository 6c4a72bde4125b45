package relay

import (
	"flag"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/queue"
)

// longestOpen is the longest that a breaker stays open, with what its jitter may
// add, and a breath for the connection.
const longestOpen = 46 * time.Minute

// outage is eight hours in which a site with n messages in the queue is down: once
// they have come to rest nothing is written and logged for them, and when the site is
// back one message tries it, and then more and more go.
func outage(t testing.TB, n int, warnAfter time.Duration) {
	var down atomic.Bool
	down.Store(true)
	mx := &fakeMX{
		latency: 10 * time.Millisecond, keep: true,
		reach: func(netip.Addr) mail.Status {
			if down.Load() {
				return statusNoConnection
			}
			return mail.Status{}
		},
		answer: func(netip.Addr, *mail.Delivery) mail.Status { return handedOver },
	}
	w := newRelayWorld(t, 2, mx, func(o *Options) {
		o.WarnAfter = warnAfter
		if n > 1000 {
			o.Queue.SegmentBytes = 4 << 20
		}
	})
	for i := range n {
		w.accept(t, fmt.Sprintf("u%d@c%d.s9.example", i, i%50), fmt.Sprintf("r@d%d.s1.example", i%100))
	}
	time.Sleep(time.Minute) // it comes to rest
	written, logged := w.fs.written.Load(), w.log.total()
	time.Sleep(8 * time.Hour)

	owed := 0
	if warnAfter > 0 && warnAfter < 8*time.Hour {
		owed = n
	}
	if got := w.log.of("delayed"); got != owed {
		t.Errorf("%d messages are late by the log, want %d", got, owed)
	}
	if got := w.log.of("dsn"); got != owed {
		t.Errorf("%d notices, want %d", got, owed)
	}
	if got := w.log.of("deferred") + w.log.of("failed"); got != 0 {
		t.Errorf("%d attempts were logged at a site that is down", got)
	}
	if owed == 0 {
		// What is left is about the site, and the queue's marks of the log: the same for
		// one message as for a million.
		if lines := w.log.total() - logged; lines > 100 {
			t.Errorf("%d lines for %d messages that wait", lines, n)
		}
		if b := w.fs.written.Load() - written; b > 256<<10 {
			t.Errorf("%d bytes written for %d messages that wait", b, n)
		}
	}
	if c := w.e.Queue().Counts(); c.States[queue.Ready].Recipients < int64(n) {
		t.Errorf("%d of %d are ready", c.States[queue.Ready].Recipients, n)
	}
	w.recover(t, &down, int64(n))
}

// recover ends an outage and watches how mail moves again.
func (w *relayWorld) recover(t testing.TB, down *atomic.Bool, n int64) {
	t.Helper()
	down.Store(false)
	back := time.Now()
	for w.e.Ledger().Queued > 0 && time.Since(back) < 12*time.Hour {
		time.Sleep(time.Second)
	}
	synctest.Wait()
	at := w.mx.at
	if len(at) < int(n) {
		t.Fatalf("%d of %d were delivered", len(at), n)
	}
	first := at[0]
	if first.Sub(back) > longestOpen {
		t.Errorf("the first delivery came %v after the site was back", first.Sub(back))
	}
	in := func(from, to time.Duration) (count int) {
		for _, a := range at {
			if d := a.Sub(first); d >= from && d < to {
				count++
			}
		}
		return count
	}
	// One connection carries 50 messages a second here, twenty are allowed.
	if early, later := in(0, 100*time.Millisecond), in(time.Second, 1100*time.Millisecond); n > 2000 && early*2 > later {
		t.Errorf("%d deliveries in the first tenth of a second, %d in the one a second later: no ramp", early, later)
	}
}

// outageMessages is a million where the proof is wanted at its full size:
//
//	go test ./relay -run 'TestOutage$' -outage 1000000 -timeout 2h
var outageMessages = flag.Int("outage", 20_000, "messages that TestOutage has in the queue")

// TestOutage: a site is down for eight hours with mail in the queue.
//
// Covers Q11, Q12, G4.
func TestOutage(t *testing.T) {
	n := *outageMessages
	if raceEnabled {
		n = min(n, 4_000)
	}
	synctest.Test(t, func(t *testing.T) { outage(t, n, 0) })
}

// TestOutageWithNotices: with warn_after each sender is told once.
//
// Covers B2, Q11.
func TestOutageWithNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { outage(t, 500, 4*time.Hour) })
}

// A total outage of DNS bounces nothing, costs few queries, and ends by itself.
//
// Covers HO6.
func TestOutageOfDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mx := &fakeMX{
			latency: 10 * time.Millisecond,
			reach:   func(netip.Addr) mail.Status { return mail.Status{} },
			answer:  func(netip.Addr, *mail.Delivery) mail.Status { return handedOver },
		}
		w := newRelayWorld(t, 1, mx, nil)
		w.dns.broken.Store(true)
		const n, domains, sites = 1000, 100, 4
		for i := range n {
			w.accept(t, "u@c.s9.example", fmt.Sprintf("r%d@d%d.s%d.example", i, i%domains, i%sites))
		}
		time.Sleep(time.Minute)
		logged, asked := w.log.total(), w.dns.asked.Load()
		time.Sleep(8 * time.Hour)
		if lines := w.log.total() - logged; lines > 10 {
			t.Errorf("%d lines about mail that waits", lines)
		}
		if q := (w.dns.asked.Load() - asked) / domains; q < 10 || q > 100 {
			t.Errorf("%d queries a domain in 8 hours", q)
		}
		if why := w.e.Why("resolving", "d1.s1.example"); !why.DNS || why.Reason.Code != 451 || why.Until.IsZero() {
			t.Errorf("%+v", why)
		}
		w.dns.broken.Store(false)
		time.Sleep(40 * time.Minute)
		if l := w.e.Ledger(); l.Queued != 0 || mx.delivered != n {
			t.Errorf("%+v, %d delivered", l, mx.delivered)
		}
	})
}

// A site whose addresses DNS does not tell waits for DNS: no breaker opens, and it is
// tried ever more rarely.
//
// Covers HO6.
func TestOutageOfDNSBehindASite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mx := &fakeMX{
			latency: 10 * time.Millisecond,
			reach:   func(netip.Addr) mail.Status { return mail.Status{} },
			answer:  func(netip.Addr, *mail.Delivery) mail.Status { return handedOver },
		}
		w := newRelayWorld(t, 1, mx, nil)
		w.accept(t, "u@c.s9.example", "r@d.s1.example")
		time.Sleep(30 * time.Minute) // the domain's site is known and holds, its connection has ended
		w.dns.broken.Store(true)
		logged := w.log.total()
		for i := range 50 {
			w.accept(t, "u@c.s9.example", fmt.Sprintf("r%d@d.s1.example", i))
		}
		time.Sleep(20 * time.Minute)
		if why := w.e.Why("mx0.s1.example", "d.s1.example"); !why.DNS || why.Since.IsZero() || why.Reason.Code != 451 {
			t.Errorf("%+v", why)
		}
		if w.log.of("suspended") != 0 || w.log.total()-logged > 55 {
			t.Errorf("%d lines, %d suspensions", w.log.total()-logged, w.log.of("suspended"))
		}
		w.dns.broken.Store(false)
		time.Sleep(40 * time.Minute)
		if l := w.e.Ledger(); l.Queued != 0 {
			t.Errorf("%+v", l)
		}
	})
}
