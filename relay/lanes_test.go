package relay

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/queue"
	"postrider/relay/site"
)

func reachable(netip.Addr) mail.Status { return mail.Status{} }

// acceptAll takes one message for several recipients.
func (w *relayWorld) acceptAll(t testing.TB, from string, to ...string) mail.ID {
	d, err := w.e.Queue().NewDraft(0)
	if err != nil {
		t.Fatal(err)
	}
	env := d.Envelope()
	env.Sender = env.KeepString(from)
	env.Protocol = env.KeepString("ESMTP")
	for _, a := range to {
		env.AddRecipient([]byte(a), 0, nil)
	}
	if _, err := d.Write([]byte("Subject: x\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	id := env.ID
	if err := d.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return id
}

// Domains with the same exchangers share a lane and its connections, and recipients
// of one transaction are of one domain unless the provider's rule allows more.
//
// Covers D2, Q5.
func TestDomainsOfASiteShareConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connections, most := 0, 0
		mx := &fakeMX{latency: 10 * time.Millisecond}
		mx.reach = func(netip.Addr) mail.Status { connections++; return mail.Status{} }
		mx.answer = func(_ netip.Addr, d *mail.Delivery) mail.Status {
			most = max(most, len(d.Recipients))
			return handedOver
		}
		w := newRelayWorld(t, 1, mx, func(o *Options) { o.ConnectionsPerHop = 1 })
		for range 10 {
			w.acceptAll(t, "u@c.s9.example", "a@d1.s1.example", "b@d2.s1.example", "c@d3.s1.example")
		}
		time.Sleep(20 * time.Second)
		if l := w.e.Ledger(); l.Queued != 0 {
			t.Errorf("%+v", l)
		}
		synctest.Wait()
		if connections > 2 || most != 1 {
			t.Errorf("%d connections for three domains of a site, %d recipients in a transaction", connections, most)
		}
	})
}

// Where the rule allows it one transaction carries recipients of several domains, and
// a server that objects gets one domain at a time from then on.
//
// Covers D5, D4.
func TestMixedDomains(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			most, objections := 0, 0
			mx := &fakeMX{latency: 10 * time.Millisecond, reach: reachable}
			mx.answer = func(_ netip.Addr, d *mail.Delivery) mail.Status {
				first := mail.DomainOf(d.Envelope.Recipients[d.Recipients[0]].Address)
				for n, i := range d.Recipients {
					same := bytes.Equal(mail.DomainOf(d.Envelope.Recipients[i].Address), first)
					if refuse && !same {
						d.Set(n, mail.NewStatus(451, 4, 3, 0, "Multiple destination domains per transaction is unsupported."))
						objections++
					}
				}
				most = max(most, len(d.Recipients))
				return handedOver
			}
			w := newRelayWorld(t, 1, mx, func(o *Options) {
				o.ConnectionsPerHop = 1
				o.Rules.Sites.Providers = []site.Provider{{Name: "big", Hosts: []string{".s1.example"}, MixDomains: true}}
			})
			for range 10 {
				w.acceptAll(t, "u@c.s9.example", "a@d1.s1.example", "b@d2.s1.example", "c@d3.s1.example")
				time.Sleep(10 * time.Second)
			}
			if l := w.e.Ledger(); l.Queued != 0 || w.log.of("deferred") != 0 || w.log.of("delivered") != 30 {
				t.Errorf("%+v, %d put off", l, w.log.of("deferred"))
			}
			synctest.Wait()
			if most != 3 || refuse && objections != 2 {
				t.Errorf("refuses %v: %d recipients in a transaction at most, %d objections", refuse, most, objections)
			}
		})
	}
}

// A recipient says what it waits for in each state of its way.
//
// Covers O9.
func TestWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		mx := &fakeMX{latency: 10 * time.Millisecond}
		mx.reach = func(netip.Addr) mail.Status {
			if down.Load() {
				return statusNoConnection
			}
			return mail.Status{}
		}
		mx.answer = func(netip.Addr, *mail.Delivery) mail.Status {
			return mail.NewStatus(450, 4, 2, 0, "Greylisted, try again in 300 seconds")
		}
		w := newRelayWorld(t, 1, mx, nil)
		id := w.acceptAll(t, "u@c.s9.example", "a@d1.s1.example")
		state := func() (s queue.RecipientState) {
			t.Helper()
			err := w.e.Queue().List(t.Context(), queue.Filter{IDs: []mail.ID{id}}, func(it *queue.Item) bool {
				s = it.Recipients[0]
				s.Status = parseKept(s.Status).status
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		time.Sleep(time.Second)
		s := state()
		why := w.e.Why(s.Lane, "d1.s1.example")
		if s.State != queue.Ready || why.Gate.String() != "breaker" || why.Site != "mx0.s1.example" || why.Until.Before(time.Now()) || why.Since.IsZero() || why.Reason.Code != 451 {
			t.Errorf("down: %+v %+v", s, why)
		}
		down.Store(false)
		time.Sleep(2 * time.Minute)
		s = state()
		if s.State != queue.Deferred || s.Attempts != 1 || time.Until(s.Due) > 6*time.Minute || s.Status.Code != 450 {
			t.Errorf("greylisted: %+v", s)
		}
		if why = w.e.Why(s.Lane, "d1.s1.example"); why.Gate != 0 {
			t.Errorf("greylisted: %+v", why)
		}
	})
}
