package imap

import (
	"bytes"
	"encoding/base64"
	"time"

	"postrider/internal/auth"
	"postrider/internal/wire"
)

// authenticate does AUTHENTICATE, with an initial response too (RFC 4959).
func (s *session) authenticate(c *command) reply {
	if !c.d.SP() {
		return bad(textArguments)
	}
	word, good := c.d.Atom()
	if !good {
		return bad(textArguments)
	}
	mechanism := string(bytes.ToUpper(word))
	var response []byte // nil: there is none yet
	if c.d.SP() {
		initial := c.d.Rest()
		if bytes.Equal(initial, []byte{'='}) { // an empty one (RFC 4959 section 3)
			initial = nil
		}
		if response = decode(initial); response == nil {
			return bad("Not base64")
		}
	} else if !c.bare() {
		return bad(textArguments)
	}
	if s.TLS == 0 && s.o.RequireTLS {
		return no("PRIVACYREQUIRED", "Not without TLS")
	}
	e, err := s.o.Auth.Start(s.ctx, s.attempt(), mechanism)
	if err != nil {
		return s.refuse(mechanism, err)
	}
	return s.exchange(e, mechanism, response)
}

// exchange passes challenges and responses until the login has ended.
func (s *session) exchange(e *auth.Exchange, mechanism string, response []byte) reply {
	for {
		challenge, done, err := e.Next(response)
		clear(response)
		switch {
		case err != nil:
			return s.refuse(mechanism, err)
		case done:
			return s.enter(mechanism, e.User())
		}
		s.w.AddString("+ ")
		s.w.AddString(base64.StdEncoding.EncodeToString(challenge))
		s.w.AddString("\r\n")
		line, fine := s.readLine()
		if !fine {
			return reply{}
		}
		if bytes.Equal(line, []byte{'*'}) {
			return bad("Cancelled")
		}
		if response = decode(line); response == nil {
			return bad("Not base64")
		}
	}
}

// readLine returns the next line of a client that is logging in. false: it has ended
// the session.
func (s *session) readLine() ([]byte, bool) {
	s.heard = time.Time{}
	grace := false
	for {
		if line, ok := s.w.Line(); ok {
			s.part = time.Time{}
			return line, true
		}
		b := s.w.Buffered()
		if len(b) >= s.lim.LoginBytes {
			s.stop(byeTooBig, wire.ReasonProtocol)
			return nil, false
		}
		if !s.wait(len(b) > 0, &grace) {
			return nil, false
		}
	}
}

// decode reads a response and overwrites it, since the buffer goes to other sessions;
// nil means that it is not base64.
func decode(line []byte) []byte {
	response := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(response, line)
	clear(line)
	if err != nil {
		clear(response)
		return nil
	}
	return response[:n]
}
