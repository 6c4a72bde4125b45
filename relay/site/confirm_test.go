package site_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postrider/internal/dns"
	"postrider/internal/dns/dnstest"
	"postrider/internal/mail"
	"postrider/relay/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a name server for the time of a test.
func serve(t *testing.T) *dnstest.Server {
	t.Helper()
	s := dnstest.New(dnstest.Options{})
	if _, err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	s.AddMail("a.test", dnstest.MX{Preference: 10, Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.1")}})
	return s
}

func resolver(t *testing.T, timeout time.Duration, servers ...*dnstest.Server) *dns.Resolver {
	t.Helper()
	o := dns.Options{Timeout: timeout}
	for _, s := range servers {
		o.Servers = append(o.Servers, s.Addr())
	}
	r, err := dns.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Covers HO6. That a domain does not exist, or has no host, ends mail only when a
// second answer, past the cache, says so as well.
func TestConfirmed(t *testing.T) {
	s := serve(t)
	r := resolver(t, 0, s)
	for range 3 {
		if _, got := lookup(t, r, "gone.example", mail.TLSPolicy{}, &site.Options{}); got != "550 5.1.2" {
			t.Error(got)
		}
	}
	if n := s.Counts().MX; n != 2 { // asked, and asked again; the second answer holds for a while
		t.Errorf("%d queries", n)
	}
	if _, err := r.MX(t.Context(), "new.example"); !errors.Is(err, dns.ErrNotFound) {
		t.Error(err)
	}
	s.AddMail("new.example", dnstest.MX{Preference: 10, Host: "mx0.a.test"})
	if _, got := lookup(t, r, "new.example", mail.TLSPolicy{}, &site.Options{}); got != "mx0.a.test" {
		t.Errorf("%s: what the cache held was believed", got)
	}

	for _, kind := range []dnstest.Kind{dnstest.NXDomain, dnstest.NullMX} {
		wrong, right := serve(t), serve(t)
		wrong.Fail("a.test", dnstest.Fault{Kind: kind})
		if _, got := lookup(t, resolver(t, 0, wrong, right), "a.test", mail.TLSPolicy{}, &site.Options{}); got != "mx0.a.test" {
			t.Errorf("%s: %s: one of two servers was believed", kind, got)
		}
		right.Fail("a.test", dnstest.Fault{Kind: dnstest.ServFail})
		wrong.Fail("a.test", dnstest.Fault{Kind: dnstest.ServFail})
		if _, got := lookup(t, resolver(t, 0, wrong, right), "a.test", mail.TLSPolicy{}, &site.Options{}); got != "451 4.4.3" {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

// Covers HO4, HO6. No trouble of the name service, with the domain, its exchanger or
// all, ends mail.
func TestOutage(t *testing.T) {
	for _, kind := range []dnstest.Kind{
		dnstest.ServFail, dnstest.Timeout, dnstest.Lame, dnstest.Referral, dnstest.Garbage, dnstest.WrongID, dnstest.NoTCP, dnstest.CNAMELoop,
	} {
		for _, name := range []string{"a.test", "mx0.a.test"} {
			if kind == dnstest.CNAMELoop && name != "a.test" {
				continue // only of domains
			}
			t.Run(fmt.Sprint(kind, " ", name), func(t *testing.T) {
				t.Parallel()
				s := serve(t)
				s.Fail(name, dnstest.Fault{Kind: kind})
				r := resolver(t, 30*time.Millisecond, s)
				if _, got := lookup(t, r, "a.test", mail.TLSPolicy{}, &site.Options{}); got != "451 4.4.3" {
					t.Error(got)
				}
			})
		}
	}
	// Before the outage the site was known; its targets fail for a while only.
	s := serve(t)
	r := resolver(t, 30*time.Millisecond, s)
	known, _ := lookup(t, r, "a.test", mail.TLSPolicy{}, &site.Options{})
	if err := s.FailQueries(100, dnstest.Fault{Kind: dnstest.Timeout}); err != nil {
		t.Fatal(err)
	}
	if dst, status := site.Targets(dns.Fresh(t.Context()), r, &known, &site.Options{}, nil); !status.Temporary() || len(dst) != 0 {
		t.Errorf("%v, %s", dst, status)
	}
	if _, got := lookup(t, r, "unknown.test", mail.TLSPolicy{}, &site.Options{}); got != "451 4.4.3" {
		t.Error(got)
	}
}

// Covers HO5. A domain made to cost much costs little.
func TestBomb(t *testing.T) {
	s := serve(t)
	s.AddBomb("long.test", 500, 50, 20)
	s.AddBomb("wide.test", 500, 50, 4)
	r := resolver(t, 5*time.Second, s)
	for domain, want := range map[string]int{"long.test": 0, "wide.test": 5} {
		before := s.Counts().Queries
		found, key := lookup(t, r, domain, mail.TLSPolicy{}, &site.Options{})
		if (want == 0) != (key == "451 4.4.3") {
			t.Errorf("%s: %s", domain, key)
		}
		if want > 0 {
			dst, status := site.Targets(t.Context(), r, &found, &site.Options{}, nil)
			if len(dst) != want || !status.IsZero() || len(found.Hosts) != 10 {
				t.Errorf("%s: %d hosts, %d targets, %s", domain, len(found.Hosts), len(dst), status)
			}
		}
		// MX over UDP and TCP, and for ten hosts both families, each in two ways.
		if n := s.Counts().Queries - before; n > 2+10*2*2 {
			t.Errorf("%s: %d queries", domain, n)
		}
	}
}
