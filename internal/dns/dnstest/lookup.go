package dnstest

import (
	"strings"

	"github.com/miekg/dns"
)

// aliasPrefix opens the name that a domain with the CNAME fault points to.
const aliasPrefix = "alias."

// lookup returns the records of a name, CNAMEs before what they lead to, and
// whether the name exists.
func (z *zones) lookup(name string, kind uint16, fault Kind, ttl uint32) (answer []dns.RR, exists bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	from := name // where the records are
	if base, isAlias := strings.CutPrefix(name, aliasPrefix); (fault == CNAME || fault == CNAMELoop) && z.isMailLocked(base) {
		if from = base; !isAlias {
			name = aliasPrefix + base
			answer = append(answer, cname(base, name))
		}
		if fault == CNAMELoop {
			answer = append(answer, cname(name, base))
		}
		if fault == CNAMELoop || kind == dns.TypeCNAME && !isAlias {
			return withTTL(answer, ttl), true
		}
	}
	for range 32 { // a chain of CNAMEs that is longer leads nowhere
		n, ok := z.findLocked(from, fault)
		if !ok {
			return withTTL(answer, ttl), len(answer) > 0
		}
		if rrs := n[kind]; len(rrs) > 0 {
			return withTTL(append(answer, renamed(rrs, from, name)...), ttl), true
		}
		alias := n[dns.TypeCNAME]
		if len(alias) == 0 {
			break
		}
		answer = append(answer, alias[0])
		name = canonical(alias[0].(*dns.CNAME).Target)
		from = name
	}
	return withTTL(answer, ttl), true
}

func cname(from, to string) dns.RR {
	return &dns.CNAME{Hdr: header(from, dns.TypeCNAME), Target: dns.Fqdn(to)}
}

// isMailLocked reports whether name is a mail domain.
func (z *zones) isMailLocked(name string) bool {
	_, below, ok := z.generatedIndex(name)
	return ok && below == "" || z.mail[name]
}

// findLocked returns the records of a name, changed by a fault of its domain.
func (z *zones) findLocked(name string, fault Kind) (n node, ok bool) {
	n, ok = z.generateLocked(name)
	if static, too := z.static[name]; too {
		if !ok {
			n = node{}
		}
		for kind, rrs := range static {
			n[kind] = append(n[kind], rrs...)
		}
		ok = true
	}
	if !ok {
		return nil, z.below[name] > 0 || z.make != nil && (name == Suffix || strings.HasSuffix(Suffix, "."+name))
	}
	if (fault == NullMX || fault == NoMX) && z.isMailLocked(name) {
		delete(n, dns.TypeMX)
		if fault == NullMX { // RFC 7505
			n[dns.TypeMX] = []dns.RR{&dns.MX{Hdr: header(name, dns.TypeMX), Mx: "."}}
		}
	}
	return n, true
}

// generateLocked makes the records of a generated domain or of a host of it.
func (z *zones) generateLocked(name string) (node, bool) {
	i, below, ok := z.generatedIndex(name)
	if !ok {
		return nil, false
	}
	n, domain, known := node{}, Generated(i), below == ""
	for k, mx := range z.make(i) {
		host := mx.host(domain, k)
		if below == "" {
			n[dns.TypeMX] = append(n[dns.TypeMX], &dns.MX{Hdr: header(name, dns.TypeMX), Preference: mx.Preference, Mx: dns.Fqdn(host)})
		}
		if host == name || below == "" && k == 0 { // the domain itself for the case of no MX
			known = true
			for _, rr := range addresses(name, mx.Addrs) {
				n[rr.Header().Rrtype] = append(n[rr.Header().Rrtype], rr)
			}
		}
	}
	return n, known
}

// renamed returns the records of one name under another.
func renamed(rrs []dns.RR, from, to string) []dns.RR {
	if from == to {
		return rrs
	}
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		out[i].Header().Name = dns.Fqdn(to)
	}
	return out
}

// withTTL returns copies of records that may live so long in a cache.
func withTTL(rrs []dns.RR, ttl uint32) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		out[i].Header().Ttl = ttl
	}
	return out
}
