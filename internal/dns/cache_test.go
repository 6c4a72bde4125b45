package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/dns"
	"postrider/internal/dns/dnstest"
)

// At its bound the cache gives up what was not used for longest.
func TestBound(t *testing.T) {
	s := world(t, dnstest.Options{})
	r := resolver(t, dns.Options{Entries: 3}, s)
	known := func(domain string, want bool) {
		t.Helper()
		before := s.Counts().Queries
		if got := saysMX(r, t.Context(), domain); got != "not found" && got != "temporary" {
			t.Error(got)
		}
		if got := s.Counts().Queries == before; got != want {
			t.Errorf("%s was in the cache: %v, want %v", domain, got, want)
		}
	}
	for _, domain := range []string{"n1.test", "n2.test", "n3.test"} {
		known(domain, false)
	}
	known("n1.test", true)
	known("n4.test", false)
	known("n2.test", false) // went for n4, n3 for it
	known("n1.test", true)
	known("n4.test", true)
	known("n3.test", false)
	if entries, _ := r.Cached(); entries != 3 {
		t.Errorf("%d answers are in the cache", entries)
	}

	s.AddBomb("many.test", 100, 0, 0)
	small := resolver(t, dns.Options{Bytes: 4000}, s)
	for i := range 100 {
		if _, err := small.MX(t.Context(), "many.test"); err != nil {
			t.Fatal(err)
		}
		_ = saysMX(small, t.Context(), fmt.Sprint("n", i, ".test"))
	}
	if entries, bytes := small.Cached(); bytes > 4000 || entries < 2 {
		t.Errorf("%d answers of %d bytes are in the cache", entries, bytes)
	}
}

// Only a server on this machine is believed about DNSSEC, and only it is asked.
func TestAuthentic(t *testing.T) {
	s := world(t, dnstest.Options{Authentic: true})
	far := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Addr())
	}
	for _, c := range []struct {
		o    dns.Options
		want bool
	}{
		{dns.Options{Servers: []string{s.Addr()}}, true},
		{dns.Options{Servers: []string{"[::1]:53"}, Dial: far}, true},
		{dns.Options{Servers: []string{"192.0.2.53:53"}, Dial: far}, false},
	} {
		r := resolver(t, c.o)
		for range 2 {
			mx, err := r.MX(t.Context(), "a.test")
			if err != nil || mx.Authentic != c.want {
				t.Errorf("%v: MX: %v, %v", c.o.Servers, mx, err)
			}
			a, err := r.Addresses(t.Context(), "mx1.a.test")
			if err != nil || a.Authentic != c.want {
				t.Errorf("%v: addresses: %v, %v", c.o.Servers, a, err)
			}
			tlsa, err := r.TLSA(t.Context(), "_25._tcp.mx1.a.test")
			if err != nil || tlsa.Authentic != c.want {
				t.Errorf("%v: TLSA: %v, %v", c.o.Servers, tlsa, err)
			}
		}
	}
}

// Servers are named by address, with or without a port, and there is at least one.
func TestNew(t *testing.T) {
	for text, ok := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:5353": true, "::1": true, "[::1]:53": true, "fe80::1%lo": true,
		"localhost": false, "localhost:53": false, "127.0.0.1:": false, "": false,
	} {
		r, err := dns.New(dns.Options{Servers: []string{text}})
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && r.Close() != nil {
			t.Error("Close")
		}
	}
	servers, err := dns.System()
	if err != nil || len(servers) == 0 {
		t.Errorf("%v, %v", servers, err)
	}
}

// Each query has a socket, and so a port, of its own.
func TestPorts(t *testing.T) {
	s := world(t, dnstest.Options{})
	ports := map[netip.AddrPort]bool{}
	r := resolver(t, dns.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			ports[netip.MustParseAddrPort(nc.LocalAddr().String())] = true
		}
		return nc, err
	}}, s)
	for i := range 50 {
		_ = saysMX(r, t.Context(), fmt.Sprint("n", i, ".test"))
	}
	if len(ports) < 25 { // of 28,000 or so
		t.Errorf("50 queries came from %d ports", len(ports))
	}
}

// hits are the lookups that an attempt makes.
func hits(ctx context.Context, r *dns.Resolver) error {
	for _, domain := range []string{"a.test", "bare.test"} {
		if _, err := r.MX(ctx, domain); err != nil {
			return err
		}
	}
	if _, err := r.Addresses(ctx, "mx1.a.test"); err != nil {
		return err
	}
	if _, err := r.MX(ctx, "none.test"); !errors.Is(err, dns.ErrNotFound) {
		return err
	}
	return nil
}

// A hit allocates nothing.
func TestHitAllocates(t *testing.T) {
	var told atomic.Int64
	r := resolver(t, dns.Options{Observe: func(record, result string, took time.Duration, cached bool) {
		if told.Add(1) > 10 && !cached {
			t.Errorf("%s %s was asked for", record, result)
		}
	}}, world(t, dnstest.Options{}))
	ctx := t.Context()
	if err := hits(ctx, r); err != nil {
		t.Fatal(err)
	}
	told.Store(10)
	if n := testing.AllocsPerRun(100, func() {
		if err := hits(ctx, r); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if told.Load() != 10+101*5 {
		t.Errorf("told of %d lookups", told.Load()-10)
	}
}

func BenchmarkHit(b *testing.B) {
	r := resolver(b, dns.Options{}, world(b, dnstest.Options{}))
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := hits(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMiss(b *testing.B) {
	r := resolver(b, dns.Options{}, world(b, dnstest.Options{}))
	ctx := dns.Fresh(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.MX(ctx, "a.test"); err != nil {
			b.Fatal(err)
		}
	}
}
