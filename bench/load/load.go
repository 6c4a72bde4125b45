// Package load makes mail traffic and knows what became of each piece of it.
//
// SMTP sends messages over a number of connections at once, each of which sends
// the next as soon as the one before has its reply (a closed loop). Against a
// server with PIPELINING the text of a message, its final dot and the commands of
// the next message go out in one write, so that a message costs the generator one
// write and one read.
//
// # What is accounted
//
// Every message carries "X-Bench: run,seq,intended,sent,hash": the run, the
// message's number, the moments in Unix microseconds at which it was due and was
// built, and the XXH64 of its body in hexadecimal. Every recipient is
// r<seq>.<n>@domain. A receiver thus knows from an address alone which duty it is,
// and from the text whether it is whole. A duty, one recipient of one message,
// ends as exactly one of: accepted; refused; unknown, when the connection failed
// after the end of the text was written and the reply did not come; unsent.
//
// # Concurrency
//
// An SMTP is run once. Counts may be asked from any goroutine while it runs.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/relay/smtp"
)

// Options say what SMTP sends. Address is required; Messages or Duration must be
// given, and with both the first that is reached ends the run.
type Options struct {
	Address  string        // HOST:PORT, or unix:PATH
	Conns    int           // connections at once; 0: 1
	Messages int64         // in all; 0: no limit
	Duration time.Duration // 0: no limit

	Sizes      []Size   // of the texts; empty: all of 4096 bytes
	Recipients int      // of each message, 1 to 1000; 0: 1
	Domains    []string // of the recipients, in turn; empty: "sink.invalid"
	Sender     string   // "": "load@bench.invalid"
	Run        uint64   // in X-Bench, below 1e10; 0: 1
	FirstSeq   uint64   // number of the first message

	Strict   bool // one command at a time even if PIPELINING is offered
	BDAT     bool // MAIL, RCPT and BDAT LAST in one flight; needs CHUNKING and PIPELINING
	InFlight int  // with BDAT: messages in the air on a connection, 1 to 64; 0: 1

	PerConnection int          // messages after which a connection is replaced; 0: kept
	Sources       []netip.Addr // addresses that connections come from, in turn; empty: the system's choice
	Hello         string       // "": "load.bench.invalid"

	Timeout  time.Duration // for a connection and for each reply; 0: 60 s
	Failures int           // failed connections in a row after which a worker gives up; 0: 5; below 0: never

	// Acked is called on the worker's goroutine for each message that was
	// accepted, before anything else is sent; it may be nil.
	Acked func(Ack)
}

// Size is a share of the messages: those of Bytes, headers included.
type Size struct {
	Bytes  int // at least MinBytes
	Weight int // 0: 1
}

// Ack is a message that the server has taken.
type Ack struct {
	Worker  int
	Seq     uint64
	Taken   int    // recipients that were accepted
	Refused int    // recipients that were refused
	ID      []byte // the last word of the reply's text; valid during the call
}

// Counts are totals so far. For each kind of end, messages and their recipients.
type Counts struct {
	Accepted, Refused, Unknown, Unsent                         int64 // messages
	AcceptedDuties, RefusedDuties, UnknownDuties, UnsentDuties int64
	Bytes                                                      int64 // of the accepted texts
	Connections                                                int64 // that were set up
	Failures                                                   int64 // connections that failed
}

// Result is the outcome of a run.
type Result struct {
	Counts
	Elapsed time.Duration
	// Latency is the time in microseconds from the moment at which a message
	// could be sent until its reply was read. It holds accepted messages only.
	Latency *hdr.Histogram
	// Err is the first failure of a connection, nil when there was none.
	Err error
}

// Rate returns the accepted messages per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Accepted) / r.Elapsed.Seconds()
}

// ErrOptions reports options that make no sense.
var ErrOptions = errors.New("load: bad options")

// SMTP is a generator.
type SMTP struct {
	o       Options
	network string
	next    atomic.Uint64 // messages handed out
	workers []*worker
}

// New checks o and returns a generator.
func New(o Options) (*SMTP, error) {
	switch {
	case o.Address == "":
		return nil, fmt.Errorf("%w: no address", ErrOptions)
	case o.Messages <= 0 && o.Duration <= 0:
		return nil, fmt.Errorf("%w: neither messages nor duration", ErrOptions)
	case o.Conns < 0 || o.Recipients < 0 || o.Recipients > 1000 || o.InFlight < 0 || o.InFlight > 64:
		return nil, fmt.Errorf("%w: conns, recipients or inflight out of range", ErrOptions)
	case o.BDAT && o.Strict:
		return nil, fmt.Errorf("%w: BDAT in one flight is not strict", ErrOptions)
	case o.Run >= 1e10:
		return nil, fmt.Errorf("%w: run has more than 10 digits", ErrOptions)
	}
	o.Conns, o.Recipients, o.InFlight = max(1, o.Conns), max(1, o.Recipients), max(1, o.InFlight)
	o.Run = max(1, o.Run)
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&o.Sender, "load@bench.invalid")
	def(&o.Hello, "load.bench.invalid")
	if len(o.Domains) == 0 {
		o.Domains = []string{"sink.invalid"}
	}
	for _, w := range append([]string{o.Sender, o.Hello}, o.Domains...) {
		if strings.ContainsAny(w, " <>\r\n\t") {
			return nil, fmt.Errorf("%w: %q", ErrOptions, w)
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Failures == 0 {
		o.Failures = 5
	}
	if len(o.Sizes) == 0 {
		o.Sizes = []Size{{Bytes: 4096}}
	}
	s := &SMTP{o: o, network: "tcp"}
	if p, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		s.network, s.o.Address = "unix", p
	}
	for i := range o.Conns {
		w, err := newWorker(s, i)
		if err != nil {
			return nil, err
		}
		s.workers = append(s.workers, w)
	}
	return s, nil
}

// Run sends until everything is sent, the duration is over, ctx ends or every
// worker has given up. What is in flight then gets its reply first, within the
// timeout. It may be called once.
func (s *SMTP) Run(ctx context.Context) Result {
	if s.o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.o.Duration)
		defer cancel()
	}
	began := time.Now()
	var wg sync.WaitGroup
	for _, w := range s.workers {
		wg.Go(func() { w.run(ctx) })
	}
	wg.Wait()
	r := Result{Counts: s.Counts(), Elapsed: time.Since(began), Latency: newHistogram()}
	for _, w := range s.workers {
		r.Latency.Merge(w.latency)
		if r.Err == nil {
			r.Err = w.firstErr
		}
	}
	return r
}

// Counts returns the totals so far.
func (s *SMTP) Counts() Counts {
	var c Counts
	for _, w := range s.workers {
		w.n.addTo(&c)
	}
	return c
}

// take hands out the number of the next message.
func (s *SMTP) take() (seq uint64, ok bool) {
	n := s.next.Add(1) - 1
	if s.o.Messages > 0 && n >= uint64(s.o.Messages) {
		return 0, false
	}
	return s.o.FirstSeq + n, true
}

// exhausted reports whether every message has been handed out.
func (s *SMTP) exhausted() bool {
	return s.o.Messages > 0 && s.next.Load() >= uint64(s.o.Messages)
}

func (s *SMTP) dial(ctx context.Context, worker int) (net.Conn, error) {
	d := net.Dialer{Timeout: s.o.Timeout}
	if n := len(s.o.Sources); n > 0 && s.network == "tcp" {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.o.Sources[worker%n], 0))
	}
	return d.DialContext(ctx, s.network, s.o.Address)
}

func (s *SMTP) client() smtp.ClientOptions {
	t := s.o.Timeout
	return smtp.ClientOptions{Name: s.o.Hello, Timeouts: smtp.Timeouts{
		Greeting: t, Hello: t, Mail: t, Rcpt: t, Data: t, Block: t, End: t, Quit: min(t, time.Second),
	}}
}

// newHistogram holds latencies from a microsecond to ten minutes, to 3 digits.
func newHistogram() *hdr.Histogram { return hdr.New(1, 600_000_000, 3) }

// chooser draws sizes by weight.
type chooser struct {
	random *rand.Rand
	upTo   []int // running sums of the weights
}

func newChooser(sizes []Size, seed uint64) (*chooser, error) {
	c := &chooser{random: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
	sum := 0
	for _, s := range sizes {
		if s.Bytes < MinBytes || s.Weight < 0 {
			return nil, fmt.Errorf("%w: a size of %d bytes, weight %d", ErrOptions, s.Bytes, s.Weight)
		}
		sum += max(1, s.Weight)
		c.upTo = append(c.upTo, sum)
	}
	return c, nil
}

// next returns the index of a size.
func (c *chooser) next() int {
	last := len(c.upTo) - 1
	if last == 0 {
		return 0
	}
	n := c.random.IntN(c.upTo[last])
	for i, u := range c.upTo {
		if n < u {
			return i
		}
	}
	return last
}
