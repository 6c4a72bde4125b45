// Package policy decides who may send through this system, and where to.
//
// The rule is one sentence: clients in the trusted networks and those who have
// logged in may write to anywhere, everyone else only to the domains that this
// system relays for or delivers itself. Nothing in an address can widen it. "%",
// "!" and "@" inside a local part are characters of a name and are never taken for a route (RFC 5321
// appendix F.2 tells of the days when they were); since a server behind this one
// might take them for one, those who are not trusted may not write to such a name.
// A domain is compared whole, and an address literal is a foreign domain even when
// it names this machine.
// The client is the peer of the connection: no header and no command can change
// who that is.
//
// # Concurrency
//
// Rules are immutable. A reload builds new ones, and sessions take them up at
// their next transaction.
package policy

import (
	"bytes"
	"net/netip"
	"slices"

	"postrider/internal/mail"
)

// Options says whom to trust and which domains are ours.
type Options struct {
	Networks     []netip.Prefix // clients that may relay to anywhere
	RelayDomains []string       // domains that anyone may write to, and that are passed on
	LocalDomains []string       // domains that anyone may write to, and that are delivered here
}

// Rules are access rules, ready to be asked.
type Rules struct {
	networks networks
	relay    map[string]struct{}
	local    map[string]struct{}
	loopback bool // the networks hold the whole of loopback's 127.0.0.1 or ::1
}

// What a refused recipient is told. RFC 5321 section 7.9 leaves the reason to
// the site; 5.7.1 is RFC 3463's "delivery not authorized".
var (
	statusRelay = mail.NewStatus(550, 5, 7, 1, "relaying denied")
	statusLocal = mail.NewStatus(550, 5, 7, 1, "only local domains are accepted here")
	statusDaisy = mail.NewStatus(550, 5, 7, 1, "an address with a route in its local part")
)

// New builds rules; o's slices are copied.
func New(o Options) *Rules {
	r := &Rules{
		networks: newNetworks(o.Networks),
		relay:    domainSet(o.RelayDomains),
		local:    domainSet(o.LocalDomains),
	}
	r.loopback = r.networks.contain(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || r.networks.contain(netip.IPv6Loopback())
	return r
}

// Trusted reports a client that may relay to anywhere. The zero address is the
// peer of a unix socket: its file's permissions have let it in, so it counts as
// a loopback client.
func (r *Rules) Trusted(client netip.Addr) bool {
	if !client.IsValid() {
		return r.loopback
	}
	return r.networks.contain(client.Unmap().WithZone(""))
}

// Recipient decides about one recipient of a transaction; the zero Status lets
// it pass. to has a domain, as mail.ParseAddress gives it (lower case); the bare
// postmaster is the caller's to accept. user says that the client has logged in,
// which makes it trusted. With localOnly, as for LMTP, even a trusted client may
// write to local domains only. It does not allocate.
func (r *Rules) Recipient(client netip.Addr, user, localOnly bool, to mail.Address) mail.Status {
	_, local := r.local[string(to.Domain)]
	if localOnly && !local {
		return statusLocal
	}
	if user || r.Trusted(client) {
		return mail.Status{}
	}
	if _, relay := r.relay[string(to.Domain)]; !local && !relay {
		return statusRelay
	}
	if bytes.ContainsAny(to.Local, "%!@") {
		return statusDaisy
	}
	return mail.Status{}
}

// Local reports a domain, in lower case, that is delivered here.
func (r *Rules) Local(domain []byte) bool {
	_, ok := r.local[string(domain)]
	return ok
}

// domainSet indexes domains in lower case. The empty one is left out: it would
// match an address without a domain.
func domainSet(domains []string) map[string]struct{} {
	set := make(map[string]struct{}, len(domains))
	for _, d := range domains {
		b := []byte(d)
		for i, c := range b {
			if c >= 'A' && c <= 'Z' {
				b[i] = c + 'a' - 'A'
			}
		}
		if len(b) > 0 {
			set[string(b)] = struct{}{}
		}
	}
	return set
}

// networks answers whether an address lies in one of many prefixes. Prefixes
// are kept by family as ranges that neither overlap nor touch, so a look-up is
// one binary search.
type networks struct {
	first, last []netip.Addr
}

func newNetworks(prefixes []netip.Prefix) networks {
	type span struct{ first, last netip.Addr }
	var spans []span
	for _, p := range prefixes {
		if p.IsValid() {
			p = p.Masked()
			spans = append(spans, span{p.Addr(), lastOf(p)})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.first.Compare(b.first) })
	var n networks
	for _, s := range spans {
		if k := len(n.last) - 1; k >= 0 && s.first.BitLen() == n.last[k].BitLen() && s.first.Compare(n.last[k]) <= 0 {
			if s.last.Compare(n.last[k]) > 0 {
				n.last[k] = s.last
			}
			continue
		}
		n.first, n.last = append(n.first, s.first), append(n.last, s.last)
	}
	return n
}

func (n *networks) contain(a netip.Addr) bool {
	i, exact := slices.BinarySearchFunc(n.first, a, netip.Addr.Compare)
	if exact {
		return true
	}
	return i > 0 && n.last[i-1].BitLen() == a.BitLen() && a.Compare(n.last[i-1]) <= 0
}

// lastOf returns the highest address of p.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b) // 4 or 16 bytes, always an address
	return a
}
