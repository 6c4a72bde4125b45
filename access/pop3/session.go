package pop3

import (
	"context"
	"runtime/debug"
	"time"

	"postrider/internal/wire"
)

// session is one client's state machine. Without a drop it is in the state that RFC
// 1939 calls AUTHORIZATION, with one in TRANSACTION.
type session struct {
	Conn
	w   *wire.Conn
	o   *Options
	lim *Limits
	m   *Metrics
	ctx context.Context

	drop    Maildrop
	removed Marks       // by DELE
	seen    Marks       // by RETR
	text    *textWriter // nil until the first text

	name     []byte // argument of USER
	ended    bool   // the session is over
	linger   bool   // and its last reply must not be lost
	parked   bool   // it waits without a goroutine of its own
	errors   int    // -ERR given
	failures int    // failed logins

	began   time.Time // when the greeting was said
	waiting time.Time // since when a command is awaited; zero: not yet

	retrieved int
	bytes     int64
	updated   int // messages removed
}

// run begins the session.
func (s *session) run() {
	defer s.finish()
	defer s.guard()
	s.began = time.Now()
	if s.o.ImplicitTLS && !s.handshake() {
		s.ended = true
		return
	}
	s.greet()
	s.loop()
}

// Resume goes on with a session that has parked.
func (s *session) Resume() {
	defer s.finish()
	defer s.guard()
	s.parked = false
	s.loop()
}

// loop does commands until the session ends or parks.
func (s *session) loop() {
	for !s.ended {
		line, ok := s.readLine(max(s.lim.CommandBytes, s.lim.AuthBytes), true)
		if s.parked {
			return
		}
		if ok {
			s.command(line)
		}
	}
	if s.linger {
		s.w.Linger(s.lim.Linger)
	}
}

// finish lets go of what a session holds that will not go on.
func (s *session) finish() {
	if !s.parked {
		s.leave()
		s.m.Connections.Add(-1)
	}
}

// greet says nothing in angle brackets: APOP, which needs passwords that can be
// read, is not offered.
func (s *session) greet() {
	b := append(s.w.Room(replyRoom), "+OK "...)
	b = append(b, s.o.Hostname...)
	s.w.Add(append(b, " POP3 postrider\r\n"...))
}

// leave gives back the maildrop, whatever ended the session. What was retrieved is
// marked as seen even without QUIT, since it was; nothing is removed.
func (s *session) leave() {
	s.Ended = s.w.Reason()
	if s.drop == nil {
		return
	}
	if len(s.seen) > 0 {
		if err := s.drop.Update(s.ctx, nil, s.seen); err != nil {
			s.trouble(err)
		}
	}
	s.drop.Close()
	s.drop = nil
	s.o.Drops.leave(s.User)
	s.event(Event{Kind: Ended, Retrieved: s.retrieved, Removed: s.updated, Bytes: s.bytes})
}

// guard turns a panic into the end of this session.
func (s *session) guard() {
	v := recover()
	if v == nil {
		return
	}
	s.m.Panics.Add(1)
	s.w.SetReason(wire.ReasonPanic)
	s.w.AddString(replyPanic)
	s.event(Event{Kind: Panicked, Panic: v, Stack: debug.Stack()})
}

func (s *session) event(e Event) {
	if s.o.Events != nil {
		e.Conn = &s.Conn
		s.o.Events(e)
	}
}

// trouble reports an error of the store.
func (s *session) trouble(err error) { s.event(Event{Kind: Trouble, Err: err}) }

// handshake turns the connection to TLS.
func (s *session) handshake() bool {
	config := s.o.TLS()
	if config == nil {
		s.w.SetReason(wire.ReasonTLS)
		return false
	}
	if err := s.w.StartTLS(config, s.lim.Handshake); err != nil {
		s.m.HandshakeErr.Add(1)
		s.w.SetReason(wire.ReasonTLS)
		return false
	}
	s.m.Handshakes.Add(1)
	s.TLS = s.w.TLS().Version
	return true
}

// replyRoom is more than any reply line needs (RFC 2449 section 4).
const replyRoom = 512

// fail answers the command in hand with -ERR, and one too many of them ends the
// session.
func (s *session) fail(reply string) {
	s.m.Errors.Add(1)
	if s.errors++; s.errors > s.lim.Errors {
		s.stop(replyErrors, wire.ReasonErrors)
		return
	}
	s.w.AddString(reply)
}

// stop gives a last reply and ends the session.
func (s *session) stop(reply string, r wire.Reason) {
	s.ended, s.linger = true, true
	s.w.SetReason(r)
	s.w.AddString(reply)
}
