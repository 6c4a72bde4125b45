package dnstest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"
)

// Kind is what goes wrong.
type Kind string

// The kinds of faults. NullMX, NoMX, CNAME and CNAMELoop change the records of a
// mail domain, all others every answer.
const (
	ServFail  Kind = "servfail"
	Timeout   Kind = "timeout" // no answer
	NXDomain  Kind = "nxdomain"
	Truncate  Kind = "truncate"   // over UDP: the client must come again over TCP
	Lame      Kind = "lame"       // REFUSED, as from a server that does not have the zone
	Slow      Kind = "slow"       // the right answer, late
	NullMX    Kind = "nullmx"     // RFC 7505: takes no mail
	NoMX      Kind = "nomx"       // mail goes to the address of the domain
	CNAME     Kind = "cname"      // the domain is another name of one that has the MX
	CNAMELoop Kind = "cname-loop" // two names of each other

	NoTCP         Kind = "no-tcp"         // truncated over UDP, and over TCP the connection ends
	NoEDNS        Kind = "no-edns"        // FORMERR for queries with EDNS
	WrongID       Kind = "wrong-id"       // the right answer, to another query
	WrongQuestion Kind = "wrong-question" // an answer to something else
	Spoofed       Kind = "spoofed"        // over UDP such answers come first, and the right one then
	Flood         Kind = "flood"          // over UDP only such answers come, and many
	Garbage       Kind = "garbage"        // no message at all
	Referral      Kind = "referral"       // the server says who would know
)

// Fault is a fault of some names. Delay comes before the answer, whatever it is.
type Fault struct {
	Kind  Kind
	Delay time.Duration
}

// ParseFault reads "servfail", "timeout", ... or "slow:200ms".
func ParseFault(text string) (Fault, error) {
	kind, delay, slow := strings.Cut(text, ":")
	f := Fault{Kind: Kind(kind)}
	switch f.Kind {
	case Slow:
		d, err := time.ParseDuration(delay)
		if err != nil || d <= 0 {
			return Fault{}, fmt.Errorf("dnstest: %q: a delay such as slow:200ms is needed", text)
		}
		f.Delay = d
		return f, nil
	case ServFail, Timeout, NXDomain, Truncate, Lame, NullMX, NoMX, CNAME, CNAMELoop,
		NoTCP, NoEDNS, WrongID, WrongQuestion, Spoofed, Flood, Garbage, Referral:
		if !slow {
			return f, nil
		}
	}
	return Fault{}, fmt.Errorf("dnstest: unknown fault %q", text)
}

// share is a fault of a part of the domains or of the queries.
type share struct {
	Fault
	from, to float64 // of [0, 1)
	queries  bool
	sum      float64 // queries: the share of those that came, modulo 1
}

type faults struct {
	mu     sync.Mutex // guards following
	names  map[string]Fault
	shares []*share
	used   float64 // of the domains, by shares
}

// ErrShare reports shares that are below 0 or make more than the whole.
var ErrShare = errors.New("dnstest: shares are from 0 to 100 % and together not above")

// Fail makes a name and everything below it fail, in place of an earlier fault of
// the same name.
func (s *Server) Fail(name string, f Fault) {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	if s.fault.names == nil {
		s.fault.names = map[string]Fault{}
	}
	s.fault.names[canonical(name)] = f
}

// FailDomains makes a share of the mail domains fail, chosen by a hash of their
// names: always the same ones, and others than those of earlier calls.
func (s *Server) FailDomains(percent float64, f Fault) error {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	from := s.fault.used
	if !(percent >= 0) || from+percent/100 > 1+1e-9 {
		return ErrShare
	}
	s.fault.used += percent / 100
	s.fault.shares = append(s.fault.shares, &share{Fault: f, from: from, to: s.fault.used})
	return nil
}

// FailQueries makes a share of all queries fail, spread evenly.
func (s *Server) FailQueries(percent float64, f Fault) error {
	if !(percent >= 0 && percent <= 100) {
		return ErrShare
	}
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.shares = append(s.fault.shares, &share{Fault: f, to: percent / 100, queries: true})
	return nil
}

// Heal ends the fault that Fail gave to a name.
func (s *Server) Heal(name string) {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	delete(s.fault.names, canonical(name))
}

// HealAll ends every fault.
func (s *Server) HealAll() {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.names, s.fault.shares, s.fault.used = nil, nil, 0
}

// FaultOf returns the steady fault of a domain: by its name or by a share of the
// domains.
func (s *Server) FaultOf(domain string) (Fault, bool) {
	domain = canonical(domain)
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	if f, ok := s.fault.namedLocked(domain); ok {
		return f, true
	}
	at := position(domain)
	for _, sh := range s.fault.shares {
		if !sh.queries && at >= sh.from && at < sh.to {
			return sh.Fault, true
		}
	}
	return Fault{}, false
}

// of returns what goes wrong with a query, and how long it takes. Delays add up; of
// the kinds the first decides: names before shares.
func (f *faults) of(domain, name string) (kind Kind, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	take := func(ft Fault) {
		delay += ft.Delay
		if kind == "" && ft.Kind != Slow {
			kind = ft.Kind
		}
	}
	if ft, ok := f.namedLocked(name); ok {
		take(ft)
	}
	at := position(domain)
	for _, sh := range f.shares {
		if sh.queries {
			if sh.sum += sh.to; sh.sum < 1-1e-9 {
				continue
			}
			sh.sum--
		} else if domain == "" || at < sh.from || at >= sh.to {
			continue
		}
		take(sh.Fault)
	}
	return kind, delay
}

// namedLocked returns the fault of a name or of the nearest above it.
func (f *faults) namedLocked(name string) (Fault, bool) {
	for at := name; at != "" && len(f.names) > 0; _, at, _ = strings.Cut(at, ".") {
		if ft, ok := f.names[at]; ok {
			return ft, true
		}
	}
	return Fault{}, false
}

// position maps a domain into [0, 1), evenly.
func position(domain string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(domain)) // can't fail
	v := h.Sum64()
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd // names that differ in a digit must not lie together
	v ^= v >> 33
	return float64(v>>11) / (1 << 53)
}
