package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/internal/dns/dnstest"
)

type dnsFlags struct {
	listen, first string
	domains       int
	hosts, mx     int
	ttl           time.Duration
	fail          []string
	json          bool
}

func dnsCommand() *cobra.Command {
	var f dnsFlags
	c := &cobra.Command{
		Use:   "dns --listen ADDRESS:PORT",
		Short: "serve MX records of any number of made-up domains",
		Long: "Serves d0.bench.test and on: each has MX records whose hosts are loopback addresses,\n" +
			"where a sink can listen. Ends with the first signal and prints what was asked.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDNS(c, f) },
	}
	p := c.Flags()
	p.StringVar(&f.listen, "listen", "127.0.0.1:5353", "ADDRESS:PORT, UDP and TCP")
	p.IntVar(&f.domains, "domains", 1000, "domains")
	p.IntVar(&f.hosts, "hosts", 1, "addresses that they share")
	p.IntVar(&f.mx, "mx", 1, "exchangers of each domain")
	p.StringVar(&f.first, "first", "127.0.0.1", "the first of the addresses")
	p.DurationVar(&f.ttl, "ttl", 5*time.Minute, "of records")
	p.StringArrayVar(&f.fail, "fail", nil, "a fault and its share of the domains, such as 'servfail 5%'; also timeout, nxdomain, truncate, lame, slow:200ms, nullmx, nomx, cname, cname-loop, no-tcp, no-edns, wrong-id, wrong-question, spoofed, flood, garbage, referral")
	p.BoolVar(&f.json, "json", false, "the summary as JSON")
	return c
}

func runDNS(c *cobra.Command, f dnsFlags) error {
	first, err := netip.ParseAddr(f.first)
	if err != nil {
		return fmt.Errorf("--first: %w", err)
	}
	if f.domains < 1 || f.hosts < 1 || f.mx < 1 || f.mx > 20 {
		return fmt.Errorf("--domains, --hosts and --mx are at least 1, --mx at most 20")
	}
	s := dnstest.New(dnstest.Options{TTL: f.ttl})
	for _, text := range f.fail {
		kind, share, _ := strings.Cut(text, " ")
		percent, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(share), "%"), 64)
		if err != nil {
			return fmt.Errorf("--fail: %q is no fault and its share, such as 'servfail 5%%'", text)
		}
		fault, err := dnstest.ParseFault(kind)
		if err == nil {
			err = s.FailDomains(percent, fault)
		}
		if err != nil {
			return fmt.Errorf("--fail: %w", err)
		}
	}
	addresses := make([]netip.Addr, 0, f.hosts)
	for a := first; len(addresses) < f.hosts; a = a.Next() {
		addresses = append(addresses, a)
	}
	s.Generate(f.domains, func(i int) []dnstest.MX {
		mx := make([]dnstest.MX, 0, f.mx)
		for k := range f.mx {
			mx = append(mx, dnstest.MX{Preference: uint16(10 * (k + 1)), Addrs: []netip.Addr{addresses[(i+k)%len(addresses)]}})
		}
		return mx
	})
	address, err := s.Listen(f.listen)
	if err != nil {
		return failure{err}
	}
	fmt.Fprintln(c.ErrOrStderr(), "listening on", address)
	if err := s.Serve(c.Context()); err != nil {
		return failure{err}
	}
	n := s.Counts()
	if f.json {
		return writeJSON(c.OutOrStdout(), n)
	}
	fmt.Fprintf(c.OutOrStdout(), "queries %d (MX %d, A %d, AAAA %d, TXT %d, TLSA %d), by TCP %d, unknown names %d, failed on purpose %d\n",
		n.Queries, n.MX, n.A, n.AAAA, n.TXT, n.TLSA, n.TCP, n.Unknown, n.Failed)
	return nil
}
