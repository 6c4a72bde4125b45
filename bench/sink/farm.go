package sink

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"postrider/bench/ledger"
)

// FarmOptions configure a Farm. Front or Spread must be given, or both.
type FarmOptions struct {
	Ledger *ledger.Ledger // accounts for every duty; nil: only totals
	Verify bool           // compare each body with the hash in its X-Bench header

	// Front is an address, HOST:PORT or unix:PATH, that takes mail for every domain,
	// for servers with one next hop; "": there is none.
	Front string
	// Spread gives destinations loopback addresses of their own, from First on, all
	// at Port. A destination whose policy does nothing to connections may share one
	// of so many Hosts with others.
	Spread bool
	First  netip.Addr // zero: 127.64.0.1
	Port   int        // 0: the system's choice, as Addr tells
	Hosts  int        // 0: nothing is shared

	// Sender is the domain of the senders: mail for it is read as DSNs and not
	// counted as delivered. "": there is none.
	Sender string

	Hostname string        // in greetings; "": "sink.invalid"
	LMTP     bool          // LHLO, and one reply for each recipient (RFC 2033)
	Idle     time.Duration // how long a connection may be silent; 0: 5 min
	Seed     uint64        // of what is drawn

	// GoSMTP serves with the go-smtp library in place of the code of this package,
	// as a second opinion. It knows replies, latencies and limits, and neither
	// tarpits nor BDAT; see gosmtp.go.
	GoSMTP bool
}

// Farm is a sink of many domains that behave as their sites say.
type Farm struct {
	o      FarmOptions
	server *Server
	places []*place          // in the order of the domains; others and the reports come last
	names  map[string]*place // by domain, in lower case
	others *place            // of domains that nobody has named
	addrs  map[*place]netip.AddrPort
	binds  []bind
	front  net.Listener
	tls    *authority

	behaviours []*behaviour // of the sites in their order; the plain one comes last

	latency *endToEnd
	seed    maphash.Seed
	begin   atomic.Int64 // Unix microseconds: windows count from here
	measure atomic.Int64 // Unix microseconds: what was due before is not measured
	notices noticeCounters
	misses  atomic.Int64 // messages without a readable header
	held    atomic.Pointer[hold]
	last    Counts // at the last Snapshot; guarded by latency.mu
}

// NewFarm makes a Farm of domains. A domain behaves as the first of sites that
// names it; without one it takes everything. Mail for a domain that is not in the
// list is taken too, as the first site with "*" says.
func NewFarm(o FarmOptions, domains []string, sites []Site) (*Farm, error) {
	if o.Front == "" && !o.Spread {
		return nil, errors.New("sink: a farm needs a front or addresses")
	}
	so := Options{Hostname: o.Hostname, LMTP: o.LMTP, Idle: o.Idle, Verify: o.Verify}
	f := &Farm{o: o, server: New(so), names: make(map[string]*place, len(domains)), addrs: map[*place]netip.AddrPort{},
		latency: newEndToEnd(), seed: maphash.MakeSeed()}
	f.server.farm = f
	var err error
	if f.tls, err = newAuthority(); err != nil {
		return nil, err
	}
	set, err := newSiteSet(sites, &f.server.o)
	if err != nil {
		return nil, err
	}
	f.behaviours = append(slices.Clone(set.all), set.plain)
	listed := map[*place]bool{}
	for i, d := range domains {
		d = strings.ToLower(d)
		if f.names[d] != nil {
			return nil, fmt.Errorf("sink: domain %q twice", d)
		}
		p := set.place(d, i)
		f.names[d] = p
		if !listed[p] { // a provider has many domains
			listed[p] = true
			f.places = append(f.places, p)
		}
	}
	f.others = set.place("others", -1)
	if !listed[f.others] {
		f.places = append(f.places, f.others)
	}
	if o.Sender != "" {
		p := &place{name: strings.ToLower(o.Sender), b: set.plain, reports: true}
		f.names[p.name] = p
		f.places = append(f.places, p)
	}
	f.Begin(time.Now(), 0)
	return f, nil
}

// siteSet finds the site of a domain.
type siteSet struct {
	plain  *behaviour
	all    []*behaviour
	rules  [][]domainRule
	shared []*place // of the sites that are one place
}

func newSiteSet(sites []Site, o *Options) (*siteSet, error) {
	s := &siteSet{}
	var err error
	if s.plain, err = newBehaviour(&Site{Name: "plain"}, o); err != nil {
		return nil, err
	}
	for i := range sites {
		b, err := newBehaviour(&sites[i], o)
		if err != nil {
			return nil, fmt.Errorf("sink: site %d: %w", i+1, err)
		}
		rules, err := sites[i].Domains.parse()
		if err != nil {
			return nil, fmt.Errorf("sink: site %d: %w", i+1, err)
		}
		var shared *place
		if b.shared {
			shared = &place{name: b.name, b: b}
		}
		s.all, s.rules, s.shared = append(s.all, b), append(s.rules, rules), append(s.shared, shared)
	}
	return s, nil
}

// place makes or finds the place of the ith domain.
func (s *siteSet) place(domain string, i int) *place {
	for k, rules := range s.rules {
		for _, r := range rules {
			if !r.fits(domain, i) {
				continue
			}
			if s.shared[k] != nil {
				return s.shared[k]
			}
			return &place{name: domain, b: s.all[k]}
		}
	}
	return &place{name: domain, b: s.plain}
}

// find returns the place of a domain in lower case.
func (f *Farm) find(domain []byte) *place {
	if p := f.names[string(domain)]; p != nil {
		return p
	}
	return f.others
}

// Begin says when the measurement begins: windows of sites count from start, and
// only messages that were due at start plus warmup or later are measured. The
// ledger accounts for all.
func (f *Farm) Begin(start time.Time, warmup time.Duration) {
	f.begin.Store(start.UnixMicro())
	f.measure.Store(start.Add(warmup).UnixMicro())
}

func (f *Farm) since(now time.Time) time.Duration {
	return time.Duration(now.UnixMicro()-f.begin.Load()) * time.Microsecond
}
