package imap

import (
	"context"
	"runtime/debug"
	"time"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
	"postrider/internal/wire"
)

// session is one client's state machine. Without an account it is not authenticated
// (RFC 9051 section 3), with a selection it is in the selected state.
type session struct {
	Conn
	w   *wire.Conn
	o   *Options
	lim *Limits
	m   *Metrics
	ctx context.Context

	account *mailbox.Account // nil: not logged in
	sel     *selection       // nil: nothing is selected
	enabled enabled
	off     []string // capabilities that the user is not offered

	cmd    command
	at     collecting
	set    imapwire.NumSet // of the command in hand
	ranges []mailbox.Range // of the command in hand
	tag    []byte          // of the command in hand
	idle   *idling         // nil: not in IDLE

	notifies *notifying // nil: the client has not used NOTIFY

	began time.Time // when the session did, for who is not logged in
	heard time.Time // since when a command is awaited; zero: not yet
	part  time.Time // since when a part of one is there; zero: none is

	ended    bool // the session is over
	linger   bool // and its last reply must not be lost
	parked   bool // it waits without a goroutine of its own
	changed  bool // the command in hand has changed the selected mailbox
	errors   int  // BAD given
	failures int  // failed logins

	fetched, appended, expunged, commands int
	bytes                                 int64
}

// enabled are the extensions that a client has asked for (RFC 5161).
type enabled uint8

const (
	condstore enabled = 1 << iota
	qresync
	utf8Accept
	rev2
)

func (s *session) has(e enabled) bool { return s.enabled&e != 0 }

// utf8 reports that names and quoted strings may be UTF-8.
func (s *session) utf8() bool { return s.enabled&(utf8Accept|rev2) != 0 }

// run begins the session.
func (s *session) run() {
	defer s.finish()
	defer s.guard()
	s.began = time.Now()
	s.withhold()
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
	if s.idle != nil {
		s.idle.resumed = true
	}
	s.loop()
}

// loop does commands until the session ends or parks.
func (s *session) loop() {
	for !s.ended {
		if s.idle != nil {
			s.idleOn()
		} else if c := s.collect(); c != nil {
			s.do(c)
		}
		if s.parked {
			return
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

// withhold notes what the user, or somebody who is not known yet, is not offered.
func (s *session) withhold() {
	if s.o.Disabled != nil {
		s.off = s.o.Disabled(s.User)
	}
}

func (s *session) greet() {
	b := append(s.room(), "* OK ["...)
	b = s.appendCapability(b)
	b = append(b, "] "...)
	b = append(b, s.o.Hostname...)
	s.add(append(b, " postrider\r\n"...))
}

// leave gives back the mailbox, whatever ended the session.
func (s *session) leave() {
	s.Ended = s.w.Reason()
	s.endIdle()
	s.deselect()
	s.logoff()
}

// logoff goes back to where nobody is logged in.
func (s *session) logoff() {
	if s.account == nil {
		return
	}
	s.endNotify()
	s.o.Sessions.leave(s.User, s.Remote.Addr())
	s.event(Event{Kind: Ended, Fetched: s.fetched, Appended: s.appended, Expunged: s.expunged, Commands: s.commands, Bytes: s.bytes})
	s.account, s.User, s.enabled = nil, "", 0
	s.withhold()
	s.fetched, s.appended, s.expunged, s.commands, s.bytes = 0, 0, 0, 0, 0
}

// guard turns a panic into the end of this session.
func (s *session) guard() {
	v := recover()
	if v == nil {
		return
	}
	s.m.Panics.Add(1)
	s.parked = false
	s.w.SetReason(wire.ReasonPanic)
	s.w.AddString(byePanic)
	s.event(Event{Kind: Panicked, Panic: v, Stack: debug.Stack()})
}

func (s *session) event(e Event) {
	if s.o.Events != nil {
		e.Conn = &s.Conn
		s.o.Events(e)
	}
}

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

// stop says a last BYE and ends the session.
func (s *session) stop(bye string, r wire.Reason) {
	s.ended, s.linger = true, true
	s.w.SetReason(r)
	s.w.AddString(bye)
}
