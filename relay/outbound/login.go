package outbound

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

const (
	loginRounds = 8 // challenges that a server may put

	// A server sets how much work a SCRAM login is for its client, so one could
	// ask for a year of it. So many rounds take about a quarter of a second.
	scramRounds = 1_000_000
)

var errChallenge = errors.New("a challenge that does not fit the login")

// login proves who we are, where the next hop wants to know. The password never
// goes out in clear unless the policy wants no encryption, and appears in no
// error.
func (s *session) login() *Error {
	l := s.eg.Login
	if l == nil {
		return nil
	}
	if s.state == nil && s.eg.TLS.Level != mail.TLSNone {
		return s.noLogin(statusLoginClear, nil)
	}
	m := s.mechanism(l)
	if m == nil {
		return s.noLogin(statusNoLogin, nil)
	}
	name, initial, err := m.Start()
	if err != nil {
		return s.noLogin(statusNoLogin, errChallenge)
	}
	err = s.c.Login(&s.answer, name, initial)
	for range loginRounds {
		if err != nil || s.answer.Code != 334 {
			break
		}
		response, fits := s.respond(m)
		err = s.c.Respond(&s.answer, response)
		if !fits {
			return s.noLogin(statusBadLogin, errChallenge)
		}
	}
	switch {
	case err != nil:
		return failed(PhaseAuth, err)
	case s.answer.Code >= 400:
		return s.noLogin(refusedLogin(&s.answer, l), nil)
	case s.answer.Code >= 300:
		return failed(PhaseAuth, errSequence)
	}
	if p, ok := m.(*scramLogin); ok && !p.talk.Valid() {
		return s.noLogin(statusBadLogin, errChallenge) // a server that does not know the password
	}
	return nil
}

// respond answers the challenge in s.answer; nil gives the login up.
func (s *session) respond(m sasl.Client) (response []byte, fits bool) {
	challenge, ok := s.answer.Challenge()
	if !ok {
		return nil, false
	}
	response, err := m.Next(challenge)
	if err != nil {
		return nil, false
	}
	if response == nil {
		response = []byte{} // an empty line; nil would be "*"
	}
	return response, true
}

// noLogin is an Error about the login. It is never for good, whatever the server
// says: the fault is in a configuration, on one side or the other.
func (s *session) noLogin(status mail.Status, err error) *Error {
	s.c.Quit(&s.answer)
	return &Error{Phase: PhaseAuth, Status: status, Class: mail.ClassAuth, Err: err}
}

// refusedLogin says what a server made of a login, in its own words unless they
// may hold the secret.
func refusedLogin(a *smtp.Answer, l *mail.Login) mail.Status {
	said := a.Status()
	secret := []byte(l.Password)
	for _, form := range [...][]byte{
		secret,
		base64.StdEncoding.AppendEncode(nil, secret),
		base64.StdEncoding.AppendEncode(nil, []byte("\x00"+l.User+"\x00"+l.Password)),
	} {
		if len(form) > 0 && bytes.Contains(said.Text, form) {
			said.Text = nil
		}
	}
	text := append([]byte("login refused: "), said.AppendText(nil)...)
	return mail.Status{Code: 454, Enhanced: mail.Enhanced{Class: 4, Subject: 7, Detail: 8}, Text: text}
}

// mechanism returns the safest one that both sides have, nil when there is none.
func (s *session) mechanism(l *mail.Login) sasl.Client {
	offered := bytes.Fields(bytes.ToUpper(s.c.Extensions.AuthText))
	has := func(name string) bool {
		for _, o := range offered {
			if string(o) == name {
				return true
			}
		}
		return false
	}
	const sha256, plus = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
	if binding := s.binding(); has(plus) && binding.IsSupported() {
		if c := scramClient(l); c != nil {
			return &scramLogin{name: plus, talk: c.NewConversationWithChannelBinding(binding)}
		}
	} else if has(sha256) {
		if c := scramClient(l); c != nil {
			m := &scramLogin{name: sha256, talk: c.NewConversation()}
			if binding.IsSupported() && !has(plus) { // RFC 5802 section 6: "y", so that nobody can hide it
				m.talk = c.NewConversationAdvertisingChannelBinding()
			}
			return m
		}
	}
	switch {
	case has(sasl.Plain):
		return sasl.NewPlainClient("", l.User, l.Password)
	case has(sasl.Login):
		return &askedLogin{l: l}
	}
	return nil
}

// binding ties a login to the encrypted connection: RFC 9266 from TLS 1.3 on, RFC
// 5929 before.
func (s *session) binding() scram.ChannelBinding {
	if s.state == nil {
		return scram.ChannelBinding{}
	}
	if unique := s.state.TLSUnique; len(unique) > 0 {
		return scram.NewTLSUniqueBinding(unique)
	}
	b, err := scram.NewTLSExporterBinding(s.state)
	if err != nil {
		return scram.ChannelBinding{} // not on such a connection
	}
	return b
}

func scramClient(l *mail.Login) *scram.Client {
	c, err := scram.SHA256.NewClient(l.User, l.Password, "")
	if err != nil { // what SASLprep does not let through may still be right
		c, err = scram.SHA256.NewClientUnprepped(l.User, l.Password, "")
	}
	if err != nil {
		return nil
	}
	return c
}

// scramLogin is SCRAM (RFC 5802, RFC 7677) as a sasl.Client.
type scramLogin struct {
	name string
	talk *scram.ClientConversation
}

func (m *scramLogin) Start() (string, []byte, error) {
	first, err := m.talk.Step("")
	return m.name, []byte(first), err
}

func (m *scramLogin) Next(challenge []byte) ([]byte, error) {
	if !bearable(challenge) {
		return nil, errChallenge
	}
	answer, err := m.talk.Step(string(challenge))
	return []byte(answer), err
}

// bearable looks at the "i=" of a server's first message.
func bearable(challenge []byte) bool {
	for field := range bytes.SplitSeq(challenge, []byte(",")) {
		if value, ok := bytes.CutPrefix(field, []byte("i=")); ok {
			n, err := strconv.Atoi(string(value))
			return err == nil && n <= scramRounds
		}
	}
	return true
}

// askedLogin is LOGIN, which was never more than a draft: servers word its two
// questions as they like, so only their order counts.
type askedLogin struct {
	l     *mail.Login
	asked int
}

func (*askedLogin) Start() (string, []byte, error) { return sasl.Login, nil, nil }

func (m *askedLogin) Next([]byte) ([]byte, error) {
	switch m.asked++; m.asked {
	case 1:
		return []byte(m.l.User), nil
	case 2:
		return []byte(m.l.Password), nil
	}
	return nil, errChallenge
}
