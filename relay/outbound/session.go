package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// session is one Serve: the connection that it came to, and the transactions on
// it.
type session struct {
	t      *Transport
	eg     *mail.Egress
	src    mail.Source
	tries  tries
	target *mail.Target // in tries
	conn   net.Conn     // nil: none
	c      *smtp.Client

	lmtp          bool
	strict        bool // no PIPELINING: each command waits for its reply
	chunking      bool
	remote        mail.Remote
	inClear       bool                 // encryption is not tried, since it failed before
	state         *tls.ConnectionState // nil in clear
	connect       time.Duration        // until the server was ready, the handshake left out
	handshakeTook time.Duration
	born          time.Time

	txs     [maxInFlight]transaction // a ring: n of them, from head on, in the order of sending
	head, n int
	steps   []step // replies that are due, from step on
	step    int
	answer  smtp.Answer
	said    mail.Status // the 421 that ends the connection; aliases answer

	// A delivery that needs what this server lacks is held until the server of
	// another target has been reached.
	held     *mail.Delivery
	leaving  bool // nothing more is pulled, since something is held
	visiting bool // only what was held is sent, for this target is not the best

	limit        int // recipients of a transaction; 0: none
	pulled       int // deliveries
	life         int // that the host takes on one connection, as was learned; 0: not known
	successes    int
	mustReset    bool // the server may have a transaction open
	dataAnswered bool // the reply to the last DATA was read
	proceed      bool // it was 354

	check smtp.TextCheck
	path  []byte // scratch
	piece []byte // for texts that are not in memory
}

// begin readies s for another Serve and keeps its memory.
func (s *session) begin(t *Transport, eg *mail.Egress, src mail.Source) {
	*s = session{
		t: t, eg: eg, src: src,
		c: s.c, steps: s.steps[:0], answer: s.answer, path: s.path, piece: s.piece,
		lmtp: eg.Hop.Kind == mail.HopLMTP,
	}
	s.tries.begin(eg, t.o.Addresses)
}

// attach makes conn, which leads to target, the connection of s.
func (s *session) attach(conn net.Conn, target *mail.Target) {
	s.conn, s.born = conn, time.Now()
	s.remote = mail.Remote{
		Host: target.Host, Addr: target.Addr, Source: s.eg.Source.Name,
		Session: s.t.session(), TLSPolicy: s.eg.TLS.Level.String(), TLSVerdict: verdictClear,
	}
	if s.inClear {
		s.remote.TLSVerdict = verdictDowngraded
	}
	s.target, s.state, s.handshakeTook = target, nil, 0
	s.head, s.n, s.step, s.steps = 0, 0, 0, s.steps[:0]
	s.said = mail.Status{}
	s.pulled, s.successes, s.mustReset = 0, 0, false
	s.life = s.t.lives.of(target.Host)
	s.leaving, s.visiting = false, s.held != nil && target.Preference > s.tries.preference
	if !s.remote.Addr.IsValid() {
		s.remote.Addr = remoteAddr(conn)
	}
	o := smtp.ClientOptions{Name: s.eg.Source.Hello, LMTP: s.lmtp, Timeouts: s.t.o.Timeouts}
	if o.Name == "" {
		o.Name = s.t.o.Hostname
	}
	if s.c == nil {
		s.c = smtp.NewClient(conn, o)
		return
	}
	s.c.Reset(conn, o)
}

// hangUp closes the connection, if there is one. Nobody may be watching it.
func (s *session) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close() // nothing is owed to one that Quit or a failure ended
		s.conn = nil
	}
}

// cutAt makes the end of ctx end every wait for the peer from then on. The
// function it returns ends the watch and returns once s is no more touched.
func (s *session) cutAt(ctx context.Context) (stop func()) {
	limited := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(limited)
		s.c.Limit(time.Now())
	})
	return func() {
		if !unwatch() {
			<-limited
		}
	}
}

// run pulls and sends until there is nothing left to do or the connection fails.
func (s *session) run(ctx context.Context, quiet <-chan struct{}) error {
	err := s.loop(ctx, quiet)
	if err == nil {
		s.c.Quit(&s.answer)
		return nil
	}
	if s.c.WriteErr() != nil {
		err = s.salvage(err)
	}
	status, class := s.said, mail.ClassNone
	switch {
	case !status.IsZero():
	case ctx.Err() != nil:
		status = statusCut
	default:
		status, class = judge(err)
	}
	if errors.Is(err, errClosing) && s.n > 0 && s.first().replies == 0 && s.successes > 0 {
		s.t.lives.ended(s.remote.Host, s.pulled-s.n)
	}
	s.breakDown(err, status, class, ctx.Err() != nil)
	// A text that must not be ended is no fault of the connection, and a server
	// that closes one which has worked is within its rights.
	if errors.Is(err, errBody) || s.successes > 0 || ctx.Err() != nil {
		return nil
	}
	return &Error{Phase: PhaseSession, Status: owned(status), Said: !s.said.IsZero(), Class: class, Err: err}
}

func (s *session) loop(ctx context.Context, quiet <-chan struct{}) error {
	for {
		var tx *transaction
		if s.n < s.depth() && !closed(quiet) {
			wait := time.Duration(0)
			if s.n == 0 {
				wait = s.t.o.Idle
			}
			tx = s.pull(ctx, wait)
		}
		if tx != nil {
			if err := s.send(tx); err != nil {
				return err
			}
			continue
		}
		if s.n == 0 {
			return nil
		}
		if err := s.settleFirst(); err != nil {
			return err
		}
	}
}

// closed reports whether c is closed; a nil one never is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// depth is how many transactions may be in the air. A text within DATA is sent
// only when nothing but the reply to the one before it can be outstanding, so
// there it is that one and the next. Chunks may be sent ahead once the server
// has proved to take them.
func (s *session) depth() int {
	switch {
	case s.strict:
		return 1
	case !s.chunking:
		return 2
	case s.successes == 0:
		return 1
	}
	return s.t.o.InFlight
}

// settleFirst waits until the first transaction in line is over, and takes what
// other replies have come with its own.
func (s *session) settleFirst() error {
	for n := s.n; s.n == n; {
		if err := s.readOne(); err != nil {
			return err
		}
	}
	for s.outstanding() > 0 && s.c.Ready() {
		if err := s.readOne(); err != nil {
			return err
		}
	}
	return nil
}

// first returns the transaction that is first in line.
func (s *session) first() *transaction { return &s.txs[s.head] }
