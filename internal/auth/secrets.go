package auth

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// errEnded tells a mechanism's code that the exchange has failed and was concluded.
var errEnded = errors.New("concluded")

// conclude counts the exchange and ends it when it failed.
func (e *Exchange) conclude() error {
	e.out.Took = time.Since(e.began)
	e.err = e.a.conclude(e.ctx, &e.out)
	if e.err != nil {
		e.ended = true
		return errEnded
	}
	return nil
}

// fail ends the exchange for a reason.
func (e *Exchange) fail(r Reason) error {
	if !e.ended {
		e.out.Reason = r
		_ = e.conclude() // whose error is kept
	}
	return e.failure()
}

// failure is the error that the client is told.
func (e *Exchange) failure() error {
	if e.err == nil {
		return ErrMessage
	}
	return e.err
}

// plain checks what PLAIN and LOGIN bring. An authorization identity must be the
// user's own: nobody may act for another here.
func (e *Exchange) plain(identity, user, plain string) error {
	e.out.Name = e.a.resolve(user)
	if user == "" || plain == "" {
		return errMessage
	}
	e.user = e.a.check(e.ctx, &e.out, []byte(plain))
	if identity != "" && e.a.resolve(identity) != e.out.Name && e.out.Reason == OK {
		e.out.Reason, e.user = BadPassword, nil
	}
	return e.conclude()
}

var errMessage = errors.New("malformed")

// loginServer is LOGIN: two questions, of which only the order counts. A name may
// come with the command.
type loginServer struct {
	check func(identity, user, plain string) error
	asked int
	user  string
}

func (s *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && s.asked == 0 {
		s.asked = 1
		return []byte("Username:"), false, nil
	}
	if s.user == "" {
		if len(response) == 0 {
			return nil, false, errMessage
		}
		s.user, s.asked = string(response), 2
		return []byte("Password:"), false, nil
	}
	return nil, true, s.check("", s.user, string(response))
}

// token checks a token that claims to be a user's.
func (e *Exchange) token(user, token string) error {
	out := &e.out
	out.Name = e.a.resolve(user)
	switch {
	case token == "":
		return errMessage
	case !e.a.limits.allow(out.Attempt.Client, out.Name, time.Now()):
		out.Reason = Throttled
	default:
		e.weighToken(user, token)
	}
	return e.conclude()
}

func (e *Exchange) weighToken(claimed, token string) {
	out := &e.out
	name, err := e.a.o.Load().Tokens.Check(e.ctx, token)
	switch {
	case errors.Is(err, ErrCredentials):
		out.Reason = BadToken
		return
	case err != nil:
		out.Reason, out.Err = Unavailable, err
		return
	}
	name = e.a.resolve(name)
	if claimed != "" && name != out.Name {
		out.Reason = BadToken
		return
	}
	out.Name = name
	entry, err := e.a.entry(e.ctx, out)
	switch {
	case err != nil:
		out.Reason, out.Err = Unavailable, err
	case entry == nil:
		out.Reason = UnknownUser
	case entry.Disabled:
		out.Reason = Disabled
	default:
		e.user = entry.user()
	}
}

// bearer is token for the OAUTHBEARER server, which tells of a refusal in JSON
// first (RFC 7628 section 3.2.2).
func (e *Exchange) bearer(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
	if err := e.token(o.Username, o.Token); err != nil {
		return &sasl.OAuthBearerError{Status: "invalid_token", Schemes: "bearer"}
	}
	return nil
}

// bearerServer keeps an empty answer to a refusal, which clients do send, from the
// mechanism, which expects one octet.
type bearerServer struct{ sasl.Server }

func (s *bearerServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil && len(response) == 0 {
		response = []byte{1}
	}
	return s.Server.Next(response)
}

// xoauth2Server is the older form of the same, "user=NAME^Aauth=Bearer TOKEN^A^A".
type xoauth2Server struct {
	check func(user, token string) error
	err   error
}

func (s *xoauth2Server) Next(response []byte) (challenge []byte, done bool, err error) {
	if s.err != nil { // the client's empty answer to the refusal
		return nil, true, s.err
	}
	if response == nil {
		return []byte{}, false, nil
	}
	var user, token string
	for field := range bytes.SplitSeq(response, []byte{1}) {
		name, value, _ := strings.Cut(string(field), "=")
		switch strings.ToLower(name) {
		case "user":
			user = value
		case "auth":
			if len(value) < 7 || !strings.EqualFold(value[:7], "Bearer ") {
				return nil, true, errMessage
			}
			token = value[7:]
		}
	}
	if user == "" {
		return nil, true, errMessage
	}
	if s.err = s.check(user, token); s.err == nil {
		return nil, true, nil
	}
	if errors.Is(s.err, errMessage) {
		return nil, true, s.err
	}
	return []byte(`{"status":"401","schemes":"bearer","scope":"mail"}`), false, nil
}
