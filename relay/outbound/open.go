package outbound

import (
	"context"
	"time"

	"postrider/relay/smtp"
)

// open brings a connection that stands to where transactions can begin. greeted
// is when the server had said its greeting, as far as it came.
func (s *session) open(ctx context.Context) (greeted time.Time, err *Error) {
	defer s.cutAt(ctx)()
	if s.implicitTLS() {
		if err := s.handshake(); err != nil {
			return greeted, err
		}
	}
	if err := s.ask(PhaseGreeting, s.c.Greeting); err != nil {
		return greeted, err
	}
	greeted = time.Now()
	if err := s.ask(PhaseHello, s.c.Hello); err != nil {
		return greeted, err
	}
	if err := s.secure(); err != nil {
		return greeted, err
	}
	if err := s.login(); err != nil {
		return greeted, err
	}
	x := &s.c.Extensions
	s.strict = !x.Set.Has(smtp.Pipelining)
	s.chunking = x.Set.Has(smtp.Chunking)
	s.remote.DSN = x.Set.Has(smtp.DSN)
	s.limit = x.MaxRcpts // RFC 9422 section 4.2
	if m := s.eg.MaxRecipients; m > 0 && (s.limit == 0 || m < s.limit) {
		s.limit = m
	}
	return greeted, nil
}

// ask has one exchange before any transaction, in which only a positive reply
// leads on.
func (s *session) ask(phase Phase, f func(*smtp.Answer) error) *Error {
	if err := f(&s.answer); err != nil {
		return failed(phase, err)
	}
	switch {
	case s.answer.Code >= 400:
		status := owned(s.answer.Status())
		s.c.Quit(&s.answer)
		return &Error{Phase: phase, Status: status, Said: true}
	case s.answer.Code >= 300:
		return failed(phase, errSequence)
	}
	return nil
}
