// Package dns asks the name service what a mail relay needs: mail exchangers,
// addresses, texts, TLSA and SRV records and the names of addresses. It is a stub with a
// cache: recursion, and DNSSEC, are the work of the servers that it asks.
//
// A question goes to the first server that is not known to be down, over UDP from a
// fresh socket, and so from a random port, with a random id; an answer counts when
// id, question and server are right. Truncated answers are fetched over TCP. A
// server that is silent, refuses or fails is followed by the next, and one that is
// silent is remembered and asked last for a while.
//
// Guarantees:
//
//   - An error is one of three: ErrNotFound and ErrNoData are what the name service
//     said, ErrTemporary is everything else: silence, failure, validation that
//     failed, lame servers, chains that are too long, answers that are too large. No
//     trouble of the network or of this package ever looks like a name that does not
//     exist.
//   - Every lookup ends within Options.Total, and what it returns is capped: see
//     MaxHosts, MaxAddresses, MaxTexts and MaxChain.
//   - Data is called authentic only when a server on a loopback address says so
//     (RFC 6840 section 5.8 and RFC 7672 section 2.2.1: what lies between must be
//     trusted); other servers are not even asked.
//   - The cache holds at most Options.Entries answers and Options.Bytes of them; at
//     the bound the one goes that was not used for longest. A hit allocates nothing.
//
// # Concurrency
//
// A Resolver is safe for concurrent use. Callers that ask the same thing at once
// share one question, which belongs to none of them: it goes on when the caller that
// was first gives up. Close waits for every goroutine. The locks of the cache and of
// the shared questions are never held together nor during I/O.
package dns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"time"

	wire "github.com/miekg/dns"
)

// What a lookup returns at most; the rest of an answer is left out.
const (
	MaxHosts     = 10 // mail exchangers, the most preferred
	MaxAddresses = 20 // of a host, of each family
	MaxTexts     = 64 // TXT, TLSA, SRV or PTR records
	MaxChain     = 8  // CNAMEs in a row; a longer chain is ErrTemporary
)

// Options configure a Resolver. The zero value asks the system's servers.
type Options struct {
	Servers []string // "address" or "address:port", in order of preference; none: those of System

	Timeout time.Duration // of the first try at each server, doubled for each further round; 0: 2 s
	Total   time.Duration // of a lookup with all that it takes; 0: 30 s

	Entries int   // answers in the cache; 0: 200,000
	Bytes   int64 // memory for them, roughly; 0: 64 MiB

	MinTTL      time.Duration // answers live at least so long; 0: 5 s
	MaxTTL      time.Duration // and at most; 0: 6 h
	NegativeTTL time.Duration // "there is none" lives at most so long; 0: 15 min
	FailureTTL  time.Duration // how long a failure is not asked for again (RFC 9520 section 3.2); 0: 5 s

	Questions int // at the servers at once; further ones wait; 0: 1000

	// Dial opens a connection to a server, over "udp" or "tcp"; nil: the network's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Observe, when not nil, is told of each lookup: the type of record, what came of
	// it ("ok", "not_found", "no_data", "temporary"), how long it took and whether the
	// cache knew. It is called by many goroutines at once.
	Observe func(record, result string, took time.Duration, cached bool)
}

func (o *Options) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Timeout, 2*time.Second)
	def(&o.Total, 30*time.Second)
	def(&o.MinTTL, 5*time.Second)
	def(&o.MaxTTL, 6*time.Hour)
	def(&o.NegativeTTL, 15*time.Minute)
	def(&o.FailureTTL, 5*time.Second)
	o.MaxTTL = max(o.MaxTTL, o.MinTTL)
	o.NegativeTTL = max(o.NegativeTTL, o.MinTTL)
	if o.Entries <= 0 {
		o.Entries = 200_000
	}
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	if o.Questions <= 0 {
		o.Questions = 1000
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
}

// Resolver asks and remembers.
type Resolver struct {
	o       Options
	servers []*server
	cache   cache
	flights flights
	places  chan struct{} // one for each question at the servers
	buffers *sync.Pool    // of *buffer
	start   time.Time     // what servers count from

	ctx    context.Context // of all questions; ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New returns a Resolver. It sends nothing yet.
func New(o Options) (*Resolver, error) {
	o.setDefaults()
	if len(o.Servers) == 0 {
		servers, err := System()
		if err != nil {
			return nil, err
		}
		o.Servers = servers
	}
	r := &Resolver{o: o, cache: newCache(o.Entries, o.Bytes), flights: newFlights(), places: make(chan struct{}, o.Questions), buffers: bufferPool(), start: time.Now()}
	for _, address := range o.Servers {
		ap, err := netip.ParseAddrPort(address)
		if addr, e := netip.ParseAddr(address); e == nil {
			ap, err = netip.AddrPortFrom(addr, 53), nil
		}
		if err != nil {
			return nil, fmt.Errorf("dns: server %q: an address, or address:port, is needed", address)
		}
		r.servers = append(r.servers, &server{address: ap.String(), loopback: ap.Addr().Unmap().IsLoopback()})
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// Close ends all lookups, with ErrTemporary, and returns when all is still.
func (r *Resolver) Close() error {
	r.flights.close()
	r.cancel()
	r.wg.Wait()
	return nil
}

// Cached returns how many answers the cache holds and how much memory they take,
// roughly.
func (r *Resolver) Cached() (entries int, bytes int64) { return r.cache.size() }

// System returns the servers of /etc/resolv.conf; without the file or without any in
// it, the one on this machine, as resolv.conf(5) says.
func System() ([]string, error) {
	c, err := wire.ClientConfigFromFile("/etc/resolv.conf")
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("dns: the system's servers: %w", err)
	case len(c.Servers) > 0:
		return c.Servers, nil
	}
	return []string{"127.0.0.1"}, nil
}

type freshKey struct{}

// Fresh returns a context under which lookups are answered by a server and not by
// the cache, which learns the answer all the same. With several servers the one is
// asked that would not be asked else, so that no single one decides that a name does
// not exist. An answer that was got in this way is taken for a fresh one for freshLife.
func Fresh(ctx context.Context) context.Context { return context.WithValue(ctx, freshKey{}, true) }

// freshLife bounds what a name that does not exist, and is written to all the same,
// costs the servers.
const freshLife = 30 * time.Second

func isFresh(ctx context.Context) bool { return ctx.Value(freshKey{}) != nil }
