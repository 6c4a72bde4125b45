package site_test

import (
	"net/netip"
	"testing"

	"postrider/internal/dns"
	"postrider/internal/mail"
	"postrider/relay/site"
)

// Covers T2, HO3. This system is known by its names, and by the addresses at which it
// would meet itself.
func TestOwn(t *testing.T) {
	names := []string{"MTA.example.", "mx.example"}
	addrs := []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("127.0.0.1")}
	for _, c := range []struct {
		listen      string
		port        uint16
		own, others []string
	}{
		{"0.0.0.0:25", 25, []string{"203.0.113.5", "127.0.0.1", "127.5.5.5"}, []string{"203.0.113.6", "2001:db8::5", "::1"}},
		{"[::]:25", 25, []string{"203.0.113.5", "127.0.0.1", "2001:db8::5", "::1"}, []string{"203.0.113.6"}},
		{"0.0.0.0:25", 2525, nil, []string{"203.0.113.5", "127.0.0.1"}},
		{"127.0.0.1:25", 25, []string{"127.0.0.1"}, []string{"127.0.0.2", "203.0.113.5"}},
		{"[::ffff:203.0.113.9]:25", 25, []string{"203.0.113.9"}, []string{"203.0.113.5"}},
	} {
		own := site.OwnOf(names, []netip.AddrPort{netip.MustParseAddrPort(c.listen)}, addrs, c.port)
		for want, list := range map[bool][]string{true: c.own, false: c.others} {
			for _, text := range list {
				if got := own("other.example", netip.MustParseAddr(text)); got != want {
					t.Errorf("listening on %s, sending to port %d: %s: %v", c.listen, c.port, text, got)
				}
			}
		}
		for host, want := range map[string]bool{"mta.example": true, "mx.example": true, "other.example": false} {
			if got := own(host, netip.Addr{}); got != want {
				t.Errorf("%s: %v", host, got)
			}
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	n := newNames()
	n.host("mx1.test", "203.0.113.1", "2001:db8::1")
	n.host("mx2.test", "203.0.113.2")
	n.mx["a.test"] = dns.MX{Hosts: []dns.Exchanger{{Host: "mx1.test", Preference: 10}, {Host: "mx2.test", Preference: 20}}}
	o := &site.Options{Providers: providers()}
	var dst []mail.Target
	b.ReportAllocs()
	for b.Loop() {
		s, status := site.Lookup(b.Context(), n, "a.test", mail.TLSPolicy{}, o)
		if dst, _ = site.Targets(b.Context(), n, &s, o, dst[:0]); !status.IsZero() || len(dst) != 3 {
			b.Fatal(status, dst)
		}
	}
}
