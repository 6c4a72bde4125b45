package dnstest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// MX is a mail exchanger of a domain. Host may be shared by many domains; "" is a
// host below the domain, mx<k>.<domain>. Addrs are added to what the host has.
type MX struct {
	Preference uint16
	Host       string
	Addrs      []netip.Addr
}

// Suffix is the domain below which Generate makes domains.
const Suffix = "bench.test"

// Generated returns the name of a domain that Generate makes: d<i>.bench.test.
func Generated(i int) string { return "d" + strconv.Itoa(i) + "." + Suffix }

// node holds the records of a name by type.
type node map[uint16][]dns.RR

// zones holds all names.
type zones struct {
	mu        sync.RWMutex    // guards following
	static    map[string]node // by canonical name
	mail      map[string]bool // domains of AddMail
	below     map[string]int  // how many of static are below a name (RFC 8020)
	generated int
	make      func(i int) []MX
}

// canonical returns a name in lower case without the dot at its end.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// AddMail makes a domain that has these exchangers. With none of them it exists
// and has no MX: its own address, see AddHost, is where its mail goes (RFC 5321
// section 5.1).
func (s *Server) AddMail(domain string, exchangers ...MX) {
	domain = canonical(domain)
	z := &s.zones
	z.mu.Lock()
	defer z.mu.Unlock()
	z.mail[domain] = true
	z.nodeLocked(domain)
	for k, mx := range exchangers {
		host := mx.host(domain, k)
		z.addLocked(&dns.MX{Hdr: header(domain, dns.TypeMX), Preference: mx.Preference, Mx: dns.Fqdn(host)})
		z.addHostLocked(host, mx.Addrs)
	}
}

func (mx *MX) host(domain string, k int) string {
	if mx.Host != "" {
		return canonical(mx.Host)
	}
	return "mx" + strconv.Itoa(k) + "." + domain
}

// AddHost gives a host more addresses; those that it has are not added again.
func (s *Server) AddHost(host string, addrs ...netip.Addr) {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	s.zones.addHostLocked(canonical(host), addrs)
}

// AddTXT gives a name a text of any length, as for SPF, DKIM or MTA-STS.
func (s *Server) AddTXT(name, text string) {
	var parts []string
	for len(text) > 255 { // RFC 1035 section 3.3
		parts, text = append(parts, text[:255]), text[255:]
	}
	s.add(&dns.TXT{Hdr: header(name, dns.TypeTXT), Txt: append(parts, text)})
}

// AddTLSA says which certificate a service has (RFC 6698): name is
// "_25._tcp.<host>", certificate the association data in hexadecimal.
func (s *Server) AddTLSA(name string, usage, selector, matching uint8, certificate string) {
	s.add(&dns.TLSA{Hdr: header(name, dns.TypeTLSA), Usage: usage, Selector: selector, MatchingType: matching, Certificate: certificate})
}

// AddCNAME makes name another name of target.
func (s *Server) AddCNAME(name, target string) {
	s.add(&dns.CNAME{Hdr: header(name, dns.TypeCNAME), Target: dns.Fqdn(canonical(target))})
}

// AddPTR names an address.
func (s *Server) AddPTR(addr netip.Addr, host string) error {
	name, err := dns.ReverseAddr(addr.Unmap().String())
	if err != nil {
		return fmt.Errorf("dnstest: %w", err)
	}
	s.AddPTRName(name, host)
	return nil
}

// AddPTRName names what a name of in-addr.arpa stands for.
func (s *Server) AddPTRName(name, host string) {
	s.add(&dns.PTR{Hdr: header(name, dns.TypePTR), Ptr: dns.Fqdn(canonical(host))})
}

// Remove forgets every record of a name.
func (s *Server) Remove(name string) {
	name = canonical(name)
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	if s.zones.static[name] != nil {
		s.zones.countLocked(name, -1)
	}
	delete(s.zones.static, name)
	delete(s.zones.mail, name)
}

// Generate makes the domains d0.bench.test to d<n-1>.bench.test. Their exchangers
// are what mail returns at each query: it must be fast, safe for concurrent use and
// always say the same. Hosts outside of the domain are added with AddHost.
func (s *Server) Generate(n int, mail func(i int) []MX) {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	s.zones.generated, s.zones.make = n, mail
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: dns.Fqdn(canonical(name)), Rrtype: kind, Class: dns.ClassINET}
}

func (s *Server) add(rr dns.RR) {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	s.zones.addLocked(rr)
}

// nodeLocked returns the records of a name, making room for them.
func (z *zones) nodeLocked(name string) node {
	n := z.static[name]
	if n == nil {
		n = node{}
		z.static[name] = n
		z.countLocked(name, 1)
	}
	return n
}

// countLocked keeps below when a name comes or goes.
func (z *zones) countLocked(name string, by int) {
	for _, up, _ := strings.Cut(name, "."); up != ""; _, up, _ = strings.Cut(up, ".") {
		if z.below[up] += by; z.below[up] == 0 {
			delete(z.below, up)
		}
	}
}

func (z *zones) addLocked(rr dns.RR) {
	n, kind := z.nodeLocked(canonical(rr.Header().Name)), rr.Header().Rrtype
	n[kind] = append(n[kind], rr)
}

func (z *zones) addHostLocked(host string, addrs []netip.Addr) {
	n := z.nodeLocked(host)
	for _, rr := range addresses(host, addrs) {
		known := func(have dns.RR) bool { return dns.IsDuplicate(have, rr) }
		if !slices.ContainsFunc(n[rr.Header().Rrtype], known) {
			z.addLocked(rr)
		}
	}
}

func addresses(host string, addrs []netip.Addr) (rrs []dns.RR) {
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			rrs = append(rrs, &dns.A{Hdr: header(host, dns.TypeA), A: a.AsSlice()})
		} else {
			rrs = append(rrs, &dns.AAAA{Hdr: header(host, dns.TypeAAAA), AAAA: a.AsSlice()})
		}
	}
	return rrs
}

// generatedIndex reads i out of d<i>.bench.test or a name below it.
func (z *zones) generatedIndex(name string) (i int, below string, ok bool) {
	rest, ok := strings.CutSuffix(name, "."+Suffix)
	if !ok || z.make == nil {
		return 0, "", false
	}
	label := rest
	if at := strings.LastIndexByte(rest, '.'); at >= 0 {
		below, label = rest[:at], rest[at+1:]
	}
	digits, ok := strings.CutPrefix(label, "d")
	if i, err := strconv.Atoi(digits); ok && err == nil && i >= 0 && i < z.generated && strconv.Itoa(i) == digits {
		return i, below, true
	}
	return 0, "", false
}

// domain returns the mail domain that a name belongs to; a host of none is its own,
// and "" stands for names that nobody knows.
func (z *zones) domain(name string) string {
	z.mu.RLock()
	defer z.mu.RUnlock()
	if i, _, ok := z.generatedIndex(name); ok {
		return Generated(i)
	}
	for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
		if z.mail[at] {
			return at
		}
	}
	if z.static[name] != nil {
		return name
	}
	return ""
}
