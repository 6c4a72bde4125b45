package dnstest

import (
	"sync"

	"github.com/miekg/dns"
)

// Counts are queries since the Server was made.
type Counts struct {
	Queries int64 // all
	TCP     int64 // of them, those over TCP
	Unknown int64 // of them, those for names that nobody has
	Failed  int64 // of them, those that a fault has met; delays alone do not count

	MX, A, AAAA, TXT, TLSA, PTR, Other int64 // by type
}

type counts struct {
	mu      sync.Mutex // guards following
	all     Counts
	domains map[string]int64 // only of known domains, so that a stranger can't fill it
}

// Counts returns the totals.
func (s *Server) Counts() Counts {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	return s.n.all
}

// Queries returns how many queries came for a domain and the names below it. Hosts
// that belong to no mail domain are counted by their own name.
func (s *Server) Queries(domain string) int64 {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	return s.n.domains[canonical(domain)]
}

func (c *counts) add(domain string, kind uint16, udp, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.Queries++
	if !udp {
		c.all.TCP++
	}
	if failed {
		c.all.Failed++
	}
	if domain == "" {
		c.all.Unknown++
	} else {
		c.domains[domain]++
	}
	switch kind {
	case dns.TypeMX:
		c.all.MX++
	case dns.TypeA:
		c.all.A++
	case dns.TypeAAAA:
		c.all.AAAA++
	case dns.TypeTXT:
		c.all.TXT++
	case dns.TypeTLSA:
		c.all.TLSA++
	case dns.TypePTR:
		c.all.PTR++
	default:
		c.all.Other++
	}
}
