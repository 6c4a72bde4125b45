package site_test

import (
	"net/netip"
	"strings"
	"testing"

	"postrider/internal/dns"
	"postrider/internal/mail"
	"postrider/relay/site"
)

// targets returns the addresses of a domain's site in a line.
func targets(t *testing.T, n *names, exchangers string, o *site.Options) string {
	t.Helper()
	s := compose(t, exchangers, mail.TLSPolicy{}, &site.Options{})
	dst, status := site.Targets(t.Context(), n, &s, o, nil)
	if !status.IsZero() {
		if !status.Temporary() || len(dst) > 0 {
			t.Errorf("%s: %s with %d targets", exchangers, status, len(dst))
		}
		return string(status.Enhanced.AppendText(nil))
	}
	var out []string
	for _, target := range dst {
		text := target.Addr.Addr().String()
		if target.Host == "wide.test" { // in any order
			text = "wide"
		}
		out = append(out, text)
		if want := o.Port; target.Addr.Port() != want && (want != 0 || target.Addr.Port() != 25) {
			t.Errorf("port %d, want %d", target.Addr.Port(), want)
		}
	}
	return strings.Join(out, " ")
}

// Covers T1, HO3, HO5.
func TestTargets(t *testing.T) {
	n := newNames()
	n.host("a.test", "203.0.113.1")
	n.host("b.test", "203.0.113.2", "2001:db8::2")
	n.host("same.test", "203.0.113.1")
	n.host("six.test", "2001:db8::1")
	n.host("wide.test", "203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.14", "203.0.113.15", "203.0.113.16", "203.0.113.17")
	n.host("mixed.test", "10.0.0.1", "203.0.113.4", "::1", "fd00::1")
	n.host("inside.test", "10.1.2.3", "fd00::1")
	n.host("mapped.test", "10.9.0.1")
	n.host("self.test", "203.0.113.99")
	n.host("empty.test")
	n.fails["A broken.test"] = &dns.Error{Kind: dns.ErrTemporary}
	own := func(_ string, addr netip.Addr) bool { return addr == netip.MustParseAddr("203.0.113.99") }
	inside := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::ffff:10.9.0.0/112")}
	for _, c := range []struct {
		exchangers string
		o          site.Options
		want       string
	}{
		{"10 a.test", site.Options{}, "203.0.113.1"},
		{"10 a.test", site.Options{Port: 2525}, "203.0.113.1"},
		{"20 a.test, 30 b.test", site.Options{}, "203.0.113.1 2001:db8::2 203.0.113.2"},
		{"10 b.test", site.Options{}, "2001:db8::2 203.0.113.2"},
		{"10 a.test, 10 six.test", site.Options{}, "2001:db8::1 203.0.113.1"},
		{"10 broken.test, 20 a.test", site.Options{}, "203.0.113.1"},
		{"10 gone.test, 20 a.test", site.Options{}, "203.0.113.1"},
		{"10 gone.test, 20 broken.test", site.Options{}, "4.4.3"},
		{"10 gone.test, 20 empty.test", site.Options{}, "4.4.4"},
		{"10 wide.test", site.Options{}, strings.TrimSpace(strings.Repeat("wide ", 5))},
		{"10 wide.test, 20 a.test, 30 b.test", site.Options{}, strings.Repeat("wide ", 4) + "203.0.113.1"},
		{"10 wide.test, 20 gone.test, 30 a.test", site.Options{}, strings.Repeat("wide ", 4) + "203.0.113.1"},
		{"10 wide.test, 20 gone.test", site.Options{}, strings.TrimSpace(strings.Repeat("wide ", 5))},
		{"10 wide.test, 20 a.test", site.Options{MaxAddresses: 2}, "wide 203.0.113.1"},
		{"10 wide.test, 20 a.test", site.Options{MaxAddresses: 1}, "wide"},
		{"10 a.test, 10 same.test", site.Options{}, "203.0.113.1"},
		{"10 a.test, 20 same.test", site.Options{}, "203.0.113.1"},
		{"10 mixed.test", site.Options{}, "203.0.113.4"},
		{"10 inside.test, 20 a.test", site.Options{}, "203.0.113.1"},
		{"10 inside.test", site.Options{}, "4.4.4"},
		{"10 inside.test", site.Options{AllowPrivate: inside}, "10.1.2.3"},
		{"10 mapped.test", site.Options{AllowPrivate: inside}, "10.9.0.1"},
		{"10 a.test, 20 self.test, 30 b.test", site.Options{Own: own}, "203.0.113.1"},
		{"10 self.test, 30 b.test", site.Options{Own: own}, "4.4.4"},
	} {
		if got := targets(t, n, c.exchangers, &c.o); got != c.want {
			t.Errorf("%s %+v:\n%s\nwant %s", c.exchangers, c.o, got, c.want)
		}
	}
}

// Covers T1. Hosts of the same preference are tried in any order, and each of them
// before the second address of one; a worse preference always comes later.
func TestShuffled(t *testing.T) {
	n := newNames()
	n.host("a.test", "203.0.113.1", "203.0.113.2")
	n.host("b.test", "203.0.113.3", "203.0.113.4")
	n.host("c.test", "203.0.113.5")
	seen := map[string]int{}
	for range 400 {
		got := strings.Fields(targets(t, n, "10 a.test, 10 b.test, 20 c.test", &site.Options{}))
		if len(got) != 5 || got[4] != "203.0.113.5" {
			t.Fatalf("%q", got)
		}
		of := func(addr string) bool { return addr == "203.0.113.1" || addr == "203.0.113.2" }
		if of(got[0]) == of(got[1]) || of(got[2]) == of(got[3]) {
			t.Fatalf("%q: two of a host in a row", got)
		}
		seen[strings.Join(got, " ")]++
	}
	if len(seen) != 8 { // the hosts and the addresses of each in two orders; a chance of 1e-22 to miss one
		t.Errorf("%d orders", len(seen))
	}
}

// Covers T11. Authentic is what led to the address as a whole.
func TestTargetFacts(t *testing.T) {
	n := newNames()
	n.host("a.test", "203.0.113.1")
	for _, mx := range []bool{false, true} {
		for _, host := range []bool{false, true} {
			a := n.addrs["a.test"]
			a.Authentic = host
			n.addrs["a.test"] = a
			s := compose(t, "10 a.test", mail.TLSPolicy{}, &site.Options{})
			s.Authentic = mx
			keep := []mail.Target{{Host: "kept"}}
			dst, status := site.Targets(t.Context(), n, &s, &site.Options{}, keep)
			if !status.IsZero() || len(dst) != 2 || dst[0].Host != "kept" || dst[1].Authentic != (mx && host) || dst[1].Host != "a.test" || dst[1].Preference != 10 {
				t.Errorf("%v %v: %+v %s", mx, host, dst, status)
			}
		}
	}
}

// Covers HO3.
func TestPrivate(t *testing.T) {
	for want, list := range map[bool][]string{
		true: {
			"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1", "169.254.1.1",
			"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "240.0.0.1", "255.255.255.255",
			"::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1", "ff02::1",
			"100::1", "2002:7f00:1::", "2002:0a00:0001::1", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::8.8.8.8", "2001:0:1:2:3:4:f5ff:fffe", // 10.0.0.1, inverted
		},
		false: {
			"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.0.1", "172.15.0.1",
			"172.32.0.1", "192.0.1.1", "192.167.0.1", "192.169.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
			"2001:4860::1", "2a00::1", "::ffff:8.8.8.8", "2002:0808:0808::1", "64:ff9b::8.8.8.8", "2001:0:1:2:3:4:f7f7:f7f7",
		},
	} {
		for _, text := range list {
			if got := site.Private(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
	if !site.Private(netip.Addr{}) {
		t.Error("no address at all is not a public one")
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
