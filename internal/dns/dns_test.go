package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"postrider/internal/dns"
	"postrider/internal/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// serve runs a name server for the time of a test.
func serve(t testing.TB, o dnstest.Options) *dnstest.Server {
	t.Helper()
	s := dnstest.New(o)
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
	return s
}

// resolver asks the servers.
func resolver(t testing.TB, o dns.Options, servers ...*dnstest.Server) *dns.Resolver {
	t.Helper()
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

// outcome is the kind of an error in a word.
func outcome(err error) string {
	var e *dns.Error
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &e):
		return "not an *Error: " + err.Error()
	case errors.Is(err, dns.ErrNotFound):
		return "not found"
	case errors.Is(err, dns.ErrNoData):
		return "no data"
	case errors.Is(err, dns.ErrTemporary):
		return "temporary"
	}
	return err.Error()
}

// saysMX is what is known of a domain's exchangers, in a line.
func saysMX(r *dns.Resolver, ctx context.Context, domain string) string {
	mx, err := r.MX(ctx, domain)
	if err != nil {
		return outcome(err)
	}
	text := ""
	for _, h := range mx.Hosts {
		text += fmt.Sprintf("%d %s, ", h.Preference, h.Host)
	}
	if mx.Null {
		text += "null, "
	}
	if mx.Implicit {
		text += "implicit, "
	}
	if mx.Authentic {
		text += "authentic, "
	}
	return text
}

// world has names of every sort.
func world(t testing.TB, o dnstest.Options) *dnstest.Server {
	t.Helper()
	s := serve(t, o)
	s.AddMail("a.test", dnstest.MX{Preference: 20, Host: "mx2.a.test", Addrs: []netip.Addr{addr("192.0.2.2")}},
		dnstest.MX{Preference: 10, Host: "MX1.a.test", Addrs: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}})
	s.AddMail("bare.test")
	s.AddHost("bare.test", addr("192.0.2.3"))
	s.AddMail("null.test", dnstest.MX{Host: "."})
	s.AddMail("mixed.test", dnstest.MX{Host: "."}, dnstest.MX{Preference: 5, Host: "mx1.a.test"})
	s.AddMail("twice.test", dnstest.MX{Preference: 9, Host: "mx1.a.test"}, dnstest.MX{Preference: 5, Host: "mx1.a.test"}, dnstest.MX{Preference: 5, Host: "b.test"})
	s.AddMail("literal.test", dnstest.MX{Preference: 5, Host: "192.0.2.1"})
	s.AddCNAME("alias.test", "a.test")
	s.AddMail("xn--bcher-kva.test", dnstest.MX{Preference: 1, Host: "mx1.a.test"})
	s.AddTXT("a.test", "v=spf1 -all")
	s.AddTLSA("_25._tcp.mx1.a.test", 3, 1, 1, "abcd")
	if err := s.AddPTR(addr("192.0.2.1"), "mx1.a.test"); err != nil {
		t.Fatal(err)
	}
	s.AddCNAME("7.2.0.192.in-addr.arpa", "7.0/25.2.0.192.in-addr.arpa") // RFC 2317
	s.AddPTRName("7.0/25.2.0.192.in-addr.arpa", "mx2.a.test")
	return s
}

// Covers T1, HO4.
func TestMX(t *testing.T) {
	r := resolver(t, dns.Options{}, world(t, dnstest.Options{}))
	for domain, want := range map[string]string{
		"a.test":       "10 mx1.a.test, 20 mx2.a.test, ",
		"A.Test.":      "10 mx1.a.test, 20 mx2.a.test, ",
		"alias.test":   "10 mx1.a.test, 20 mx2.a.test, ",
		"bare.test":    "0 bare.test, implicit, ",
		"null.test":    "null, ",
		"mixed.test":   "5 mx1.a.test, ",
		"twice.test":   "5 b.test, 5 mx1.a.test, ",
		"literal.test": "",
		"bücher.test":  "1 mx1.a.test, ",
		"none.test":    "not found",
		"a..test":      "not found",
		"":             "not found",
		"a b.test":     "not found",
	} {
		for range 2 { // asked, and out of the cache
			if got := saysMX(r, t.Context(), domain); got != want {
				t.Errorf("%s: %q, want %q", domain, got, want)
			}
		}
	}
}

func TestOtherRecords(t *testing.T) {
	r := resolver(t, dns.Options{}, world(t, dnstest.Options{}))
	ctx := t.Context()
	for range 2 {
		a, err := r.Addresses(ctx, "mx1.a.test")
		if got := fmt.Sprint(a.V4, a.V6, outcome(err)); got != "[192.0.2.1] [2001:db8::1]ok" {
			t.Error(got)
		}
		a, err = r.Addresses(ctx, "mx2.a.test")
		if got := fmt.Sprint(a.V4, a.V6, outcome(err)); got != "[192.0.2.2] []ok" {
			t.Error(got)
		}
		for host, want := range map[string]string{"null.test": "no data", "none.test": "not found"} {
			if _, err := r.Addresses(ctx, host); outcome(err) != want {
				t.Errorf("%s: %v, want %s", host, err, want)
			}
		}
		txt, err := r.TXT(ctx, "a.test")
		if got := fmt.Sprint(txt.Texts, outcome(err)); got != "[v=spf1 -all]ok" {
			t.Error(got)
		}
		tlsa, err := r.TLSA(ctx, "_25._tcp.mx1.a.test")
		if got := fmt.Sprint(tlsa.Records, outcome(err)); got != "[{3 1 1 [171 205]}]ok" {
			t.Error(got)
		}
		ptr, err := r.PTR(ctx, addr("192.0.2.1"))
		if got := fmt.Sprint(ptr.Names, outcome(err)); got != "[mx1.a.test]ok" {
			t.Error(got)
		}
		ptr, err = r.PTR(ctx, addr("192.0.2.7"))
		if got := fmt.Sprint(ptr.Names, outcome(err)); got != "[mx2.a.test]ok" {
			t.Error(got)
		}
		if _, err := r.PTR(ctx, addr("192.0.2.9")); outcome(err) != "not found" {
			t.Error(err)
		}
	}
}
