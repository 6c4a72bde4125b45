package pop3

import (
	"bytes"
	"encoding/base64"

	"postrider/internal/auth"
)

// auth does AUTH (RFC 5034). Without an argument it lists the mechanisms, as RFC
// 1734's servers came to do and as clients that do not know CAPA expect.
func (s *session) auth(arg []byte) {
	if arg == nil {
		b := append(s.w.Room(replyRoom), replyOK...)
		for _, m := range s.mechanisms() {
			b = append(append(b, m...), "\r\n"...)
		}
		s.w.Add(append(b, ".\r\n"...))
		return
	}
	if s.TLS == 0 && s.o.RequireTLS {
		s.fail(replyClear)
		return
	}
	word, initial, hasInitial := bytes.Cut(arg, []byte{' '})
	mechanism := string(bytes.ToUpper(word))
	e, err := s.o.Auth.Start(s.ctx, s.attempt(), mechanism)
	if err != nil {
		s.refuse(mechanism, err)
		return
	}
	var response []byte // nil: there is none yet
	if hasInitial {
		if bytes.Equal(initial, []byte{'='}) { // an empty one (RFC 5034 section 4)
			initial = nil
		}
		if response = s.decode(initial); response == nil {
			return
		}
	}
	s.exchange(e, mechanism, response)
}

// exchange passes challenges and responses until the login has ended.
func (s *session) exchange(e *auth.Exchange, mechanism string, response []byte) {
	for {
		challenge, done, err := e.Next(response)
		clear(response)
		switch {
		case err != nil:
			s.refuse(mechanism, err)
			return
		case done:
			s.enter(mechanism, e.User())
			return
		}
		s.challenge(challenge)
		line, ok := s.readLine(s.lim.AuthBytes, false)
		if !ok {
			return
		}
		if bytes.Equal(line, []byte{'*'}) {
			s.fail(replyCancelled)
			return
		}
		if response = s.decode(line); response == nil {
			return
		}
	}
}

func (s *session) challenge(text []byte) {
	s.w.AddString("+ ")
	s.w.AddString(base64.StdEncoding.EncodeToString(text))
	s.w.AddString("\r\n")
}

// decode reads a response and overwrites it, since the buffer goes to other sessions;
// nil means that it is not base64, and that -ERR was said.
func (s *session) decode(line []byte) []byte {
	response := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(response, line)
	clear(line)
	if err != nil {
		clear(response)
		s.fail(replyBase64)
		return nil
	}
	return response[:n]
}
