package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"postrider/bench/ledger"
)

// Options say what SMTP sends. Address is required; Messages or Duration must be
// given unless Pace is a replay, and the first that is reached ends the run.
type Options struct {
	Address  string        // HOST:PORT, or unix:PATH
	Conns    int           // connections at once; 0: 1
	Messages int64         // in all, the warm-up's included; 0: no limit
	Duration time.Duration // behind the warm-up; 0: no limit
	Warmup   time.Duration // sent, but left out of Result but for its Intervals; a replay's is the log's beginning
	// Grace is how long, once Duration is over or the context has ended, replies
	// are awaited, and messages sent that were due before; 0: Timeout.
	Grace time.Duration

	Pace       Pace          // zero: the closed loop
	Think      time.Duration // closed loop: pause of a connection between two messages, and up to that before its first
	Sizes      Sizes         // of the texts; zero: all of 4096 bytes
	Shape      Shape         // of the texts; zero: plain. A corpus has its own
	Recipients Recipients    // of each message; zero: 1. A replay's log goes before
	Domains    Domains       // of the recipients; zero: "sink.invalid"
	// Users above 0 makes recipients u0 to u<n-1> of their domain, for servers
	// that know their mailboxes, instead of r<seq>.<n>: then X-Bench alone says
	// which message it is.
	Users  int
	Sender string // "": "load@bench.invalid"; with Shape.UTF8 "größe@bench.invalid"
	// Ledger gives messages their numbers and is told how each duty ended. Its run
	// is that of the load. nil: numbers are in turn.
	Ledger   *ledger.Ledger
	Run      uint64 // in X-Bench, below 1e10; 0: 1
	FirstSeq uint64 // number of the first message, without a ledger
	Seed     uint64 // what is random in sizes, recipients, domains and moments follows from it and from Run

	LMTP     bool // a reply to the text for each recipient (RFC 2033)
	Strict   bool // one command at a time even if PIPELINING is offered
	BDAT     bool // MAIL, RCPT and BDAT LAST in one flight; needs CHUNKING and PIPELINING
	InFlight int  // with BDAT in the closed loop: messages in the air on a connection, 1 to 64; 0: 1

	TLS          TLSMode
	TLSConfig    *tls.Config // nil: any certificate will do
	NoResumption bool        // each connection makes a full handshake
	Auth         Auth        // zero: no login

	// FirstWorker is the number of the first connection in X-Bench, for several
	// generators of one ledger, which tells by it what has overtaken what.
	FirstWorker   int
	PerConnection int          // messages after which a connection is replaced; 0: kept
	Sources       []netip.Addr // addresses that connections come from, in turn; empty: the system's choice
	Hello         string       // "": "load.bench.invalid"
	// IOwnThisNetwork allows destinations that are neither loopback nor private
	// (RFC 1918, RFC 4193): mail in such numbers is an attack on anybody else.
	IOwnThisNetwork bool

	Timeout  time.Duration // for a connection and for each reply; 0: 60 s
	Failures int           // failed connections in a row after which a worker gives up; 0: 5; below 0: never
	// Tries is how often a message is offered that nobody has accepted and that
	// got a 4xx or was not sent; 0: once. Its latency counts from its first moment.
	Tries      int
	RetryAfter time.Duration // between two tries; 0: 1 s

	// Interval is called on one goroutine for each Tick of the run; it may be nil.
	Interval func(*Interval)
	Tick     time.Duration // 0: 1 s
	HLog     io.Writer     // takes the histograms of each Tick as an .hlog, tags "response" and "service"; may be nil

	// Acked is called on the worker's goroutine for each message that was
	// accepted, before anything else is sent; it may be nil.
	Acked func(Ack)
}

// ErrOptions reports options that make no sense.
var ErrOptions = errors.New("load: bad options")

// check fills defaults in and refuses what makes no sense.
func (o *Options) check() error {
	open := !o.Pace.Closed()
	switch {
	case o.Address == "":
		return fmt.Errorf("%w: no address", ErrOptions)
	case o.Messages <= 0 && o.Duration <= 0 && o.Pace.kind != replay:
		return fmt.Errorf("%w: neither messages nor duration", ErrOptions)
	case o.Conns < 0 || o.Recipients.n < 0 || o.Recipients.n > maxRecipients || o.InFlight < 0 || o.InFlight > 64:
		return fmt.Errorf("%w: conns, recipients or inflight out of range", ErrOptions)
	case o.Warmup < 0 || o.Grace < 0 || o.Think < 0 || o.Tick < 0 || o.RetryAfter < 0 || o.Tries < 0 || o.Users < 0 || o.PerConnection < 0:
		return fmt.Errorf("%w: below zero", ErrOptions)
	case o.BDAT && o.Strict:
		return fmt.Errorf("%w: BDAT in one flight is not strict", ErrOptions)
	case o.InFlight > 1 && (open || o.Think > 0 || o.LMTP):
		return fmt.Errorf("%w: messages in flight need the closed loop of SMTP without pauses", ErrOptions)
	case open && o.Think > 0:
		return fmt.Errorf("%w: only the closed loop thinks", ErrOptions)
	case o.Run >= 1e10:
		return fmt.Errorf("%w: run has more than 10 digits", ErrOptions)
	case o.Ledger != nil && (o.FirstSeq != 0 || o.Run != 0 && o.Run != o.Ledger.Run()):
		return fmt.Errorf("%w: numbers and run are the ledger's", ErrOptions)
	case o.Users > 0 && o.Users < o.Recipients.Max():
		return fmt.Errorf("%w: more recipients than users", ErrOptions)
	}
	o.defaults()
	if err := o.Auth.check(); err != nil {
		return err
	}
	for _, w := range []string{o.Sender, o.Hello} {
		if strings.ContainsAny(w, " <>\r\n\t") {
			return fmt.Errorf("%w: %q", ErrOptions, w)
		}
	}
	for _, d := range o.Domains.names {
		if !plainDomain(d) {
			return fmt.Errorf("%w: %q is no domain", ErrOptions, d)
		}
	}
	if err := o.Sizes.check(o.Shape.MinBytes()); err != nil {
		return err
	}
	return o.checkNetwork()
}

func (o *Options) defaults() {
	o.Conns, o.InFlight, o.Tries = max(1, o.Conns), max(1, o.InFlight), max(1, o.Tries)
	if o.Ledger != nil {
		o.Run = o.Ledger.Run()
	}
	o.Run = max(1, o.Run)
	if o.Sender == "" {
		o.Sender = "load@bench.invalid"
		if o.Shape.UTF8 {
			o.Sender = "größe@bench.invalid"
		}
	}
	if o.Hello == "" {
		o.Hello = "load.bench.invalid"
	}
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.Timeout, time.Minute)
	set(&o.Grace, o.Timeout)
	set(&o.Tick, time.Second)
	set(&o.RetryAfter, time.Second)
	if o.Failures == 0 {
		o.Failures = 5
	}
}

// pause waits for d, and reports whether ctx still holds.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
