package dns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/dns"
	"postrider/internal/dns/dnstest"
)

// Covers HO5, HO6. Nothing but the name service's own word says that a name does not
// exist or has no records, whatever else goes wrong.
func TestFailures(t *testing.T) {
	for kind, want := range map[dnstest.Kind]string{
		dnstest.ServFail:      "temporary",
		dnstest.Timeout:       "temporary",
		dnstest.Lame:          "temporary",
		dnstest.Referral:      "temporary",
		dnstest.Garbage:       "temporary",
		dnstest.WrongID:       "temporary",
		dnstest.WrongQuestion: "temporary",
		dnstest.NoTCP:         "temporary",
		dnstest.CNAMELoop:     "temporary",
		dnstest.NXDomain:      "not found",
		dnstest.NullMX:        "null, ",
		dnstest.NoMX:          "0 a.test, implicit, ",
		dnstest.CNAME:         "10 mx1.a.test, 20 mx2.a.test, ",
		dnstest.Truncate:      "10 mx1.a.test, 20 mx2.a.test, ",
		dnstest.NoEDNS:        "10 mx1.a.test, 20 mx2.a.test, ",
		dnstest.Spoofed:       "10 mx1.a.test, 20 mx2.a.test, ",
		dnstest.Flood:         "10 mx1.a.test, 20 mx2.a.test, ",
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := world(t, dnstest.Options{})
			s.Fail("a.test", dnstest.Fault{Kind: kind})
			o := dns.Options{}
			if want == "temporary" {
				o.Timeout = 50 * time.Millisecond
			}
			r := resolver(t, o, s)
			if got := saysMX(r, t.Context(), "a.test"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// Covers HO5. What a stranger puts into his zone is capped, and a chain that is too
// long is trouble, not an end.
func TestBomb(t *testing.T) {
	s := serve(t, dnstest.Options{})
	s.AddBomb("long.test", 500, 50, 20)
	s.AddBomb("wide.test", 500, 50, 8)
	for i := range 300 {
		s.AddTXT("huge.test", fmt.Sprint(i, strings.Repeat("x", 250)))
	}
	for i := range 100 {
		s.AddTXT("many.test", fmt.Sprint("text ", i))
	}
	r := resolver(t, dns.Options{Timeout: 5 * time.Second}, s)
	for _, domain := range []string{"long.test", "wide.test"} {
		mx, err := r.MX(t.Context(), domain)
		if err != nil || len(mx.Hosts) != dns.MaxHosts || mx.Hosts[9] != (dns.Exchanger{Host: "x9." + domain, Preference: 9}) {
			t.Errorf("%s: %v, %v", domain, mx, err)
		}
	}
	if a, err := r.Addresses(t.Context(), "x0.long.test"); !errors.Is(err, dns.ErrTemporary) {
		t.Errorf("a chain of 20: %v, %v", a, err)
	}
	if a, err := r.Addresses(t.Context(), "x0.wide.test"); err != nil || len(a.V4) != dns.MaxAddresses {
		t.Errorf("50 addresses at the end of a chain of 8: %v, %v", a, err)
	}
	if texts, err := r.TXT(t.Context(), "huge.test"); !errors.Is(err, dns.ErrTemporary) {
		t.Errorf("more than 64 KiB: %d texts, %v", len(texts.Texts), err)
	}
	if texts, err := r.TXT(t.Context(), "many.test"); err != nil || len(texts.Texts) != dns.MaxTexts {
		t.Errorf("100 texts: %d, %v", len(texts.Texts), err)
	}
	if entries, bytes := r.Cached(); entries > 8 || bytes > 64<<10 {
		t.Errorf("the cache holds %d answers, %d bytes", entries, bytes)
	}
}

// Covers HO6. When no server is there, everything is temporary, and soon.
func TestOutage(t *testing.T) {
	gone := dnstest.New(dnstest.Options{})
	if _, err := gone.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	silent := world(t, dnstest.Options{})
	if err := silent.FailQueries(100, dnstest.Fault{Kind: dnstest.Timeout}); err != nil {
		t.Fatal(err)
	}
	r := resolver(t, dns.Options{Timeout: 20 * time.Millisecond}, gone, silent)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		name := fmt.Sprintf("d%d.a.test", i)
		if got := saysMX(r, t.Context(), name); got != "temporary" {
			t.Errorf("%s: %s", name, got)
		}
		if _, err := r.Addresses(dns.Fresh(t.Context()), name); outcome(err) != "temporary" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What failed is not asked for again at once.
	before := silent.Counts().Queries
	for range 100 {
		if got := saysMX(r, t.Context(), "d0.a.test"); got != "temporary" {
			t.Error(got)
		}
	}
	if after := silent.Counts().Queries; after != before {
		t.Errorf("%d queries for what has just failed", after-before)
	}
}

// A second server helps with what the first can't do, and confirms what it says.
func TestServers(t *testing.T) {
	one, two := world(t, dnstest.Options{}), world(t, dnstest.Options{})
	r := resolver(t, dns.Options{Timeout: 100 * time.Millisecond}, one, two)
	ctx := t.Context()
	one.Fail("a.test", dnstest.Fault{Kind: dnstest.NXDomain})
	if got := saysMX(r, ctx, "a.test"); got != "not found" {
		t.Error(got)
	}
	if got := saysMX(r, dns.Fresh(ctx), "a.test"); got != "10 mx1.a.test, 20 mx2.a.test, " {
		t.Errorf("the second server was not asked past the cache: %s", got)
	}
	if got := saysMX(r, ctx, "a.test"); got != "10 mx1.a.test, 20 mx2.a.test, " {
		t.Errorf("the cache has not learned: %s", got)
	}

	for _, kind := range []dnstest.Kind{dnstest.ServFail, dnstest.Lame, dnstest.Referral, dnstest.NoTCP} {
		domain := string(kind) + ".test"
		for _, s := range []*dnstest.Server{one, two} {
			s.AddMail(domain, dnstest.MX{Preference: 1, Host: "mx1.a.test"})
		}
		one.Fail(domain, dnstest.Fault{Kind: kind})
		if got := saysMX(r, ctx, domain); got != "1 mx1.a.test, " {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

// A failure past the cache does not take away what the cache knows.
func TestFreshFailure(t *testing.T) {
	s := world(t, dnstest.Options{})
	r := resolver(t, dns.Options{}, s)
	const want = "10 mx1.a.test, 20 mx2.a.test, "
	if got := saysMX(r, t.Context(), "a.test"); got != want {
		t.Error(got)
	}
	s.Fail("a.test", dnstest.Fault{Kind: dnstest.ServFail})
	if got := saysMX(r, dns.Fresh(t.Context()), "a.test"); got != "temporary" {
		t.Error(got)
	}
	if got := saysMX(r, t.Context(), "a.test"); got != want {
		t.Error(got)
	}
}
