package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// session is one Serve: the connection that it came to, and the transactions on
// it.
type session struct {
	t     *Transport
	eg    *mail.Egress
	src   mail.Source
	tries tries
	conn  net.Conn // nil: none
	c     *smtp.Client

	lmtp     bool
	strict   bool // no PIPELINING: each command waits for its reply
	chunking bool
	remote   mail.Remote
	connect  time.Duration // until the server was ready
	born     time.Time

	txs     [maxInFlight]transaction // a ring: n of them, from head on, in the order of sending
	head, n int
	steps   []step // replies that are due, from step on
	step    int
	answer  smtp.Answer
	said    mail.Status // the 421 that ends the connection; aliases answer

	pulled       int // deliveries
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
	s.tries.begin(eg)
}

// attach makes conn, which leads to target, the connection of s.
func (s *session) attach(conn net.Conn, target *mail.Target) {
	s.conn, s.born = conn, time.Now()
	s.remote = mail.Remote{
		Host: target.Host, Addr: target.Addr, Source: s.eg.Source.Name,
		Session: s.t.session(),
	}
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
	s.breakDown(err, status, ctx.Err() != nil)
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

// pull returns the next delivery that can be sent, begun as a transaction, or
// nil when there is none for now or the connection has served long enough.
func (s *session) pull(ctx context.Context, wait time.Duration) *transaction {
	limit := s.c.Extensions.MaxMails // RFC 9422 section 4.1
	for ctx.Err() == nil && (limit == 0 || s.pulled < limit) {
		now := time.Now()
		if now.Sub(s.born) > s.t.o.Life {
			return nil
		}
		d := s.src.Next(ctx, wait)
		if d == nil {
			return nil
		}
		d.Remote = s.remote
		if s.pulled == 0 {
			d.Timings.Connect = s.connect
		}
		tx := &s.txs[(s.head+s.n)%len(s.txs)]
		*tx = transaction{d: d}
		if !s.admit(tx) {
			*tx = transaction{}
			s.src.Done(d)
			continue
		}
		tx.began = time.Now()
		s.n++
		s.pulled++
		s.remote.Reused = true
		return tx
	}
	return nil
}

// admit judges whether tx can be sent to this server at all. When not, its
// outcomes are set.
func (s *session) admit(tx *transaction) bool {
	d, x := tx.d, &s.c.Extensions
	tx.rcpts = len(d.Recipients)
	if m := x.MaxRcpts; m > 0 && m < tx.rcpts { // RFC 9422 section 4.2
		tx.rcpts = m
	}
	tx.size = d.Body.Size()
	tx.text = d.Body.Bytes()
	if int64(len(tx.text)) != tx.size {
		tx.text = nil
	}
	refuse := func(st mail.Status) bool {
		tx.rcpts = len(d.Recipients)
		tx.rest(st)
		return false
	}
	if d.Envelope.SMTPUTF8 && !x.Set.Has(smtp.SMTPUTF8) { // RFC 6531 section 3.2
		return refuse(statusUTF8)
	}
	if x.MaxSize > 0 && tx.size > x.MaxSize { // RFC 1870 section 6.1
		return refuse(statusTooBig)
	}
	var ok bool
	if s.path, ok = smtp.AppendPath(s.path[:0], d.Envelope.Sender, d.Envelope.SMTPUTF8); !ok {
		return refuse(statusSender)
	}
	writable := 0
	for i := range tx.rcpts {
		a := d.Envelope.Recipients[d.Recipients[i]].Address
		if s.path, ok = smtp.AppendPath(s.path[:0], a, d.Envelope.SMTPUTF8); !ok || len(a) == 0 {
			d.Set(i, statusRecipient)
			continue
		}
		writable++
	}
	if writable == 0 {
		return false
	}
	st := s.inspect(tx)
	if !st.IsZero() {
		return refuse(st)
	}
	return true
}

// inspect looks for what forbids to send the text of tx. A text that is not in
// memory is looked at while it is sent, unless the server's lack of 8BITMIME
// makes it necessary to know before.
func (s *session) inspect(tx *transaction) mail.Status {
	takes := s.c.Extensions.Set.Has(smtp.EightBitMIME)
	s.check = smtp.TextCheck{}
	switch {
	case tx.text != nil || tx.size == 0:
		s.check.Add(tx.text)
	case takes:
		tx.eightBit = tx.d.Envelope.EightBit
		return mail.Status{}
	default:
		if st := s.readThrough(tx); !st.IsZero() {
			return st
		}
	}
	s.check.End()
	tx.eightBit = s.check.EightBit
	switch {
	case s.check.Bare:
		return statusBareLines
	case tx.eightBit && !takes: // RFC 6152 section 3
		return statusEightBit
	}
	return mail.Status{}
}

// readThrough shows all of a stored text to s.check.
func (s *session) readThrough(tx *transaction) mail.Status {
	r := tx.d.Body.Reader()
	s.needPiece()
	for {
		n, err := r.Read(s.piece)
		s.check.Add(s.piece[:n])
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return mail.Status{}
		default:
			return bodyStatus(tx.d, err)
		}
	}
}

func (s *session) needPiece() {
	if s.piece == nil {
		s.piece = make([]byte, pieceBytes)
	}
}

// bodyStatus judges an error of a body's reader.
func bodyStatus(d *mail.Delivery, err error) mail.Status {
	if errors.Is(err, mail.ErrCorrupt) {
		d.Corrupt = true
		return statusCorrupt
	}
	return statusUnread
}

// first returns the transaction that is first in line.
func (s *session) first() *transaction { return &s.txs[s.head] }
