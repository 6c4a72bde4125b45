package site

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postrider/internal/dns"
	"postrider/internal/mail"
)

// What stands in the way of mail for a domain.
var (
	statusLater     = mail.NewStatus(451, 4, 4, 3, "the name service gave no answer for the domain or its mail exchangers")
	statusTargets   = mail.NewStatus(451, 4, 4, 4, "no mail exchanger has an address that can be used")
	statusNull      = mail.NewStatus(556, 5, 1, 10, "the domain takes no mail (null MX)") // RFC 7505 section 4.2
	statusNoDomain  = mail.NewStatus(550, 5, 1, 2, "the domain does not exist")
	statusLoop      = mail.NewStatus(554, 5, 4, 6, "mail for the domain would come back to this system")
	statusNoAddress = mail.NewStatus(550, 5, 4, 4, "no mail exchanger of the domain has an address")
	statusPrivate   = mail.NewStatus(550, 5, 4, 4, "the mail exchangers of the domain have only private addresses")
	statusLiteral   = mail.NewStatus(550, 5, 1, 3, "the address literal is not valid")
)

// Lookup returns the site of a domain, or why there is none: a zero status comes
// with a site, a temporary one asks for another try later, a permanent one is the end
// of all mail for this domain. The domain may be an address literal with its brackets.
func Lookup(ctx context.Context, r Resolver, domain string, policy mail.TLSPolicy, o *Options) (Site, mail.Status) {
	ctx, cancel := context.WithTimeout(ctx, o.total())
	defer cancel()
	if strings.HasPrefix(domain, "[") {
		return literal(domain, policy, o)
	}
	s, status := lookup(ctx, r, domain, policy, o)
	if status.Permanent() { // a second answer past the cache, before mail ends
		s, status = lookup(dns.Fresh(ctx), r, domain, policy, o)
	}
	return s, status
}

func lookup(ctx context.Context, r Resolver, domain string, policy mail.TLSPolicy, o *Options) (Site, mail.Status) {
	mx, err := r.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNotFound):
		return Site{}, statusNoDomain
	case err != nil:
		return Site{}, statusLater
	case mx.Null:
		return Site{}, statusNull
	}
	s, loops := Compose(&mx, policy, o, time.Now())
	if loops {
		return Site{}, statusLoop
	}
	if len(s.Hosts) == 0 {
		return Site{}, statusNoAddress
	}
	if status := usable(ctx, r, &s, o); !status.IsZero() {
		return Site{}, status
	}
	return s, mail.Status{}
}

// usable looks at the hosts of a site, preference by preference, until one has an
// address that can be used.
func usable(ctx context.Context, r Resolver, s *Site, o *Options) mail.Status {
	var seen findings
	for at, end := 0, 0; at < len(s.Hosts); at = end {
		end = s.group(at)
		addrs := 0
		for _, h := range seen.resolveAll(ctx, r, s, s.Hosts[at:end], o) {
			addrs += len(h.v4) + len(h.v6)
		}
		if seen.own { // neither this preference nor a worse one (RFC 5321 section 5.1)
			break
		}
		if addrs > 0 {
			return mail.Status{}
		}
	}
	return seen.status()
}

// group returns the end of the hosts that have the preference of the one at at.
func (s *Site) group(at int) int {
	end := at + 1
	for end < len(s.Hosts) && s.Hosts[end].Preference == s.Hosts[at].Preference {
		end++
	}
	return end
}

// findings are what came of resolving hosts.
type findings struct {
	temporary, private, own bool
}

func (f *findings) add(g findings) {
	f.temporary, f.private, f.own = f.temporary || g.temporary, f.private || g.private, f.own || g.own
}

func (f *findings) status() mail.Status {
	switch {
	case f.temporary:
		return statusLater
	case f.own:
		return statusLoop
	case f.private:
		return statusPrivate
	}
	return statusNoAddress
}

// found are the addresses of a host that may be used.
type found struct {
	v6, v4    []netip.Addr
	authentic bool
}

// resolveAll returns what may be used of each of some hosts, asking for all at once.
func (f *findings) resolveAll(ctx context.Context, r Resolver, s *Site, hosts []Host, o *Options) []found {
	out, each := make([]found, len(hosts)), make([]findings, len(hosts))
	var wg sync.WaitGroup
	for i := 1; i < len(hosts); i++ {
		wg.Go(func() { each[i].resolve(ctx, r, s, &hosts[i], o, &out[i]) })
	}
	each[0].resolve(ctx, r, s, &hosts[0], o, &out[0])
	wg.Wait()
	for _, g := range each {
		f.add(g)
	}
	return out
}

// resolve puts into out what may be used of a host.
func (f *findings) resolve(ctx context.Context, r Resolver, s *Site, h *Host, o *Options, out *found) {
	if addr, ok := parseLiteral(h.Name); ok {
		f.sort(out, addr, h, o)
		return
	}
	a, err := r.Addresses(ctx, h.Name)
	if err != nil {
		f.temporary = f.temporary || !errors.Is(err, dns.ErrNotFound) && !errors.Is(err, dns.ErrNoData)
		return
	}
	f.temporary = f.temporary || a.Partial
	out.authentic = s.Authentic && a.Authentic
	for _, addr := range a.V6 {
		f.sort(out, addr, h, o)
	}
	for _, addr := range a.V4 {
		f.sort(out, addr, h, o)
	}
}

// sort puts an address where it belongs, or notes why it is left out.
func (f *findings) sort(out *found, addr netip.Addr, h *Host, o *Options) {
	addr = addr.Unmap()
	switch {
	case o.ownAddr(h.Name, addr):
		f.own = true
	case Private(addr) && !allowed(addr, o.AllowPrivate):
		f.private = true
	case addr.Is4():
		out.v4 = append(out.v4, addr)
	default:
		out.v6 = append(out.v6, addr)
	}
}

// literal returns the site of an address literal (RFC 5321 section 4.1.3).
func literal(domain string, policy mail.TLSPolicy, o *Options) (Site, mail.Status) {
	addr, ok := parseLiteral(domain)
	if !ok {
		return Site{}, statusLiteral
	}
	s := Site{Hosts: []Host{{Name: formatLiteral(addr)}}, TLS: policy, Expires: time.Now().Add(maxLife)}
	var seen findings
	if seen.sort(&found{}, addr, &s.Hosts[0], o); seen.own || seen.private {
		return Site{}, seen.status()
	}
	s.setKey(o)
	return s, mail.Status{}
}

// parseLiteral reads "[192.0.2.1]" or "[IPv6:2001:db8::1]".
func parseLiteral(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	if !ok {
		return netip.Addr{}, false
	}
	if inner, ok = strings.CutSuffix(inner, "]"); !ok {
		return netip.Addr{}, false
	}
	const tag = "IPv6:"
	six := len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag)
	if six {
		inner = inner[len(tag):]
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil || addr.Zone() != "" || addr.Is4() == six {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

func formatLiteral(addr netip.Addr) string {
	if addr.Is4() {
		return "[" + addr.String() + "]"
	}
	return "[IPv6:" + addr.String() + "]"
}
