package dnscheck

import (
	"net/netip"
	"testing"
)

// A policy is what others write. It covers an address of nobody only when it has a
// word that does.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{"v=spf1 mx a:mail.example.org/24 ip4:192.0.2.0/24 -all", "+all", "ip6:::/0", "redirect=x", "ip4:1/99", "a//64 mx:/x :"} {
		f.Add(seed)
	}
	own := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	f.Fuzz(func(t *testing.T, text string) {
		p := parsePolicy(text, "example.org", "mail.example.org", true, own)
		for _, x := range p.prefixes {
			if !x.IsValid() || x != x.Masked() {
				t.Errorf("%q has the prefix %v", text, x)
			}
		}
		if without := parsePolicy(text, "example.org", "mail.example.org", false, nil); len(without.prefixes) > len(p.prefixes) {
			t.Errorf("%q covers more without addresses of ours", text)
		}
	})
}
