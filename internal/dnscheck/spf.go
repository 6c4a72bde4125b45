package dnscheck

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// policy checks who may send in the name of the domain (SPF, RFC 7208): there must be
// one policy, and it must let this server send.
func (c *Checker) policy(ctx context.Context, domain string) Record {
	own, hostErr := c.addresses(ctx, c.o.Hostname)
	r := Record{Name: domain + ".", Type: "TXT", Want: strconv.Quote(c.wanted(own)), Needed: true}
	texts, err := c.r.TXT(ctx, domain)
	var found []string
	for _, t := range texts.Texts {
		if version, _, _ := strings.Cut(t, " "); strings.EqualFold(version, "v=spf1") { // section 4.5
			found = append(found, t)
			r.Have = append(r.Have, strconv.Quote(t))
		}
	}
	if r.ask(err, true); r.State != OK {
		return r
	}
	switch len(found) {
	case 0:
		r.State = Missing
		return r
	case 1:
	default:
		r.State, r.Note = Different, "there must be only one (RFC 7208 section 4.5)"
		return r
	}
	if r.ask(hostErr, true); r.State == Unknown {
		return r
	}
	mx, err := c.r.MX(ctx, domain)
	mxHere := err == nil && !mx.Null
	if mxHere {
		mxHere = false
		for _, h := range mx.Hosts {
			mxHere = mxHere || same([]string{h.Host}, c.o.Hostname)
		}
	}
	p := parsePolicy(found[0], domain, c.o.Hostname, mxHere, own)
	r.State = OK
	for _, a := range c.senders(own) {
		switch {
		case p.covers(a):
		case p.open:
			r.Note = "it names other records, which are not followed"
		default:
			r.State, r.Note = Different, "it does not let "+a.String()+" send"
			return r
		}
	}
	return r
}

// senders are the addresses that mail is sent from.
func (c *Checker) senders(own []netip.Addr) []netip.Addr {
	list := slices.Clone(own)
	for _, s := range c.o.Sources {
		if !slices.Contains(list, s.Addr) {
			list = append(list, s.Addr)
		}
	}
	return list
}

// wanted is a policy that lets this server send and nobody else.
func (c *Checker) wanted(own []netip.Addr) string {
	text := "v=spf1 mx"
	for _, a := range c.senders(own)[len(own):] {
		if a.Is4() {
			text += " ip4:" + a.String()
		} else {
			text += " ip6:" + a.String()
		}
	}
	return text + " -all"
}

// senderPolicy is what can be said of a policy without asking for more.
type senderPolicy struct {
	prefixes []netip.Prefix
	open     bool // it goes on elsewhere
}

func (p *senderPolicy) covers(a netip.Addr) bool {
	return slices.ContainsFunc(p.prefixes, func(x netip.Prefix) bool { return x.Contains(a) })
}

// parsePolicy reads the mechanisms that let somebody send (section 5). own are the
// addresses of host, which is an exchanger of the domain when mx says so.
func parsePolicy(text, domain, host string, mx bool, own []netip.Addr) (p senderPolicy) {
	add := func(prefix netip.Prefix, err error) {
		if err == nil {
			p.prefixes = append(p.prefixes, prefix.Masked())
		}
	}
	for term := range strings.FieldsSeq(text) {
		term = strings.TrimPrefix(strings.ToLower(term), "+")
		name, value, _ := strings.Cut(term, ":")
		bare, _, bits := strings.Cut(name, "/")
		switch {
		case strings.HasPrefix(term, "redirect="), name == "include", name == "exists", bare == "ptr":
			p.open = true
		case name == "ip4", name == "ip6":
			if strings.Contains(value, "/") {
				add(netip.ParsePrefix(value))
			} else if a, err := netip.ParseAddr(value); err == nil {
				add(a.Prefix(a.BitLen()))
			}
		case bare == "a", bare == "mx":
			named := domain
			if value != "" {
				var more string
				named, more, _ = strings.Cut(strings.TrimSuffix(value, "."), "/")
				bits = bits || more != ""
			}
			if bare == "a" && same([]string{named}, host) || bare == "mx" && mx && same([]string{named}, domain) {
				for _, a := range own {
					add(a.Prefix(a.BitLen()))
				}
			} else {
				p.open = true
			}
			p.open = p.open || bits
		case term == "all":
			for _, any := range []string{"0.0.0.0/0", "::/0"} {
				add(netip.ParsePrefix(any))
			}
		}
	}
	return p
}
