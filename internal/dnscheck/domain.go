package dnscheck

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"postrider/internal/dns"
)

// Domain checks the records of a domain whose mail the server takes and whose users
// have their mailboxes here.
func (c *Checker) Domain(ctx context.Context, domain string) []Record {
	records := []Record{c.exchanger(ctx, domain), c.policy(ctx, domain)}
	if c.o.Autoconfig {
		records = append(records, c.autoconfig(ctx, domain))
	}
	for _, service := range services() {
		records = append(records, c.service(ctx, domain, service))
	}
	return records
}

// services are those that users' programs look for (RFC 6186 section 3, RFC 8314
// section 5.1 for the one of submission over TLS).
func services() []string {
	return []string{"submissions", "submission", "imaps", "imap", "pop3s", "pop3"}
}

// exchanger checks where mail for the domain goes.
func (c *Checker) exchanger(ctx context.Context, domain string) Record {
	r := Record{Name: domain + ".", Type: "MX", Want: "10 " + c.o.Hostname + ".", Needed: true}
	mx, err := c.r.MX(ctx, domain)
	here := false
	for _, h := range mx.Hosts {
		if !mx.Implicit {
			r.Have = append(r.Have, fmt.Sprintf("%d %s.", h.Preference, h.Host))
			here = here || same([]string{h.Host}, c.o.Hostname)
		}
	}
	if mx.Null {
		r.Have = []string{"0 ."}
		r.Note = "the domain says that it takes no mail"
	}
	r.ask(err, here)
	if r.State == Different && mx.Implicit {
		r.State = Missing
	}
	if r.State == OK && !same([]string{mx.Hosts[0].Host}, c.o.Hostname) {
		r.Note = "others are preferred"
	}
	return r
}

// autoconfig checks that the name that mail programs ask leads here.
func (c *Checker) autoconfig(ctx context.Context, domain string) Record {
	name := "autoconfig." + domain
	r := Record{Name: name + ".", Type: "CNAME", Want: c.o.Hostname + "."}
	have, err := c.addresses(ctx, name)
	for _, a := range have {
		r.Have = append(r.Have, a.String())
	}
	if r.ask(err, false); r.State != Different {
		return r
	}
	own, err := c.addresses(ctx, c.o.Hostname)
	if r.ask(err, slices.ContainsFunc(have, func(a netip.Addr) bool { return slices.Contains(own, a) })); r.State == Missing {
		r.State, r.Note = Different, c.o.Hostname+" has no address"
	}
	return r
}

// service checks one SRV record; of a service that is not here, that the domain says
// so (RFC 6186 section 3.4), which saves programs their guesses.
func (c *Checker) service(ctx context.Context, domain, service string) Record {
	name := "_" + service + "._tcp." + domain
	port, here := c.o.Ports[service]
	r := Record{Name: name + ".", Type: "SRV", Want: "0 0 0 ."}
	if here {
		r.Want = fmt.Sprintf("0 1 %d %s.", port, c.o.Hostname)
	}
	found, err := c.r.SRV(ctx, name)
	present := false
	for _, s := range found.Services {
		r.Have = append(r.Have, fmt.Sprintf("%d %d %d %s.", s.Priority, s.Weight, s.Port, s.Host))
		if here {
			present = present || s.Port == port && same([]string{s.Host}, c.o.Hostname)
		} else {
			present = len(found.Services) == 1 && s == dns.Service{Priority: s.Priority, Weight: s.Weight, Port: s.Port}
		}
	}
	r.ask(err, present)
	return r
}
