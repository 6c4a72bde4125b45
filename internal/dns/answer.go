package dns

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// answer is what is known of a name and a type, as the cache keeps it. It is never
// written after it was made.
type answer struct {
	hosts    []Exchanger
	null     bool
	implicit bool
	addrs    []netip.Addr
	texts    []string // of TXT, or the names of PTR
	tlsa     []TLSA
	services []Service

	authentic bool
	expires   time.Time
	fresh     time.Time // until when it counts as got past the cache
	err       error     // an *Error, or nil
}

func (a *answer) facts(now time.Time) Facts {
	return Facts{Authentic: a.authentic, TTL: max(0, a.expires.Sub(now))}
}

// bytes is roughly the memory that a takes.
func (a *answer) bytes() int64 {
	n := 300 + len(a.hosts)*24 + len(a.addrs)*24 + len(a.texts)*16 + len(a.tlsa)*32 + len(a.services)*24
	for _, h := range a.hosts {
		n += len(h.Host)
	}
	for _, t := range a.texts {
		n += len(t)
	}
	for _, s := range a.services {
		n += len(s.Host)
	}
	for _, t := range a.tlsa {
		n += len(t.Data)
	}
	if a.err != nil {
		n += 80
	}
	return int64(n)
}

// part is what one message says of a name.
type part struct {
	records []wire.RR // of the type, of the name at the end of the chain
	next    string    // the name at the end of the chain, when it is to be asked for
	links   int       // CNAMEs that were followed
	ttl     uint32    // seconds, the least of what was used
}

// follow walks from name through the CNAMEs of m and collects what it finds at their
// end. Records of other names are not looked at.
func follow(m *wire.Msg, name string, kind uint16, links int) (part, error) {
	p := part{next: name, links: links, ttl: ^uint32(0)}
	for {
		var alias *wire.CNAME
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != wire.ClassINET || !sameName(h.Name, p.next) {
				continue
			}
			if h.Rrtype == kind {
				p.records, p.ttl = append(p.records, rr), min(p.ttl, h.Ttl)
			} else if c, ok := rr.(*wire.CNAME); ok {
				alias = c
			}
		}
		if len(p.records) > 0 || alias == nil {
			return p, nil
		}
		if p.links++; p.links > MaxChain {
			return p, errChain // also a loop ends here
		}
		// Any name will do: those of RFC 2317 have a slash in them.
		p.next, p.ttl = strings.ToLower(strings.TrimSuffix(alias.Target, ".")), min(p.ttl, alias.Hdr.Ttl)
	}
}

// sameName compares a name from a message with a canonical one.
func sameName(got, canon string) bool {
	return strings.EqualFold(strings.TrimSuffix(got, "."), canon)
}

// fill puts the records into the answer.
func (a *answer) fill(records []wire.RR) {
	for _, rr := range records {
		switch v := rr.(type) {
		case *wire.MX:
			a.addHost(v)
		case *wire.A:
			a.addAddress(netip.AddrFromSlice(v.A))
		case *wire.AAAA:
			a.addAddress(netip.AddrFromSlice(v.AAAA))
		case *wire.TXT:
			if len(a.texts) < MaxTexts {
				a.texts = append(a.texts, strings.Join(v.Txt, ""))
			}
		case *wire.PTR:
			if host, ok := hostName(v.Ptr); ok && len(a.texts) < MaxTexts {
				a.texts = append(a.texts, host)
			}
		case *wire.SRV:
			a.addService(v)
		case *wire.TLSA:
			if data, err := hex.DecodeString(v.Certificate); err == nil && len(a.tlsa) < MaxTexts {
				a.tlsa = append(a.tlsa, TLSA{Usage: v.Usage, Selector: v.Selector, Matching: v.MatchingType, Data: data})
			}
		}
	}
	a.sortHosts()
}

func (a *answer) addAddress(addr netip.Addr, ok bool) {
	if ok && len(a.addrs) < MaxAddresses && !slices.Contains(a.addrs, addr.Unmap()) {
		a.addrs = append(a.addrs, addr.Unmap())
	}
}

func (a *answer) addHost(mx *wire.MX) {
	if mx.Mx == "." { // RFC 7505 section 3
		a.null = true
		return
	}
	if host, ok := hostName(mx.Mx); ok {
		a.hosts = append(a.hosts, Exchanger{Host: host, Preference: mx.Preference})
	}
}

// sortHosts brings the exchangers in order, each host once at its best preference,
// and caps them. A null MX among others is none (RFC 7505 section 3: a domain that
// has it must not have others, so that such a domain is wrong, and takes mail).
func (a *answer) sortHosts() {
	if len(a.hosts) == 0 {
		return
	}
	a.null = false
	byName := func(x, y Exchanger) int { return strings.Compare(x.Host, y.Host) }
	byPreference := func(x, y Exchanger) int {
		if x.Preference != y.Preference {
			return int(x.Preference) - int(y.Preference)
		}
		return byName(x, y)
	}
	slices.SortFunc(a.hosts, byPreference)
	seen := make(map[string]bool, len(a.hosts))
	a.hosts = slices.DeleteFunc(a.hosts, func(e Exchanger) bool {
		again := seen[e.Host]
		seen[e.Host] = true
		return again
	})
	a.hosts = slices.Clone(a.hosts[:min(len(a.hosts), MaxHosts)])
}

// negativeTTL returns for how long "there is none" holds (RFC 2308 section 5), 0
// when the message does not say.
func negativeTTL(m *wire.Msg) (seconds uint32, known bool) {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*wire.SOA); ok {
			return min(soa.Hdr.Ttl, soa.Minttl), true
		}
	}
	return 0, false
}
