package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"postrider/relay/smtp"
)

// worker is one connection at a time, and the messages on it.
type worker struct {
	s        *SMTP
	index    int
	c        *smtp.Client
	text     *text
	recorder *recorder
	n, warm  tally // of messages after the warm-up, and before
	secure   secure
	login    login

	answer   smtp.Answer
	head     []byte    // of a message: MAIL FROM with its parameters, made for each connection
	flights  []flight  // a ring of those in the air
	from, on int       // flights[from] is the first of on
	ready    bool      // the one behind them was begun before its connection, and is counted once that is there
	again    []flight  // to be offered again, in the order of their moments
	held     job       // taken from the schedule and not yet due
	holds    bool      // held is one
	leaving  bool      // nothing is offered again
	thought  bool      // a message has been taken from the closed loop
	free     time.Time // since when the connection could send
	timer    *time.Timer
	firstErr error
}

func newWorker(s *SMTP, index int, signature string) *worker {
	return &worker{
		s: s, index: index, text: newText(&s.o, s.stock, signature, s.o.FirstWorker+index),
		recorder: s.recorders[index%len(s.recorders)],
		flights:  make([]flight, max(2, s.o.InFlight)),
		secure:   newSecure(&s.o),
	}
}

var (
	errPhase  = errors.New("a reply that does not fit its command")
	errCut    = errors.New("the server closed the connection")
	errRefuse = errors.New("the server does not talk to us")
	errOffer  = errors.New("the server does not offer what is needed")
)

// The first and the longest pause before a connection is tried again.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// run sends over one connection after another.
func (w *worker) run(ctx, hard context.Context) {
	defer w.leave()
	failed := 0
	for ctx.Err() == nil && !w.idle() {
		if w.s.o.PerConnection > 0 && !w.ready {
			w.free = time.Now()
			if w.begin(ctx, true) == nil {
				return
			}
			w.on, w.ready = w.on-1, true
		}
		before := w.n.accepted.Load() + w.warm.accepted.Load()
		more, err := w.connection(ctx, hard)
		if err == nil {
			if !more {
				return
			}
			failed = 0
			continue
		}
		w.tally().failures.Add(1)
		if w.firstErr == nil {
			w.firstErr = err
		}
		if w.n.accepted.Load()+w.warm.accepted.Load() > before {
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

// idle reports whether there is nothing left to send.
func (w *worker) idle() bool {
	return w.s.jobs.exhausted() && !w.ready && !w.holds && len(w.again) == 0
}

// tally returns the counts that belong to this moment.
func (w *worker) tally() *tally {
	if time.Now().Before(w.s.measured) {
		return &w.warm
	}
	return &w.n
}

// connection sends over one connection, and reports whether there may be more to
// send.
func (w *worker) connection(ctx, hard context.Context) (more bool, err error) {
	conn, err := w.s.dial(ctx, w.index)
	if err != nil {
		if ctx.Err() != nil {
			return false, nil
		}
		return true, err
	}
	defer func() { _ = conn.Close() }() // Quit was said or the connection has failed
	stop := context.AfterFunc(hard, func() { _ = conn.Close() })
	defer stop()
	if err := w.open(ctx, conn); err != nil {
		return true, err
	}
	w.tally().connections.Add(1)
	if !w.ready {
		w.free = time.Now()
	}
	left := w.s.o.PerConnection
	if left == 0 {
		left = -1
	}
	x := w.c.Extensions.Set
	switch {
	case w.s.o.BDAT:
		if !x.Has(smtp.Chunking | smtp.Pipelining) {
			return false, fmt.Errorf("%w: CHUNKING and PIPELINING", errOffer)
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

// open brings a new connection to where MAIL may be said.
func (w *worker) open(ctx context.Context, conn net.Conn) error {
	if w.s.o.TLS == ImplicitTLS {
		var err error
		if conn, err = w.handshake(ctx, conn); err != nil {
			return err
		}
	}
	w.reset(conn)
	if err := w.c.Greeting(&w.answer); err != nil {
		return err
	}
	if w.answer.Code != 220 {
		return w.refusal()
	}
	if err := w.hello(); err != nil {
		return err
	}
	if w.s.o.TLS == StartTLS {
		if err := w.startTLS(ctx, conn); err != nil {
			return err
		}
	}
	if err := w.authenticate(); err != nil {
		return err
	}
	return w.makeHead()
}

func (w *worker) reset(conn net.Conn) {
	if w.c == nil {
		w.c = smtp.NewClient(conn, w.s.client())
	} else {
		w.c.Reset(conn, w.s.client())
	}
}

func (w *worker) hello() error {
	if err := w.c.Hello(&w.answer); err != nil {
		return err
	}
	if w.answer.Code != 250 {
		return w.refusal()
	}
	return nil
}

func (w *worker) refusal() error {
	return fmt.Errorf("%w: %d %s", errRefuse, w.answer.Code, w.answer.Text)
}

// makeHead makes the MAIL command that every message of this connection has.
func (w *worker) makeHead() error {
	o, x := &w.s.o, w.c.Extensions.Set
	w.head = append(append(append(w.head[:0], "MAIL FROM:<"...), o.Sender...), '>')
	eight := o.Shape.EightBit || o.Shape.UTF8
	for i := range o.Sizes.corpus {
		eight = eight || o.Sizes.corpus[i].eightBit
	}
	if eight && x.Has(smtp.EightBitMIME) {
		w.head = append(w.head, " BODY=8BITMIME"...)
	}
	if o.Shape.UTF8 {
		if !x.Has(smtp.SMTPUTF8) {
			return fmt.Errorf("%w: SMTPUTF8", errOffer)
		}
		w.head = append(w.head, " SMTPUTF8"...)
	}
	w.head = append(w.head, '\r', '\n')
	return nil
}
