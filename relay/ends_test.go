package relay

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/classify"
	"postrider/relay/route"
)

// postbox keeps the texts of what a world delivers to the site s9.
type postbox struct {
	mu    sync.Mutex // guards following
	texts []string
}

func (p *postbox) take(d *mail.Delivery) {
	text, err := io.ReadAll(d.Body.Reader())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts = append(p.texts, fmt.Sprintf("from <%s> %v\n%s", d.Sender, err, text))
}

// all waits until the world is still, and returns the texts.
func (p *postbox) all() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts
}

func isHome(d *mail.Delivery) bool {
	return strings.HasSuffix(string(d.Envelope.Recipients[d.Recipients[0]].Address), "s9.example")
}

// Recipients that fail within ten seconds are told of in one notice, which is a
// message of the queue; nobody is told where nobody asked, and nothing is said to
// the null sender.
//
// Covers B1, HB1, R8, G4.
func TestFailuresEndWithOneNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &postbox{}
		mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
		mx.answer = func(_ netip.Addr, d *mail.Delivery) mail.Status {
			if isHome(d) {
				box.take(d)
				return handedOver
			}
			if d.Envelope.Recipients[d.Recipients[0]].Address[0] == 'c' {
				return handedOver
			}
			time.Sleep(time.Duration(d.Recipients[0]) * 4 * time.Second)
			return mail.NewStatus(550, 5, 1, 1, "nobody of that name")
		}
		w := newRelayWorld(t, 1, mx, nil)
		w.acceptAll(t, "alice@c.s9.example", "a@d1.s1.example", "b@d2.s2.example", "c@d3.s3.example")
		w.acceptAll(t, "", "a@d1.s1.example")
		d, err := w.e.Queue().NewDraft(0)
		if err != nil {
			t.Fatal(err)
		}
		d.Envelope().Sender = d.Envelope().KeepString("bob@c.s9.example")
		d.Envelope().AddRecipient([]byte("a@d1.s1.example"), mail.NotifyNever, nil)
		if err := d.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if l := w.e.Ledger(); l.Queued != 0 || l.Imbalance() != 0 {
			t.Errorf("%+v", l)
		}
		if w.log.of("failed") != 4 || w.log.of("bounced") != 4 || w.log.of("dsn") != 1 {
			t.Errorf("events %v", w.log.events)
		}
		if len(box.all()) != 1 {
			t.Fatalf("%d notices: %q", len(box.all()), box.all())
		}
		for _, want := range []string{
			"from <> <nil>\n", "To: <alice@c.s9.example>", "Auto-Submitted: auto-replied",
			"Final-Recipient: rfc822; a@d1.s1.example", "Final-Recipient: rfc822; b@d2.s2.example", "Remote-MTA: dns; mx0.s1.example",
			"Diagnostic-Code: smtp; 550 5.1.1 nobody of that name", "Subject: x",
		} {
			if !strings.Contains(box.all()[0], want) {
				t.Errorf("no %q in the notice:\n%s", want, box.all()[0])
			}
		}
		if strings.Contains(box.all()[0], "c@d3.s3.example") {
			t.Errorf("the notice tells of a recipient that was delivered:\n%s", box.all()[0])
		}
	})
}

// Who asked for it hears that a message was handed to a server that sends no notices
// itself.
//
// Covers B3.
func TestRelayedNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &postbox{}
		mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
		mx.answer = func(_ netip.Addr, d *mail.Delivery) mail.Status {
			if isHome(d) {
				box.take(d)
			}
			return handedOver
		}
		w := newRelayWorld(t, 1, mx, nil)
		d, err := w.e.Queue().NewDraft(0)
		if err != nil {
			t.Fatal(err)
		}
		d.Envelope().Sender = d.Envelope().KeepString("bob@c.s9.example")
		d.Envelope().AddRecipient([]byte("a@d1.s1.example"), mail.NotifySuccess, nil)
		d.Envelope().AddRecipient([]byte("b@d1.s1.example"), 0, nil)
		if err := d.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(box.all()) != 1 || !strings.Contains(box.all()[0], "Action: relayed") || !strings.Contains(box.all()[0], "a@d1.s1.example") || strings.Contains(box.all()[0], "b@d1.s1.example") {
			t.Errorf("%q", box.all())
		}
		synctest.Wait()
		if l := w.e.Ledger(); l.Queued != 0 || l.Imbalance() != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// A source that a site blocks rests there, and its mail leaves from another one of
// the pool; other sites are sent to from both.
//
// Covers T4, D7.
func TestABlockedSourceRests(t *testing.T) {
	for _, block := range []mail.Status{
		mail.NewStatus(451, 4, 7, 1, "Service unavailable, client host [192.0.2.1] blocked using a blocklist"),
		mail.NewStatus(554, 5, 7, 1, "Service unavailable, client host [192.0.2.1] blocked using a blocklist"),
	} {
		blockedSource(t, block)
	}
}

func blockedSource(t *testing.T, block mail.Status) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string]int{} // by source and site
		mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
		mx.answer = func(a netip.Addr, d *mail.Delivery) mail.Status {
			if a.As4()[2] == 1 && d.Remote.Source == "one" {
				return block
			}
			mu.Lock()
			defer mu.Unlock()
			got[fmt.Sprint(d.Remote.Source, a.As4()[2])]++
			return handedOver
		}
		w := newRelayWorld(t, 1, mx, func(o *Options) {
			source := func(name string, last byte) route.Source {
				return route.Source{SourceHost: mail.SourceHost{Name: name, V4: netip.AddrFrom4([4]byte{192, 0, 2, last})}, Weight: 1}
			}
			o.Rules.Routes = route.New(route.Options{Sources: []route.Source{source("one", 1), source("two", 2)}})
			var err error
			o.Rules.Replies, err = classify.New([]classify.Rule{{Name: "blocklist", Pattern: "blocked using", Class: mail.ClassReputation}})
			if err != nil {
				t.Fatal(err)
			}
		})
		for i := range 200 {
			w.accept(t, fmt.Sprintf("u@c%d.s9.example", i%10), fmt.Sprintf("r@d%d.s1.example", i))
			w.accept(t, fmt.Sprintf("u@c%d.s9.example", i%10), fmt.Sprintf("r@d%d.s2.example", i))
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if l := w.e.Ledger(); l.Queued != 0 {
			t.Errorf("%+v", l)
		}
		if w.log.of("bounced") != 0 {
			t.Errorf("%d bounced, though there is a source that is taken", w.log.of("bounced"))
		}
		if got["one1"] != 0 || got["two1"] != 200 || got["one2"] < 60 || got["two2"] < 60 {
			t.Errorf("by source and site: %v", got)
		}
		if w.log.of("suspended") == 0 {
			t.Error("nothing tells the operator")
		}
	})
}

// What was tried often enough takes the fallback of its route, and no attempt more
// goes to its own site.
//
// Covers T9.
func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tried, taken atomic.Int64
		mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
		mx.answer = func(a netip.Addr, _ *mail.Delivery) mail.Status {
			if a == netip.MustParseAddr("203.0.113.7") {
				taken.Add(1)
				return handedOver
			}
			tried.Add(1)
			return mail.NewStatus(450, 4, 2, 0, "Greylisted")
		}
		w := newRelayWorld(t, 1, mx, func(o *Options) {
			o.Rules.Routes = route.New(route.Options{Rules: []route.Rule{{
				Domain: "*", Hop: mail.Hop{Kind: mail.HopMX}, FallbackAfter: 2,
				Fallback: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "203.0.113.7:25"},
			}}})
		})
		w.accept(t, "u@c.s9.example", "r@d.s1.example")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if l := w.e.Ledger(); l.Queued != 0 || tried.Load() != 2 || taken.Load() != 1 {
			t.Errorf("%+v, %d attempts before the fallback, %d deliveries by it", l, tried.Load(), taken.Load())
		}
	})
}

// A hop that cannot be reached leaves its mail to the fallback, too, though no attempt is
// counted, and is tried again later.
//
// Covers T9.
func TestFallbackOfAHopThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taken, probes, byOwn atomic.Int64
		var down atomic.Bool
		down.Store(true)
		mx := &fakeMX{latency: 10 * time.Millisecond}
		own := netip.MustParseAddr("203.0.113.9")
		mx.reach = func(a netip.Addr) mail.Status {
			if a == own && down.Load() {
				probes.Add(1)
				return statusNoConnection
			}
			return mail.Status{}
		}
		mx.answer = func(a netip.Addr, _ *mail.Delivery) mail.Status {
			if a == own {
				byOwn.Add(1)
			} else {
				taken.Add(1)
			}
			return handedOver
		}
		w := newRelayWorld(t, 1, mx, func(o *Options) {
			o.Rules.Routes = route.New(route.Options{Rules: []route.Rule{{
				Domain: "*", Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "203.0.113.9:25"}, FallbackAfter: 3,
				Fallback: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "203.0.113.7:25"},
			}}})
		})
		w.accept(t, "u@c.s9.example", "r@d.s1.example")
		time.Sleep(20 * time.Minute)
		if l := w.e.Ledger(); l.Queued != 0 || taken.Load() != 1 || probes.Load() < 3 {
			t.Errorf("%+v, %d by the fallback, %d probes", l, taken.Load(), probes.Load())
		}
		down.Store(false)
		time.Sleep(20 * time.Minute)
		w.accept(t, "u@c.s9.example", "r@d.s1.example")
		time.Sleep(5 * time.Minute)
		if byOwn.Load() != 1 || taken.Load() != 1 {
			t.Errorf("%d by the hop that is back, %d by the fallback", byOwn.Load(), taken.Load())
		}
	})
}
