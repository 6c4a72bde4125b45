package smtpd

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"postrider/internal/auth"
	"postrider/internal/mail"
	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// Authenticator checks logins; auth.Authenticator is one. It is used by many
// goroutines at once.
type Authenticator interface {
	// Mechanisms returns what may be offered, the best first.
	Mechanisms(at *auth.Attempt) []string
	// Start begins an exchange. The error is one of package auth's.
	Start(ctx context.Context, at *auth.Attempt, mechanism string) (*auth.Exchange, error)
}

// maxSASLLine is the longest line of an exchange with its CRLF, the command itself
// included: RFC 4954 section 4.5 wants room for 12288 octets of base64. Tokens are
// the long ones, and programs send them behind the command, whatever section 4
// says about its length.
const maxSASLLine = 12288 + len("AUTH SCRAM-SHA-256-PLUS \r\n")

// maxMechanism is the longest name of a mechanism (RFC 4422 section 3.1).
const maxMechanism = 20

// offersAuth reports that users can log in here at all.
func (e *engine) offersAuth() bool { return e.o.Auth != nil && !e.lmtp }

// attempt tells where a login comes from.
func (e *engine) attempt() *auth.Attempt {
	client := e.Remote.Addr()
	return &auth.Attempt{
		Protocol: "smtp", Client: client, Session: e.ID, Binding: e.TLS,
		TLS: e.TLS != nil, Clear: e.o.ClearLogin != nil && e.o.ClearLogin(client),
	}
}

// mechanisms is what EHLO offers; "" for none.
func (e *engine) mechanisms() string {
	if !e.offersAuth() || e.o.RequireTLS && e.TLS == nil {
		return ""
	}
	return strings.Join(e.o.Auth.Mechanisms(e.attempt()), " ")
}

// auth does AUTH (RFC 4954).
func (e *engine) auth(arg []byte) {
	switch {
	case !e.offersAuth():
		e.give(replyNotOffered, ruleNotOffered)
		return
	case !e.ESMTP:
		e.give(e.needHello(), ruleOrder)
		return
	case e.User != nil: // section 4: once a session
		e.give(replyLoggedIn, ruleOrder)
		return
	case e.open: // section 4: not within a transaction
		e.give(replyNested, ruleOrder)
		return
	}
	word, initial, given := bytes.Cut(arg, []byte(" "))
	if !validMechanism(word) {
		e.give(replyAuthSyntax, ruleSyntax)
		return
	}
	response, ok := []byte(nil), true
	if initial = bytes.TrimLeft(initial, " "); given && len(initial) > 0 {
		if response, ok = e.decode(initial, true); !ok {
			e.give(replyBase64, ruleSyntax)
			return
		}
	}
	ctx, cancel := context.WithTimeout(e.life, e.lim.Login)
	defer cancel()
	defer e.forget()
	x, err := e.o.Auth.Start(ctx, e.attempt(), strings.ToUpper(string(word)))
	if err != nil {
		e.refuseLogin(err)
		return
	}
	e.exchange(x, response)
}

// exchange leads an exchange to its end.
func (e *engine) exchange(x *auth.Exchange, response []byte) {
	for {
		e.w.Rest() // what follows may take long
		challenge, done, err := x.Next(response)
		clear(response)
		if err != nil {
			e.refuseLogin(err)
			return
		}
		if !done || len(challenge) > 0 {
			var ok bool
			if response, ok = e.ask(challenge); !ok {
				return
			}
		}
		if done {
			e.User = x.User()
			e.give(replyWelcome, "")
			return
		}
	}
}

// ask sends a challenge and returns the client's response. False means that the
// exchange is over and what had to be said was said.
func (e *engine) ask(challenge []byte) ([]byte, bool) {
	b := append(e.w.Room(replyRoom+base64.StdEncoding.EncodedLen(len(challenge))), "334 "...)
	e.w.Add(append(base64.StdEncoding.AppendEncode(b, challenge), "\r\n"...))
	e.inLogin = true
	line, ok := e.readLine()
	e.inLogin = false
	if !ok {
		return nil, false
	}
	if len(line) == 1 && line[0] == '*' {
		e.give(replyCancelled, ruleAuth)
		return nil, false
	}
	response, ok := e.decode(line, false)
	if !ok {
		e.give(replyBase64, ruleSyntax)
		return nil, false
	}
	return response, true
}

// decode reads the base64 of a response into memory of the session. Behind the
// command "=" stands for a response without content (section 4).
func (e *engine) decode(text []byte, initial bool) ([]byte, bool) {
	if initial && len(text) == 1 && text[0] == '=' {
		return []byte{}, true
	}
	if len(text) == 0 {
		return []byte{}, true
	}
	if len(e.sasl) < base64.StdEncoding.DecodedLen(len(text)) {
		e.forget()
		e.sasl = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	}
	n, err := base64.StdEncoding.Strict().Decode(e.sasl, text)
	if err != nil || bytes.ContainsAny(text, "\r\n") { // which the decoder passes over
		return nil, false
	}
	clear(text) // in the buffer that other sessions will have
	return e.sasl[:n:n], true
}

// forget drops what a login was made with.
func (e *engine) forget() {
	clear(e.sasl)
	e.sasl = nil
}

// refuseLogin answers what came of a login that failed.
func (e *engine) refuseLogin(err error) {
	switch {
	case e.life.Err() != nil:
		e.stop(replyDrain, ruleDrain, wire.ReasonDrain)
	case errors.Is(err, auth.ErrMechanism):
		e.give(replyMechanism, ruleAuth)
	case errors.Is(err, auth.ErrEncryption):
		e.give(replyEncryption, ruleTLS)
	case errors.Is(err, auth.ErrMessage):
		e.give(replyMessage, ruleSyntax)
	case errors.Is(err, auth.ErrCredentials):
		if e.logins++; e.logins >= e.lim.Logins {
			e.stop(replyLogins, ruleAuth, wire.ReasonErrors)
			return
		}
		e.give(replyCredentials, ruleAuth)
	case errors.Is(err, auth.ErrThrottled):
		e.give(replyThrottled, ruleAuth)
	default:
		e.give(replyUnavailable, ruleAuth)
	}
}

// needsLogin names the commands that are for users only where Options.RequireLogin
// says so (RFC 4954 section 4.1: all but AUTH, EHLO, HELO, NOOP, RSET and QUIT may be
// refused with 530).
func needsLogin(verb smtp.Verb) bool {
	return verb != smtp.VerbAuth && verb != smtp.VerbHelp && needsTLS(verb)
}

func validMechanism(word []byte) bool {
	if len(word) == 0 || len(word) > maxMechanism {
		return false
	}
	for _, c := range word {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// The replies of RFC 4954 section 6.
var (
	replyWelcome     = mail.NewStatus(235, 2, 7, 0, "Welcome")
	replyCancelled   = mail.NewStatus(501, 5, 7, 0, "Login given up")
	replyAuthSyntax  = mail.NewStatus(501, 5, 5, 4, "Syntax: AUTH mechanism [response]")
	replyBase64      = mail.NewStatus(501, 5, 5, 2, "Response is not base64")
	replyMessage     = mail.NewStatus(501, 5, 5, 2, "Response does not fit the mechanism")
	replyLoggedIn    = mail.NewStatus(503, 5, 5, 1, "You are logged in")
	replyMechanism   = mail.NewStatus(504, 5, 5, 4, "Mechanism not offered")
	replySASLLong    = mail.NewStatus(500, 5, 5, 6, "Line of a login is too long")
	replyNeedLogin   = mail.NewStatus(530, 5, 7, 0, "Log in first")
	replyCredentials = mail.NewStatus(535, 5, 7, 8, "Name or password is wrong")
	replyEncryption  = mail.NewStatus(538, 5, 7, 11, "Only over TLS: say STARTTLS first")
	replyThrottled   = mail.NewStatus(454, 4, 7, 0, "Too many failed logins, try again later")
	replyUnavailable = mail.NewStatus(454, 4, 7, 0, "Logins cannot be checked now, try again later")
	replyLogins      = mail.NewStatus(421, 4, 7, 0, "Too many failed logins")
)

const (
	defaultLogins = 5
	defaultLogin  = 4 * time.Minute
)
