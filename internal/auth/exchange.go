package auth

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/emersion/go-sasl"
)

// The mechanisms.
const (
	Plain       = "PLAIN"
	Login       = "LOGIN"
	Scram       = "SCRAM-SHA-256"
	ScramPlus   = "SCRAM-SHA-256-PLUS"
	OAuthBearer = "OAUTHBEARER"
	XOAuth2     = "XOAUTH2"
)

// MaxResponse is the longest response of a client in decoded octets; tokens are the
// long ones. In base64 it is 12,288, as RFC 4954 section 4.5 suggests.
const MaxResponse = 9216

// maxRounds bounds an exchange; none of the mechanisms needs so many.
const maxRounds = 5

// Mechanisms returns what may be offered to a client, the best first. PLAIN, LOGIN
// and the OAuth ones, which show a secret, are only for encrypted connections (RFC
// 4616 section 6), or where the listener takes passwords in clear (Attempt.Clear).
func (a *Authenticator) Mechanisms(at *Attempt) []string {
	list := make([]string, 0, 6)
	for _, m := range [...]string{ScramPlus, Scram, Plain, Login, OAuthBearer, XOAuth2} {
		if a.available(at, m) == nil {
			list = append(list, m)
		}
	}
	return list
}

// available returns why a mechanism is not.
func (a *Authenticator) available(at *Attempt, mechanism string) error {
	o := a.o.Load()
	switch mechanism {
	case Plain, Login:
	case OAuthBearer, XOAuth2:
		if o.Tokens == nil {
			return ErrMechanism
		}
	case Scram, ScramPlus:
		if !a.scramReady() || mechanism == ScramPlus && len(bindings(at)) == 0 {
			return ErrMechanism
		}
		return nil // no secret is shown
	default:
		return ErrMechanism
	}
	if !at.TLS && !at.Clear {
		return ErrEncryption
	}
	return nil
}

func (a *Authenticator) scramReady() bool {
	databases := a.o.Load().Databases
	return len(databases) > 0 && !slices.ContainsFunc(databases, func(d Database) bool {
		s, ok := d.(ScramReady)
		return !ok || !s.ScramReady()
	})
}

// Exchange is one login by SASL. It belongs to its session.
type Exchange struct {
	a      *Authenticator
	ctx    context.Context
	out    Outcome
	server sasl.Server
	rounds int
	began  time.Time
	user   *User // set when the mechanism is satisfied
	ended  bool
	err    error // the answer to a failure
}

// Start begins an exchange by a mechanism, whatever its case. It returns
// ErrMechanism or ErrEncryption when the mechanism is not available. An exchange
// that the client gives up ("*") is just dropped.
func (a *Authenticator) Start(ctx context.Context, at *Attempt, mechanism string) (*Exchange, error) {
	mechanism = string(bytes.ToUpper([]byte(mechanism)))
	if err := a.available(at, mechanism); err != nil {
		return nil, err
	}
	e := &Exchange{a: a, ctx: ctx, out: Outcome{Attempt: at, Mechanism: mechanism}}
	switch mechanism {
	case Plain:
		e.server = sasl.NewPlainServer(e.plain)
	case Login:
		e.server = &loginServer{check: e.plain}
	case OAuthBearer:
		e.server = &bearerServer{Server: sasl.NewOAuthBearerServer(e.bearer)}
	case XOAuth2:
		e.server = &xoauth2Server{check: e.token}
	default:
		e.server = newScramServer(e)
	}
	return e, nil
}

// Next takes a decoded response of the client, nil when it has sent no initial one,
// and returns the challenge to send, which may be empty but must be sent, until
// done. An error ends the exchange; it is one of this package's. The response is not
// kept.
func (e *Exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	if e.rounds++; e.ended || e.rounds > maxRounds || len(response) > MaxResponse {
		return nil, true, e.fail(Malformed)
	}
	if e.began.IsZero() {
		e.began = time.Now()
	}
	if response == nil && e.rounds > 1 {
		response = []byte{} // an empty line is an answer
	}
	challenge, done, err = e.server.Next(response)
	switch {
	case err != nil && e.ended: // concluded inside
		return nil, true, e.failure()
	case err != nil:
		return nil, true, e.fail(Malformed)
	case done:
		e.ended = true
		return nil, true, nil
	}
	return challenge, false, nil
}

// User is who logged in, after done without an error.
func (e *Exchange) User() *User {
	if !e.ended || e.out.Reason != OK {
		return nil
	}
	return e.user
}
