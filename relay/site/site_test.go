package site_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/internal/dns"
	"postrider/internal/mail"
	"postrider/relay/site"
)

// names is a name service in memory. What it does not have does not exist.
type names struct {
	mx    map[string]dns.MX
	addrs map[string]dns.Addresses
	fails map[string]error // by "MX name" or "A name"
}

func newNames() *names {
	return &names{mx: map[string]dns.MX{}, addrs: map[string]dns.Addresses{}, fails: map[string]error{}}
}

func (n *names) MX(_ context.Context, domain string) (dns.MX, error) {
	if err := n.fails["MX "+domain]; err != nil {
		return dns.MX{}, err
	}
	if mx, ok := n.mx[domain]; ok {
		return mx, nil
	}
	if _, ok := n.addrs[domain]; ok {
		return dns.MX{Hosts: []dns.Exchanger{{Host: domain}}, Implicit: true}, nil
	}
	return dns.MX{}, &dns.Error{Kind: dns.ErrNotFound}
}

func (n *names) Addresses(_ context.Context, host string) (dns.Addresses, error) {
	if err := n.fails["A "+host]; err != nil {
		return dns.Addresses{}, err
	}
	if a, ok := n.addrs[host]; ok {
		if len(a.V4)+len(a.V6) == 0 {
			return a, &dns.Error{Kind: dns.ErrNoData}
		}
		return a, nil
	}
	return dns.Addresses{}, &dns.Error{Kind: dns.ErrNotFound}
}

// domain gives a domain exchangers, written as "10 mx1.test, 20 mx2.test".
func (n *names) domain(name, exchangers string) {
	mx := dns.MX{Facts: dns.Facts{TTL: 10 * time.Minute}}
	for e := range strings.SplitSeq(exchangers, ", ") {
		var x dns.Exchanger
		if _, err := fmt.Sscan(e, &x.Preference, &x.Host); err != nil {
			panic(err)
		}
		mx.Hosts = append(mx.Hosts, x)
	}
	n.mx[name] = mx
}

// host gives a host addresses.
func (n *names) host(name string, addrs ...string) {
	var a dns.Addresses
	for _, text := range addrs {
		if addr := netip.MustParseAddr(text); addr.Is4() {
			a.V4 = append(a.V4, addr)
		} else {
			a.V6 = append(a.V6, addr)
		}
	}
	n.addrs[name] = a
}

func lookup(t *testing.T, n site.Resolver, domain string, p mail.TLSPolicy, o *site.Options) (site.Site, string) {
	t.Helper()
	s, status := site.Lookup(t.Context(), n, domain, p, o)
	if status.IsZero() {
		return s, s.Key
	}
	return s, string(status.Enhanced.AppendText(fmt.Appendf(nil, "%d ", status.Code)))
}

// Covers T1, T2, HO3, HO4, HO6.
func TestLookup(t *testing.T) {
	n := newNames()
	n.host("mx1.test", "203.0.113.1", "2001:db8::1")
	n.host("mx2.test", "203.0.113.2")
	n.host("inside.test", "10.0.0.1", "::1", "::ffff:192.168.1.1")
	n.host("self.test", "203.0.113.99")
	n.host("bare.test", "203.0.113.3")
	n.addrs["partinside.test"] = dns.Addresses{V4: n.addrs["inside.test"].V4, Partial: true}
	n.host("empty.test")
	n.fails["A broken.test"] = &dns.Error{Kind: dns.ErrTemporary}
	n.fails["MX servfail.test"] = &dns.Error{Kind: dns.ErrTemporary}
	n.mx["null.test"] = dns.MX{Null: true}
	n.mx["nohost.test"] = dns.MX{}
	o := &site.Options{Own: func(host string, addr netip.Addr) bool {
		return host == "relay.test" || addr == netip.MustParseAddr("203.0.113.99")
	}}
	for _, c := range []struct{ domain, mx, want string }{
		{"one.test", "10 mx1.test", "mx1.test"},
		{"bare.test", "", "bare.test"},
		{"empty.test", "", "550 5.4.4"},
		{"gone.test", "", "550 5.1.2"},
		{"null.test", "", "556 5.1.10"},
		{"nohost.test", "", "550 5.4.4"},
		{"servfail.test", "", "451 4.4.3"},
		{"text.test", "10 192.0.2.1", "550 5.4.4"},
		{"lost.test", "10 none.test, 20 empty.test", "550 5.4.4"},
		{"half.test", "10 none.test, 20 broken.test", "451 4.4.3"},
		{"private.test", "10 inside.test", "550 5.4.4"},
		{"privatepart.test", "10 partinside.test", "451 4.4.3"},
		{"privatelater.test", "10 inside.test, 20 broken.test", "451 4.4.3"},
		{"loop.test", "10 relay.test, 20 mx1.test", "554 5.4.6"},
		{"equal.test", "10 mx1.test, 10 relay.test", "554 5.4.6"},
		{"backup.test", "10 mx1.test, 20 relay.test, 30 mx2.test", "mx1.test"},
		{"loopaddr.test", "10 self.test, 20 mx1.test", "554 5.4.6"},
		{"equaladdr.test", "10 mx1.test, 10 self.test", "554 5.4.6"},
		{"[203.0.113.7]", "", "[203.0.113.7]"},
		{"[IPv6:2001:DB8::7]", "", "[IPv6:2001:db8::7]"},
		{"[203.0.113.99]", "", "554 5.4.6"},
		{"[127.0.0.1]", "", "550 5.4.4"},
		{"[IPv6:::1]", "", "550 5.4.4"},
		{"[IPv6:::ffff:127.0.0.1]", "", "550 5.4.4"},
		{"[2001:db8::7]", "", "550 5.1.3"},
		{"[nonsense]", "", "550 5.1.3"},
		{"[203.0.113.7", "", "550 5.1.3"},
	} {
		if c.mx != "" {
			n.domain(c.domain, c.mx)
		}
		s, got := lookup(t, n, c.domain, mail.TLSPolicy{}, o)
		if got != c.want {
			t.Errorf("%s (%s): %s, want %s", c.domain, c.mx, got, c.want)
		}
		if got == s.Key && !s.Expires.After(time.Now()) {
			t.Errorf("%s: has expired", c.domain)
		}
	}
}
