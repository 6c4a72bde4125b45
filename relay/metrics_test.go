package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/queue"
	"postrider/relay/policy"
	"postrider/relay/route"
)

// servant is a Transport.
type servant func(ctx context.Context, eg *mail.Egress, src mail.Source) error

func (s servant) Serve(ctx context.Context, _ <-chan struct{}, eg *mail.Egress, src mail.Source) error {
	return s(ctx, eg, src)
}

// figures returns the value of each series, and of a histogram how often it was
// observed.
func figures(t *testing.T, e *Engine) map[string]float64 {
	t.Helper()
	families, err := e.o.Metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// What comes of connections and of what is said on them is counted for the site,
// also where it holds the whole site and is written for no recipient.
func TestTheWayOutIsCounted(t *testing.T) {
	hop := servant(func(ctx context.Context, eg *mail.Egress, src mail.Source) error {
		if len(eg.Targets) != 2 {
			return errors.New("two exchangers are wanted")
		}
		busy := mail.NewStatus(421, 4, 7, 0, "too many connections, try again later")
		eg.Heard(mail.Hearing{Target: eg.Targets[0], Status: mail.NewStatus(451, 4, 4, 1, "refused"), Class: mail.ClassConnection})
		eg.Heard(mail.Hearing{Target: eg.Targets[1], Connect: true, Micros: 1000})
		n := 0
		for d := src.Next(ctx, time.Second); d != nil; d = src.Next(ctx, time.Second) {
			d.Remote = mail.Remote{Host: eg.Targets[1].Host, Addr: eg.Targets[1].Addr, Session: 7, TLSPolicy: "may", TLSVerdict: "untrusted", Reused: n > 0}
			n++
			if n == 1 {
				d.SetRest(mail.NewStatus(250, 2, 0, 0, "ok"))
				src.Done(d)
				continue
			}
			d.SetRest(busy)
			src.Done(d)
			return nil
		}
		return nil
	})
	log, err := maillog.Open(maillog.Options{Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64
	o := stubOptions(vfs.NewMem(), nil, log, &ahead, func(q *queue.Options) { q.HotMessages = 10 })
	o.SMTP, o.Resolver, o.ConnectionsPerHop = hop, &fakeDNS{hosts: 2}, 1
	o.Rules = &Rules{
		Access: policy.New(policy.Options{RelayDomains: []string{"x.example"}}),
		Routes: route.New(route.Options{Rules: []route.Rule{{Domain: "*", Hop: mail.Hop{Kind: mail.HopMX}}}}),
	}
	e, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		d, err := e.Queue().NewDraft(0)
		if err != nil {
			t.Fatal(err)
		}
		d.Envelope().AddRecipient(fmt.Appendf(nil, "u%d@d.s1.example", i), 0, nil)
		if _, err := d.Write([]byte("Subject: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	e.Start()
	var site string
	until(t, "both were answered", func() bool {
		for _, l := range e.Lanes() {
			if !l.Resolves {
				site = l.Site
			}
		}
		return figures(t, e)["postrider_delivery_attempts_total temp "+site] >= 1
	})
	if err := errors.Join(e.Drain(t.Context()), e.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	got := figures(t, e)
	for name, want := range map[string]float64{
		"postrider_delivery_attempts_total ok " + site: 1, "postrider_delivery_attempts_total temp " + site: 1,
		"postrider_delivery_attempts_total conn_fail " + site: 1, "postrider_replies_total rate_limit " + site: 1, "postrider_replies_total " + mail.ClassConnection.String() + " " + site: 1,
		"postrider_tls_out_total may untrusted": 1, "postrider_delivery_seconds dns": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
