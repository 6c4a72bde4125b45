package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/relay/smtp"
)

// worker is one connection at a time, and the messages on it.
type worker struct {
	s       *SMTP
	index   int
	c       *smtp.Client
	sizes   *chooser
	texts   []*message // one for each size
	latency *hdr.Histogram
	n       workerCounts

	answer   smtp.Answer
	head     []byte    // of a message: MAIL FROM, made once
	flights  []flight  // a ring of those in the air
	from, on int       // flights[from] is the first of on
	free     time.Time // since when the connection could send
	firstErr error
}

// workerCounts are Counts as they grow, written by one goroutine.
type workerCounts struct {
	accepted, refused, unknown, unsent     atomic.Int64
	acceptedD, refusedD, unknownD, unsentD atomic.Int64
	bytes, connections, failures           atomic.Int64
	_                                      [64]byte // keeps workers off each other's cache line
}

func (w *workerCounts) addTo(c *Counts) {
	c.Accepted += w.accepted.Load()
	c.Refused += w.refused.Load()
	c.Unknown += w.unknown.Load()
	c.Unsent += w.unsent.Load()
	c.AcceptedDuties += w.acceptedD.Load()
	c.RefusedDuties += w.refusedD.Load()
	c.UnknownDuties += w.unknownD.Load()
	c.UnsentDuties += w.unsentD.Load()
	c.Bytes += w.bytes.Load()
	c.Connections += w.connections.Load()
	c.Failures += w.failures.Load()
}

// flight is one message on its way.
type flight struct {
	seq     uint64
	size    int // index of the size
	began   time.Time
	taken   int   // recipients accepted
	refused int   // recipients refused
	end     int64 // where in the outgoing stream it ends; 0: not yet appended
	reset   bool  // RSET went before it
}

func newWorker(s *SMTP, index int) (*worker, error) {
	sizes, err := newChooser(s.o.Sizes, s.o.Run<<16+uint64(index))
	if err != nil {
		return nil, err
	}
	w := &worker{
		s: s, index: index, sizes: sizes, latency: newHistogram(),
		head:    []byte("MAIL FROM:<" + s.o.Sender + ">\r\n"),
		flights: make([]flight, max(2, s.o.InFlight)),
	}
	for _, z := range s.o.Sizes {
		w.texts = append(w.texts, newMessage(z.Bytes, s.o.Run, s.o.Sender))
	}
	return w, nil
}

var (
	errPhase  = errors.New("a reply that does not fit its command")
	errCut    = errors.New("the server closed the connection")
	errRefuse = errors.New("the server does not talk to us")
	errOffer  = errors.New("the server does not offer CHUNKING and PIPELINING")
)

// The first and the longest pause before a connection is tried again.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// run sends over one connection after another.
func (w *worker) run(ctx context.Context) {
	failed := 0
	for ctx.Err() == nil && !w.s.exhausted() {
		before := w.n.accepted.Load()
		more, err := w.connection(ctx)
		if err == nil {
			if !more {
				return
			}
			failed = 0
			continue
		}
		w.n.failures.Add(1)
		if w.firstErr == nil {
			w.firstErr = err
		}
		if w.n.accepted.Load() > before {
			failed = 0
		}
		if failed++; w.s.o.Failures > 0 && failed >= w.s.o.Failures {
			return
		}
		if !pause(ctx, min(firstPause<<min(failed-1, 10), longestPause)) {
			return
		}
	}
}

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

// connection sends over one connection, and reports whether there may be more to
// send.
func (w *worker) connection(ctx context.Context) (more bool, err error) {
	conn, err := w.s.dial(ctx, w.index)
	if err != nil {
		if ctx.Err() != nil {
			return false, nil
		}
		return true, err
	}
	defer func() { _ = conn.Close() }() // Quit was said or the connection has failed
	if err := w.open(conn); err != nil {
		return true, err
	}
	w.n.connections.Add(1)
	w.free = time.Now()
	left := w.s.o.PerConnection
	if left == 0 {
		left = -1
	}
	x := w.c.Extensions.Set
	switch {
	case w.s.o.BDAT:
		if !x.Has(smtp.Chunking | smtp.Pipelining) {
			return false, errOffer
		}
		more, err = w.sendChunks(ctx, left)
	case w.s.o.Strict || !x.Has(smtp.Pipelining):
		more, err = w.sendStrictly(ctx, left)
	default:
		more, err = w.sendJoined(ctx, left)
	}
	w.abandon()
	if err == nil {
		w.c.Quit(&w.answer)
	}
	return more, err
}

func (w *worker) open(conn net.Conn) error {
	if w.c == nil {
		w.c = smtp.NewClient(conn, w.s.client())
	} else {
		w.c.Reset(conn, w.s.client())
	}
	if err := w.c.Greeting(&w.answer); err != nil {
		return err
	}
	if w.answer.Code != 220 {
		return fmt.Errorf("%w: %d %s", errRefuse, w.answer.Code, w.answer.Text)
	}
	if err := w.c.Hello(&w.answer); err != nil {
		return err
	}
	if w.answer.Code != 250 {
		return fmt.Errorf("%w: %d %s", errRefuse, w.answer.Code, w.answer.Text)
	}
	return nil
}

// begin takes the next message into flight; nil when there is none.
func (w *worker) begin(ctx context.Context) *flight {
	if ctx.Err() != nil {
		return nil
	}
	seq, ok := w.s.take()
	if !ok {
		return nil
	}
	f := &w.flights[(w.from+w.on)%len(w.flights)]
	w.on++
	*f = flight{seq: seq, size: w.sizes.next(), began: w.free}
	return f
}

// rcpt appends RCPT for one recipient.
func (w *worker) rcpt(f *flight, n int) {
	var b [64]byte
	t := append(b[:0], "RCPT TO:<r"...)
	t = append(strconv.AppendUint(t, f.seq, 10), '.')
	t = append(strconv.AppendInt(t, int64(n), 10), '@')
	w.c.Raw(t)
	d := w.s.o.Domains
	w.c.RawString(d[(f.seq+uint64(n))%uint64(len(d))])
	w.c.RawString(">\r\n")
}

// envelope appends MAIL and every RCPT.
func (w *worker) envelope(f *flight) {
	w.c.Raw(w.head)
	for n := range w.s.o.Recipients {
		w.rcpt(f, n)
	}
}

// text returns the text of f, stamped.
func (w *worker) text(f *flight, now time.Time) *message {
	m := w.texts[f.size]
	m.stamp(f.seq, f.began, now)
	return m
}

// read reads a reply; 421 ends the connection.
func (w *worker) read() (uint16, error) {
	if err := w.c.Read(&w.answer, w.s.o.Timeout); err != nil {
		return 0, err
	}
	if w.answer.Code == 421 {
		return 421, errCut
	}
	return w.answer.Code, nil
}

// readEnvelope reads the replies to MAIL and RCPT.
func (w *worker) readEnvelope(f *flight) error {
	code, err := w.read()
	if err != nil {
		return err
	}
	mail := code < 300
	for range w.s.o.Recipients {
		code, err := w.read()
		if err != nil {
			return err
		}
		if mail && code < 300 {
			f.taken++
		} else {
			f.refused++
		}
	}
	return nil
}

// over ends the first flight by the reply to its text, or to DATA.
func (w *worker) over(f *flight, code uint16) {
	now := time.Now()
	all := int64(w.s.o.Recipients)
	if code < 300 && f.taken > 0 {
		w.n.accepted.Add(1)
		w.n.acceptedD.Add(int64(f.taken))
		w.n.refusedD.Add(all - int64(f.taken))
		w.n.bytes.Add(int64(w.s.o.Sizes[f.size].Bytes))
		// A latency above the histogram's range is its largest value.
		_ = w.latency.RecordValue(min(max(1, now.Sub(f.began).Microseconds()), 600_000_000))
		if w.s.o.Acked != nil {
			w.s.o.Acked(Ack{Worker: w.index, Seq: f.seq, Taken: f.taken, Refused: f.refused, ID: lastWord(w.answer.Text)})
		}
	} else {
		w.n.refused.Add(1)
		w.n.refusedD.Add(all)
	}
	w.free = now
	w.from = (w.from + 1) % len(w.flights)
	w.on--
}

// abandon ends what a failed connection left in the air.
func (w *worker) abandon() {
	for ; w.on > 0; w.on-- {
		f := &w.flights[w.from]
		all, refused := int64(w.s.o.Recipients), int64(f.refused)
		w.n.refusedD.Add(refused)
		if f.end > 0 && w.c.Sent() >= f.end {
			w.n.unknown.Add(1)
			w.n.unknownD.Add(all - refused)
		} else {
			w.n.unsent.Add(1)
			w.n.unsentD.Add(all - refused)
		}
		w.from = (w.from + 1) % len(w.flights)
	}
}
