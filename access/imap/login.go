package imap

import (
	"errors"
	"slices"
	"time"

	"postrider/access/imapwire"
	"postrider/internal/auth"
	"postrider/internal/wire"
)

// attempt says where a login comes from.
func (s *session) attempt() *auth.Attempt {
	client := s.Remote.Addr()
	return &auth.Attempt{
		Protocol: "imap", Client: client, Session: s.ID, TLS: s.TLS != 0, Binding: s.w.TLS(),
		Clear: s.o.ClearLogin != nil && s.o.ClearLogin(client),
	}
}

// mechanisms returns those that may be used now.
func (s *session) mechanisms() []string {
	if s.TLS == 0 && s.o.RequireTLS {
		return nil
	}
	return s.o.Auth.Mechanisms(s.attempt())
}

// mayLogin reports that LOGIN is allowed: it gives the password as it is, as PLAIN does.
func (s *session) mayLogin(mechanisms []string) bool { return slices.Contains(mechanisms, auth.Plain) }

// login does LOGIN.
func (s *session) login(c *command) reply {
	if !c.d.SP() {
		return bad(textArguments)
	}
	name, ok := c.d.AString()
	if !ok || !c.d.SP() {
		return bad(textArguments)
	}
	user := string(name)
	password, ok := c.d.AString()
	if !ok || !c.bare() {
		return bad(textArguments)
	}
	defer clear(password) // the buffer goes to other sessions
	if !s.mayLogin(s.mechanisms()) {
		return no("PRIVACYREQUIRED", "Not without TLS")
	}
	u, err := s.o.Auth.Password(s.ctx, s.attempt(), user, password)
	if err != nil {
		return s.refuse(mechanismLogin, err)
	}
	return s.enter(mechanismLogin, u)
}

// mechanismLogin is what events call LOGIN.
const mechanismLogin = "LOGIN"

// refuse answers a login that failed.
func (s *session) refuse(mechanism string, err error) reply {
	switch {
	case errors.Is(err, auth.ErrMechanism):
		return no("CANNOT", "Mechanism is not offered")
	case errors.Is(err, auth.ErrEncryption):
		return no("PRIVACYREQUIRED", "Not without TLS")
	}
	s.m.Failures.Add(1)
	s.event(Event{Kind: LoginFailed, Mechanism: mechanism, Err: err})
	r := no("UNAVAILABLE", "Logins are not possible now")
	switch {
	case errors.Is(err, auth.ErrCredentials):
		r = no("AUTHENTICATIONFAILED", "Name or password is wrong")
	case errors.Is(err, auth.ErrThrottled):
		r = no("UNAVAILABLE", "Too many failed logins, come back later")
	case errors.Is(err, auth.ErrMessage):
		r = bad("Response does not fit the mechanism")
	}
	if s.failures++; s.failures >= s.lim.Failures {
		s.finishLine(s.tag, &r)
		s.stop(byeFailures, wire.ReasonErrors)
		return reply{}
	}
	return r
}

// enter opens the account of a user who has proved to be that.
func (s *session) enter(mechanism string, user *auth.User) reply {
	if !s.o.Sessions.enter(user.Name, s.Remote.Addr(), s.lim.SessionsPerUser) {
		return no("LIMIT", "Too many sessions of yours from this address")
	}
	a, err := s.o.Open(s.ctx, user)
	if err != nil {
		s.o.Sessions.leave(user.Name, s.Remote.Addr())
		return s.trouble(err)
	}
	s.account, s.User, s.errors = a, user.Name, 0
	if err := furnish(s.ctx, a, s.o.Special); err != nil {
		s.trouble(err) // the next login tries again; this one need not fail for it
	}
	s.withhold()
	s.m.Logins.Add(1)
	s.event(Event{Kind: Login, Mechanism: mechanism})
	return okRaw(s.appendCapability(nil), "Logged in")
}

// startTLS does STARTTLS (RFC 9051 section 6.2.1).
func (s *session) startTLS(c *command) reply {
	switch {
	case !c.bare():
		return bad(textNoArgs)
	case s.TLS != 0:
		return bad("TLS is on already")
	case s.o.TLS == nil:
		return bad("TLS is not offered")
	}
	// What follows in clear could be from somebody else, and would be taken for
	// protected.
	if len(s.w.Buffered()) > 0 {
		s.stop(byeEarly, wire.ReasonProtocol)
		return reply{}
	}
	r := ok("Begin the handshake")
	s.finishLine(s.tag, &r)
	s.ended = !s.handshake()
	return reply{}
}

func (s *session) logout(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	s.stop(byeQuit, wire.ReasonQuit)
	return ok("LOGOUT completed")
}

// compress does COMPRESS (RFC 4978). Who is not logged in gets none: the decoder's
// memory and time are for those who are known.
func (s *session) compress(c *command) reply {
	algorithm, good := argument(c, (*imapwire.Decoder).Atom)
	switch {
	case !good || !c.bare():
		return bad(textArguments)
	case s.w.Compressed():
		return no("COMPRESSIONACTIVE", "DEFLATE is on already")
	case !imapwire.Is(algorithm, "DEFLATE") || !s.offers("COMPRESS=DEFLATE"):
		return no("CANNOT", "Algorithm is not offered")
	}
	r := ok("DEFLATE from here on")
	s.finishLine(s.tag, &r)
	if err := s.w.Compress(); err != nil {
		s.lost(err)
		return reply{}
	}
	s.m.Compressed.Add(1)
	return reply{}
}

// unauthenticate does UNAUTHENTICATE (RFC 8437): nothing of the user's is left.
func (s *session) unauthenticate(c *command) reply {
	switch {
	case !c.bare():
		return bad(textNoArgs)
	case s.w.Compressed():
		return no("CANNOT", "Not while DEFLATE is on") // which is for who is logged in
	}
	s.endNotify()
	s.deselect()
	s.logoff()
	s.began = time.Now() // the time for the next login begins
	return ok("UNAUTHENTICATE completed")
}

// isHTTP reports a browser that was made to speak to a mail server.
func isHTTP(tag []byte) bool {
	switch string(tag) {
	case "GET", "POST", "HEAD", "OPTIONS", "CONNECT":
		return true
	}
	return false
}
