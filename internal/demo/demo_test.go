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
