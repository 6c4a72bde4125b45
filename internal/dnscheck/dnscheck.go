// Package dnscheck knows which records a mail server and its domains should have in
// the DNS, and holds what is there against them: the server's addresses and their
// names, where mail for a domain goes (MX), who may send in its name (SPF), and how
// its users' programs find the server (SRV of RFC 6186 and RFC 8314, autoconfig).
//
// Guarantees:
//
//   - Records are only read. A name service that gives no answer makes a record
//     Unknown, never Missing.
//   - What is wanted can be put into a zone as it is written.
//
// # Concurrency
//
// A Checker has no state and asks one question after the other.
package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"postrider/internal/dns"
)

// State is what became of a record.
type State string

// The states.
const (
	OK        State = "ok"
	Missing   State = "missing"
	Different State = "different"
	Unknown   State = "unknown" // the name service did not answer
)

// Record is one that should be there.
type Record struct {
	Name   string   `json:"name"` // with a dot at its end
	Type   string   `json:"type"`
	Want   string   `json:"want"` // the data, as a zone has it
	Have   []string `json:"have"` // what is there in its place or besides
	State  State    `json:"state"`
	Needed bool     `json:"needed"` // without it mail is lost or refused; else it is convenience
	Note   string   `json:"note,omitempty"`
}

// Resolver is what asks; *dns.Resolver is one.
type Resolver interface {
	MX(ctx context.Context, domain string) (dns.MX, error)
	TXT(ctx context.Context, name string) (dns.Texts, error)
	SRV(ctx context.Context, name string) (dns.Services, error)
	PTR(ctx context.Context, addr netip.Addr) (dns.Names, error)
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
}

// Source is an address that mail is sent from, and the name it says in EHLO.
type Source struct {
	Addr netip.Addr
	Name string
}

// Options say what the server is.
type Options struct {
	Hostname   string
	Sources    []Source          // besides the addresses of Hostname
	Ports      map[string]uint16 // of "submission", "submissions", "pop3", "pop3s", "imap", "imaps"; what is left out the server does not have
	Autoconfig bool              // it answers mail programs that ask for their settings
}

// Checker compares.
type Checker struct {
	r Resolver
	o Options
}

// New returns a Checker.
func New(r Resolver, o Options) *Checker { return &Checker{r, o} }

// Level sums up: 0 when all is as it should be, 1 when something convenient is not, 2
// when something needed is not or nobody knows.
func Level(records []Record) (level int) {
	for _, r := range records {
		switch {
		case r.State == OK:
		case r.Needed, r.State == Unknown:
			return 2
		default:
			level = 1
		}
	}
	return level
}

// ask fills in the state of a record from an answer: present says whether it is as it
// should be.
func (r *Record) ask(err error, present bool) {
	switch {
	case errors.Is(err, dns.ErrTemporary):
		r.State, r.Note = Unknown, err.Error()
	case err != nil:
		r.State = Missing
	case present:
		r.State = OK
	default:
		r.State = Different
	}
}

// Host checks the records of the server itself: that its name has addresses, and
// that these have the name, without which many refuse its mail.
func (c *Checker) Host(ctx context.Context) []Record {
	host := Record{Name: c.o.Hostname + ".", Type: "A/AAAA", Want: "the server's addresses", Needed: true}
	addrs, err := c.addresses(ctx, c.o.Hostname)
	for _, a := range addrs {
		host.Have = append(host.Have, a.String())
	}
	host.ask(err, true)
	records := []Record{host}
	sources := slices.Clone(c.o.Sources)
	for _, a := range addrs {
		if !slices.ContainsFunc(sources, func(s Source) bool { return s.Addr == a }) {
			sources = append(sources, Source{a, c.o.Hostname})
		}
	}
	for _, s := range sources {
		if s.Name == "" {
			s.Name = c.o.Hostname
		}
		records = append(records, c.pointer(ctx, s))
	}
	return records
}

// pointer checks the name of an address and, since anybody may claim one, that the
// name has the address.
func (c *Checker) pointer(ctx context.Context, s Source) Record {
	r := Record{Name: s.Addr.String(), Type: "PTR", Want: s.Name + ".", Needed: true}
	names, err := c.r.PTR(ctx, s.Addr)
	for _, n := range names.Names {
		r.Have = append(r.Have, n+".")
	}
	r.ask(err, same(names.Names, s.Name))
	if r.State == OK {
		addrs, err := c.addresses(ctx, s.Name)
		if r.ask(err, slices.Contains(addrs, s.Addr)); r.State == Different || r.State == Missing {
			r.State, r.Note = Different, fmt.Sprintf("%s does not have the address %s", s.Name, s.Addr)
		}
	}
	return r
}

// addresses returns all of a host.
func (c *Checker) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	a, err := c.r.Addresses(ctx, host)
	return slices.Concat(a.V4, a.V6), err
}

// same reports whether a list of names from the DNS has one.
func same(names []string, name string) bool {
	canon, ok := dns.ASCII(name)
	return ok && slices.Contains(names, canon)
}
