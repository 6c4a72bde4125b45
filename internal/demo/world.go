package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postrider/bench/ledger"
	"postrider/bench/load"
	"postrider/bench/sink"
	"postrider/internal/dns/dnstest"
)

// The domains of the world: mail goes to some much more often than to others, as
// it does anywhere. What becomes of mail is told to the sender's own domain.
const (
	recipients   = "zipf:n=1000,s=1.0"
	senderDomain = "sender.bench.test"
	runID        = 1

	noMail  = "d70.bench.test" // says that it takes no mail (RFC 7505)
	nowhere = "d80.bench.test" // does not exist
)

// policy is how some of the domains behave.
type policy struct {
	domains string // a sink.DomainSet
	text    string // for the reader
	sink.Policy
}

func policies() []policy {
	return []policy{
		{"d1", "d1 allows 5 connections", sink.Policy{Limits: sink.Limits{Connections: 5}}},
		{"d40", "d40 is dead: it resets every connection", sink.Policy{Reset: true}},
		{"d60", "d60 is a tarpit: it answers letter by letter", sink.Policy{Tarpit: sink.Duration(5 * time.Millisecond)}},
		{"5%", "5% of the domains greylist for a second", sink.Policy{Greylist: sink.Duration(time.Second)}},
		{"5%-10%", "5% refuse every twentieth recipient", sink.Policy{Reply: []sink.Reply{
			{At: sink.AtRcpt, Share: 0.05, Text: "550 5.1.1 no such mailbox"}}}},
	}
}

// sharedHosts is how many servers have all domains that do nothing to
// connections: a site is a set of servers, not a domain.
const sharedHosts = 100

// world is what the relay finds around it: name service, and the servers of a
// thousand domains and of the sender.
type world struct {
	domains []string
	farm    *sink.Farm
	dns     *dnstest.Server
	ledger  *ledger.Ledger
	port    int // of every server

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// newWorld opens a world that lasts until close.
func newWorld(ctx context.Context) (*world, error) {
	domains, err := load.ParseDomains(recipients)
	if err != nil {
		return nil, err
	}
	w := &world{domains: domains.List(), ledger: ledger.New(runID)}
	sites, err := sites()
	if err != nil {
		return nil, err
	}
	w.farm, err = sink.NewFarm(sink.FarmOptions{
		Ledger: w.ledger, Verify: true, Spread: true, Hosts: sharedHosts, Sender: senderDomain, Hostname: "mx.bench.test",
	}, w.domains, sites)
	if err != nil {
		return nil, err
	}
	if err := w.farm.Listen(); err != nil {
		return nil, err
	}
	if err := w.names(); err != nil {
		return nil, errors.Join(err, w.farm.Close())
	}
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.ended.Go(func() { _ = w.farm.Serve(ctx) }) // without it nothing is delivered, and the account says so
	w.ended.Go(func() { _ = w.dns.Serve(ctx) })  // likewise
	return w, nil
}

func sites() ([]sink.Site, error) {
	var list []sink.Site
	for _, p := range policies() {
		set, err := sink.ParseDomainSet(p.domains)
		if err != nil {
			return nil, err
		}
		list = append(list, sink.Site{Domains: set, Policy: p.Policy})
	}
	return list, nil
}

// names makes the name service: the exchanger of each domain.
func (w *world) names() error {
	w.dns = dnstest.New(dnstest.Options{TTL: time.Minute})
	for _, name := range append([]string{senderDomain}, w.domains...) {
		at := w.farm.Addr(name)
		w.port = int(at.Port())
		// Exchangers at one address are one host, as those of a provider are.
		w.dns.AddMail(name, dnstest.MX{Preference: 10, Host: hostName(at.Addr()), Addrs: []netip.Addr{at.Addr()}})
	}
	w.dns.Fail(noMail, dnstest.Fault{Kind: dnstest.NullMX})
	w.dns.Fail(nowhere, dnstest.Fault{Kind: dnstest.NXDomain})
	_, err := w.dns.Listen("127.0.0.1:0")
	return err
}

func hostName(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("mx-%d-%d.hosts.bench.test", b[2], b[3])
}

// describe says what is special about the world.
func (w *world) describe() string {
	var b strings.Builder
	for _, p := range policies() {
		b.WriteString("  " + p.text + "\n")
	}
	fmt.Fprintf(&b, "  d70 takes no mail, d80 does not exist; all others take everything")
	return b.String()
}

func (w *world) resolver() string { return w.dns.Addr() }

func (w *world) queries() int64 { return w.dns.Counts().Queries }

// close ends the world.
func (w *world) close() {
	w.cancel()
	w.ended.Wait()
}
