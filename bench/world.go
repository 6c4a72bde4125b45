package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/ledger"
	"postrider/bench/load"
	"postrider/bench/result"
	"postrider/bench/sink"
	"postrider/internal/dns/dnstest"
)

// world is what the server under test finds around it: the receivers of its mail
// and, when the scenario has domains with MX records, name service.
type world struct {
	s    *Scenario
	farm *sink.Farm
	dns  *dnstest.Server
	mx   int // port of every exchanger

	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex // guards following
	err    error      // why the world has ended before its time
}

// resolverAddresses is where the name service is tried: some servers can only be
// given an address, and ask port 53. Without the right to bind it there is a port
// of the system's choice.
func resolverAddresses() []string { return []string{"127.77.0.53:53", "127.0.0.1:0"} }

// newWorld opens the world of s. front is the address of the sink that takes mail
// for all domains.
func newWorld(ctx context.Context, s *Scenario, l *ledger.Ledger, front string, seed uint64) (*world, error) {
	w := &world{s: s}
	list, err := domainsOf(s)
	if err != nil {
		return nil, err
	}
	o := sink.FarmOptions{
		Ledger: l, Verify: true, Sender: senderDomain, Hostname: "sink.bench.test", Seed: seed,
		GoSMTP: s.Server.Sink == "gosmtp",
	}
	if s.DNS.Domains > 0 {
		o.Spread, o.Hosts = true, s.DNS.Hosts
		if o.Hosts == 0 {
			o.Hosts = 200
		}
	} else {
		o.Front = front
	}
	if w.farm, err = sink.NewFarm(o, list, s.Site); err != nil {
		return nil, err
	}
	if err := w.farm.Listen(); err != nil {
		return nil, err
	}
	if s.DNS.Domains > 0 {
		if err := w.names(list); err != nil {
			return nil, errors.Join(err, w.farm.Close())
		}
	}
	// The world outlives an interrupted load: the server is stopped first.
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.own(func() error { return w.farm.Serve(ctx) })
	if w.dns != nil {
		w.own(func() error { return w.dns.Serve(ctx) })
	}
	return w, nil
}

// own runs a part of the world until it ends.
func (w *world) own(serve func() error) {
	w.wg.Go(func() {
		if err := serve(); err != nil {
			w.mu.Lock()
			w.err = errors.Join(w.err, err)
			w.mu.Unlock()
		}
	})
}

// domainsOf lists the domains that s sends to.
func domainsOf(s *Scenario) ([]string, error) {
	seen := map[string]bool{}
	var all []string
	add := func(list []string) {
		for _, d := range list {
			if !seen[d] {
				seen[d] = true
				all = append(all, d)
			}
		}
	}
	for _, l := range append([]Load{s.Load}, s.Client...) {
		d, err := load.ParseDomains(orElse(l.Domains, defaultDomain))
		if err != nil {
			return nil, err
		}
		add(d.List())
	}
	return all, nil
}

// names starts the name service: an exchanger, or several, for each domain.
func (w *world) names(list []string) error {
	d := w.s.DNS
	w.dns = dnstest.New(dnstest.Options{TTL: d.TTL.Or(5 * time.Minute)})
	for _, f := range d.Fail {
		kind, percent, err := parseFail(f)
		if err != nil {
			return err
		}
		fault, err := dnstest.ParseFault(kind)
		if err != nil {
			return err
		}
		if err := w.dns.FailDomains(percent, fault); err != nil {
			return err
		}
	}
	if d.Delay > 0 {
		if err := w.dns.FailQueries(100, dnstest.Fault{Kind: dnstest.Slow, Delay: d.Delay.D()}); err != nil {
			return err
		}
	}
	for _, name := range append(list, senderDomain) {
		at := w.farm.Addr(name)
		w.mx = int(at.Port())
		mx := make([]dnstest.MX, 0, max(1, d.MX))
		for k := range max(1, d.MX) {
			// Exchangers at one address are one host, as those of a provider are.
			mx = append(mx, dnstest.MX{Preference: uint16(10 * (k + 1)), Host: hostName(at.Addr(), k), Addrs: []netip.Addr{at.Addr()}})
		}
		w.dns.AddMail(name, mx...)
	}
	var errs error
	for _, a := range resolverAddresses() {
		_, err := w.dns.Listen(a)
		if err == nil {
			return nil
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

// hostName is the name of the kth exchanger at an address.
func hostName(a netip.Addr, k int) string {
	b := a.As4()
	return fmt.Sprintf("mx%d-%d-%d-%d.hosts.bench.test", k, b[1], b[2], b[3])
}

// begin tells that the load begins now.
func (w *world) begin(warmup time.Duration) { w.farm.Begin(time.Now(), warmup) }

// tick returns the end-to-end latencies since the last call.
func (w *world) tick() *hdr.Histogram { return w.farm.Snapshot().EndToEnd }

// nextHop is where all mail goes, "" when that is a question of DNS.
func (w *world) nextHop() string {
	if w.dns != nil {
		return ""
	}
	return w.farm.FrontAddr()
}

func (w *world) resolver() string {
	if w.dns == nil {
		return ""
	}
	return w.dns.Addr()
}

func (w *world) port() int { return w.mx }

// domains returns the busiest destinations.
func (w *world) domains(most int) []result.Domain {
	rows := w.farm.Domains(most)
	if w.dns != nil {
		for i := range rows {
			rows[i].Queries = w.dns.Queries(rows[i].Name)
		}
	}
	return rows
}

// policies returns the end-to-end latency of the receivers that behave alike, when
// not all do: the healthy ones say what the others cost them.
func (w *world) policies() (values []result.Value) {
	if len(w.s.Site) == 0 {
		return nil
	}
	for _, p := range w.farm.Policies() {
		for _, q := range []float64{50, 99} {
			values = append(values, result.Value{
				Name: fmt.Sprintf("end to end p%.0f of %s", q, p.Name), Unit: "ms", Got: float64(p.EndToEnd.ValueAtQuantile(q)) / 1000,
			})
		}
	}
	return values
}

// broken returns why the world has ended before its time, nil while it stands.
func (w *world) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// close ends the world.
func (w *world) close() {
	w.cancel()
	w.wg.Wait()
}
