package demo

import (
	"bytes"
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postrider/bench/load"
	"postrider/internal/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The world answers for its thousand domains and takes mail for them where its
// name service says.
func TestWorld(t *testing.T) {
	w, err := newWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	var d net.Dialer
	names := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, w.resolver())
	}}
	hosts := map[string]bool{}
	for _, name := range w.domains {
		mx, err := names.LookupMX(t.Context(), name)
		switch name {
		case nowhere:
			var e *net.DNSError
			if !errors.As(err, &e) || !e.IsNotFound {
				t.Errorf("%s: %v", name, err)
			}
			continue
		case noMail:
			if err != nil || len(mx) != 1 || mx[0].Host != "." {
				t.Errorf("%s: %v, %v", name, mx, err)
			}
			continue
		}
		if err != nil || len(mx) != 1 {
			t.Fatalf("%s: %v, %v", name, mx, err)
		}
		hosts[mx[0].Host] = true
	}
	if len(w.domains) != 1000 || len(hosts) < sharedHosts || len(hosts) > sharedHosts+len(policies()) {
		t.Errorf("%d domains have %d servers", len(w.domains), len(hosts))
	}
	domain := load.DomainList("d0.bench.test")
	g, err := load.New(load.Options{Address: w.farm.Addr("d0.bench.test").String(), Messages: 3, Domains: domain, Ledger: w.ledger})
	if err != nil {
		t.Fatal(err)
	}
	if r := g.Run(t.Context()); r.Err != nil {
		t.Error(r.Err)
	}
	if all := w.ledger.Totals(0); all.Once != 3 || all.Lost != 0 {
		t.Errorf("%+v", all)
	}
}

// The whole demonstration in small: everything that is accepted ends, delivered
// or bounced, and the account says so.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Messages: 600, Connections: 8, Lifetime: 3 * time.Second, Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !regexp.MustCompile(`(?m)^accepted 600 = delivered [1-9]\d* \+ bounced [1-9]\d* \+ queued 0, lost 0$`).MatchString(out.String()) || strings.Contains(out.String(), "generator:") {
		t.Error(out.String())
	}
}

// What would become of mail for a domain is told without sending any.
//
// Covers O9.
func TestProspect(t *testing.T) {
	w, err := newWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	a, err := app.Start(t.Context(), Options{}.withDefaults().settings(t.TempDir(), w), app.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(context.WithoutCancel(t.Context()), "the test is over"); err != nil {
			t.Error(err)
		}
	}()
	p := a.Engine().Prospect(t.Context(), []byte("d0.bench.test"), nil)
	if want := w.farm.Addr("d0.bench.test"); !p.Status.IsZero() || p.Lane == "" || len(p.Targets) != 1 || p.Targets[0].Addr != want || len(p.Far) != 0 {
		t.Errorf("%+v", p)
	}
	for domain, want := range map[string]string{noMail: "5.1.10", nowhere: "5.1.2"} {
		p := a.Engine().Prospect(t.Context(), []byte(domain), []byte("a@isp.example"))
		if got := string(p.Status.Enhanced.AppendText(nil)); got != want || p.Lane != "" {
			t.Errorf("%s: %s, lane %q", domain, p.Status.String(), p.Lane)
		}
	}
	if lanes := a.Engine().Lanes(); len(lanes) != 0 {
		t.Errorf("asking has made %d lanes", len(lanes))
	}
}
