package pop3

import (
	"errors"
	"slices"
	"time"

	"postrider/internal/auth"
	"postrider/internal/wire"
)

// attempt says where a login comes from.
func (s *session) attempt() *auth.Attempt {
	client := s.Remote.Addr()
	return &auth.Attempt{
		Protocol: "pop3", Client: client, Session: s.ID, TLS: s.TLS != 0, Binding: s.w.TLS(),
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

// appendLogins appends what CAPA says of the ways to log in. USER and PASS give the
// password as it is, as PLAIN does, and are allowed where that is.
func (s *session) appendLogins(b []byte) []byte {
	list := s.mechanisms()
	if slices.Contains(list, auth.Plain) {
		b = append(b, "USER\r\n"...)
	}
	if len(list) == 0 {
		return b
	}
	b = append(b, "SASL"...)
	for _, m := range list {
		b = append(append(b, ' '), m...)
	}
	return append(b, "\r\n"...)
}

// user does USER. Whether there is such a user is not told (RFC 1939 section 13).
func (s *session) user(arg []byte) {
	switch {
	case len(arg) == 0:
		s.fail(replyArgument)
	case !slices.Contains(s.mechanisms(), auth.Plain):
		s.fail(replyClear)
	default:
		s.name = append(s.name[:0], arg...)
		s.w.AddString(replyUser)
	}
}

// pass does PASS. Spaces belong to the password (RFC 1939 section 7).
func (s *session) pass(arg []byte) {
	if len(s.name) == 0 {
		s.fail(replyNeedUser)
		return
	}
	name := string(s.name)
	s.name = nil
	user, err := s.o.Auth.Password(s.ctx, s.attempt(), name, arg)
	clear(arg) // the buffer goes to other sessions
	if err != nil {
		s.refuse(mechanismUser, err)
		return
	}
	s.enter(mechanismUser, user)
}

// mechanismUser is what events call USER and PASS.
const mechanismUser = "USER"

// refuse answers a login that failed.
func (s *session) refuse(mechanism string, err error) {
	switch {
	case errors.Is(err, auth.ErrMechanism):
		s.fail(replyMechanism)
		return
	case errors.Is(err, auth.ErrEncryption):
		s.fail(replyClear)
		return
	}
	s.m.Failures.Add(1)
	s.event(Event{Kind: LoginFailed, Mechanism: mechanism, Err: err})
	reply := replyNoAuth
	switch {
	case errors.Is(err, auth.ErrCredentials):
		reply = replyWrong
	case errors.Is(err, auth.ErrThrottled):
		reply = replyThrottled
	case errors.Is(err, auth.ErrMessage):
		reply = replyMessage
	}
	if s.failures++; s.failures >= s.lim.Failures {
		s.stop(reply, wire.ReasonErrors)
		return
	}
	s.fail(reply)
}

// enter opens the maildrop of a user who has proved to be that.
func (s *session) enter(mechanism string, user *auth.User) {
	if refusal := s.o.Drops.enter(user.Name, s.o.Exclusive, s.o.LoginDelay, time.Now()); refusal != "" {
		s.fail(refusal)
		return
	}
	drop, err := s.o.Open(s.ctx, user)
	if err != nil {
		s.o.Drops.leave(user.Name)
		s.trouble(err)
		s.fail(replyNoDrop)
		return
	}
	s.drop, s.User = drop, user.Name
	s.m.Logins.Add(1)
	s.event(Event{Kind: Login, Mechanism: mechanism})
	s.w.AddString(replyOK)
}
