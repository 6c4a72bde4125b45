package pop3

import (
	"context"
	"errors"
	"slices"
	"time"

	"postrider/internal/wire"
)

// Authenticator says who a client is.
type Authenticator interface {
	// Mechanisms are those that the client may use now.
	Mechanisms(c *Conn) []string
	// Password returns the user of that name if the password is right.
	Password(ctx context.Context, c *Conn, name string, password []byte) (user string, err error)
}

// Errors of an Authenticator; all others are temporary.
var (
	ErrCredentials = errors.New("name or password is wrong")
	ErrThrottled   = errors.New("too many failed logins")
)

// mechanismPlain is the mechanism whose permission is that of USER and PASS: both
// give the password itself.
const mechanismPlain = "PLAIN"

// mayUsePassword reports whether the client may send its password as it is.
func (s *session) mayUsePassword() bool {
	return (s.TLS != 0 || !s.o.RequireTLS) && slices.Contains(s.o.Auth.Mechanisms(&s.Conn), mechanismPlain)
}

// appendLogins appends what CAPA says of the ways to log in.
func (s *session) appendLogins(b []byte) []byte {
	if s.TLS == 0 && s.o.RequireTLS {
		return b
	}
	if s.mayUsePassword() {
		b = append(b, "USER\r\n"...)
	}
	return b
}

// user does USER. Whether there is such a user is not told (RFC 1939 section 13).
func (s *session) user(arg []byte) {
	switch {
	case len(arg) == 0:
		s.fail(replyArgument)
	case !s.mayUsePassword():
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
	user, err := s.o.Auth.Password(s.ctx, &s.Conn, name, arg)
	if err != nil {
		s.refuse("USER", err)
		return
	}
	s.enter("USER", user)
}

func (s *session) auth(arg []byte) { s.fail(replyMechanism) }

// refuse answers a login that failed.
func (s *session) refuse(mechanism string, err error) {
	s.m.Failures.Add(1)
	s.event(Event{Kind: LoginFailed, Mechanism: mechanism, Err: err})
	reply := replyNoAuth
	switch {
	case errors.Is(err, ErrCredentials):
		reply = replyWrong
	case errors.Is(err, ErrThrottled):
		reply = replyThrottled
	}
	if s.failures++; s.failures >= s.lim.Failures {
		s.stop(reply, wire.ReasonErrors)
		return
	}
	s.fail(reply)
}

// enter opens the maildrop of a user who has proved to be that.
func (s *session) enter(mechanism, user string) {
	if refusal := s.o.Drops.enter(user, s.o.Exclusive, s.o.LoginDelay, time.Now()); refusal != "" {
		s.fail(refusal)
		return
	}
	drop, err := s.o.Open(s.ctx, user)
	if err != nil {
		s.o.Drops.leave(user)
		s.trouble(err)
		s.fail(replyNoDrop)
		return
	}
	s.drop, s.User = drop, user
	s.m.Logins.Add(1)
	s.event(Event{Kind: Login, Mechanism: mechanism})
	s.w.AddString(replyOK)
}
