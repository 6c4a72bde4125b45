package site_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"postrider/internal/dns"
	"postrider/relay/site"
)

// ptrNames knows names of addresses, too. Of those that it does not know it says that
// they have none, and of 203.0.113.6 nothing.
type ptrNames struct {
	*names
	ptr map[string][]string
}

func (p ptrNames) PTR(_ context.Context, addr netip.Addr) (dns.Names, error) {
	if addr == netip.MustParseAddr("203.0.113.6") {
		return dns.Names{}, &dns.Error{Kind: dns.ErrTemporary}
	}
	list, ok := p.ptr[addr.String()]
	if !ok {
		return dns.Names{}, &dns.Error{Kind: dns.ErrNotFound}
	}
	return dns.Names{Names: list}, nil
}

// Covers T4.
func TestPTR(t *testing.T) {
	n := newNames()
	n.host("good.test", "203.0.113.1", "2001:db8::1")
	n.host("other.test", "203.0.113.2")
	n.addrs["partial.test"] = dns.Addresses{V6: n.addrs["good.test"].V6, Partial: true}
	ptr := ptrNames{names: n, ptr: map[string][]string{
		"203.0.113.1": {"old.test", "good.test"},
		"2001:db8::1": {"good.test"},
		"203.0.113.2": {"forged.test"},
		"203.0.113.4": {},
		"203.0.113.5": {"broken.test"},
	}}
	n.fails["A broken.test"] = &dns.Error{Kind: dns.ErrTemporary}
	for _, c := range []struct{ addr, hello, want string }{
		{"203.0.113.1", "good.test", ""},
		{"::ffff:203.0.113.1", "good.test", ""},
		{"2001:db8::1", "good.test", ""},
		{"203.0.113.1", "other.test", "the name in EHLO"},
		{"203.0.113.1", "none.test", "the name in EHLO"},
		{"203.0.113.1", "broken.test", "later"},
		{"203.0.113.1", "partial.test", "later"},
		{"2001:db8::1", "partial.test", ""},
		{"203.0.113.2", "other.test", "no name of"},
		{"203.0.113.3", "other.test", "no PTR"},
		{"203.0.113.4", "other.test", "no PTR"},
		{"203.0.113.5", "other.test", "later"},
		{"203.0.113.6", "other.test", "later"},
	} {
		err := site.CheckPTR(t.Context(), ptr, netip.MustParseAddr(c.addr), c.hello)
		switch {
		case c.want == "" && err == nil:
		case c.want == "later" && errors.Is(err, dns.ErrTemporary) && !errors.Is(err, site.ErrNames):
		case c.want != "" && errors.Is(err, site.ErrNames) && strings.Contains(err.Error(), c.want):
		default:
			t.Errorf("%s %s: %v, want %q", c.addr, c.hello, err, c.want)
		}
	}
}
