// Package load makes mail traffic and knows what became of each piece of it.
//
// SMTP sends messages over a number of connections at once. In the closed loop
// each connection sends the next message as soon as the one before has its reply.
// In an open loop messages are due at moments that a Pace lays down whatever the
// server does: what is due while every connection is busy is sent late, counted as
// missed, and its response latency counts from the moment at which it was due. So
// a server that stalls shows its stall in the percentiles, which a closed loop
// hides by waiting with it.
//
// Against a server with PIPELINING the closed loop puts the text of a message, its
// final dot and the commands of the next message into one write, so that a message
// costs the generator one write and one read. An open loop does not: a message is
// never tied to a connection that still waits for another's reply.
//
// # What is accounted
//
// Every message carries "X-Bench: run,seq,intended,sent,hash,worker": the run, the
// message's number, the moments in Unix microseconds at which it was due and was
// built, the XXH64 of its body in hexadecimal, and the connection. Every recipient is
// r<seq>.<n>@domain. A receiver thus knows from an address alone which duty it is,
// and from the text whether it is whole. A duty, one recipient of one message,
// ends as exactly one of: accepted; refused; unknown, when the connection failed
// after the end of the text was written and the reply did not come; unsent.
//
// Latencies hold accepted messages only. Response is from the moment at which a
// message was due to its reply, Service from the moment at which it was begun,
// which is before the connection if that is made for this message. In the closed
// loop a message is due when its connection is free to send it, so that the two
// are alike.
//
// # Concurrency
//
// An SMTP is run once. Counts may be asked from any goroutine while it runs.
package load

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/result"
	"postrider/relay/smtp"
)

// Ack is a message that the server has taken.
type Ack struct {
	Worker  int
	Seq     uint64
	Taken   int    // recipients that were accepted
	Refused int    // recipients that were refused
	ID      []byte // the last word of the reply's text; valid during the call
}

// Result is the outcome of a run, the warm-up left out.
type Result struct {
	Counts
	Warm    Counts        // of the warm-up
	Elapsed time.Duration // from the end of the warm-up until the last reply
	// Response and Service are latencies of accepted messages in microseconds.
	Response, Service *hdr.Histogram
	// Intervals are the ticks of the run, the warm-up's included, without what
	// only server and sink know.
	Intervals []result.Interval
	// Err is the first failure of a connection or of HLog, nil when there was
	// none.
	Err error
}

// Rate returns the accepted messages per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Accepted) / r.Elapsed.Seconds()
}

// MissedAfter is how late a message of an open loop may be begun without being
// counted as missed: a timer may take that long to wake its worker.
const MissedAfter = time.Millisecond

// SMTP is a generator.
type SMTP struct {
	o         Options
	network   string
	stock     *stock
	jobs      schedule
	workers   []*worker
	recorders []*recorder
	logins    atomic.Uint64
	stopped   atomic.Bool // nothing may be begun any more
	measured  time.Time   // when the warm-up is over; set before the workers start
}

// New checks o and returns a generator.
func New(o Options) (*SMTP, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &SMTP{o: o, network: "tcp"}
	if o.Sizes.corpus == nil {
		s.stock = newStock(o.Shape, o.Seed, blockBytes)
	}
	if p, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		s.network, s.o.Address = "unix", p
	}
	for range min(o.Conns, 4*runtime.GOMAXPROCS(0)) {
		s.recorders = append(s.recorders, newRecorder())
	}
	signature := signature(&s.o)
	for i := range o.Conns {
		s.workers = append(s.workers, newWorker(s, i, signature))
	}
	return s, nil
}

// Run sends until everything is sent, the duration is over, ctx ends or every
// worker has given up; see Options.Grace for what is then on its way. It may be
// called once.
func (s *SMTP) Run(ctx context.Context) Result {
	began := time.Now()
	s.measured = began.Add(s.o.Warmup)
	s.jobs.start(&s.o, s.measured)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	done := make(chan struct{})
	watch := newWatch(s, began)
	var others, workers sync.WaitGroup
	others.Go(func() { s.guard(ctx, cancel, cut, done) })
	others.Go(func() { watch.run(done) })
	for _, w := range s.workers {
		workers.Go(func() { w.run(ctx, hard) })
	}
	workers.Wait()
	ended := time.Now()
	close(done)
	others.Wait()
	r := Result{Elapsed: max(0, ended.Sub(s.measured)), Intervals: watch.intervals, Err: watch.err}
	total := newPair()
	for _, rec := range s.recorders {
		total.merge(rec.total)
	}
	r.Response, r.Service = total.response, total.service
	for _, w := range s.workers {
		c, warm := w.n.load(), w.warm.load()
		r.add(&c)
		r.Warm.add(&warm)
		if r.Err == nil {
			r.Err = w.firstErr
		}
	}
	n := s.jobs.rest(ended)
	r.Missed += n
	r.Abandoned += n
	return r
}

// guard ends the run when its time is over: at once what has not begun in the
// closed loop, and after the grace everything.
func (s *SMTP) guard(ctx context.Context, soft, cut context.CancelFunc, done <-chan struct{}) {
	if s.o.Duration > 0 {
		t := time.NewTimer(time.Until(s.measured.Add(s.o.Duration)))
		defer t.Stop()
		select {
		case <-done:
			return
		case <-ctx.Done():
		case <-t.C:
			if s.o.Pace.Closed() {
				soft()
			}
		}
	} else {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
	}
	t := time.NewTimer(s.o.Grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		s.stopped.Store(true)
		soft()
		cut()
	}
}

// Counts returns the totals so far, the warm-up's included.
func (s *SMTP) Counts() Counts {
	var c Counts
	for _, w := range s.workers {
		n, warm := w.n.load(), w.warm.load()
		c.add(&n)
		c.add(&warm)
	}
	return c
}

func (s *SMTP) client() smtp.ClientOptions {
	t := s.o.Timeout
	return smtp.ClientOptions{Name: s.o.Hello, LMTP: s.o.LMTP, Timeouts: smtp.Timeouts{
		Greeting: t, Hello: t, Mail: t, Rcpt: t, Data: t, Block: t, End: t, Quit: min(t, time.Second),
	}}
}
