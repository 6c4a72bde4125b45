package relay

import (
	"postrider/internal/mail"
	"postrider/relay/bounce"
	"postrider/relay/smtp"
)

// noteExpansion keeps an alias whose sender is to be told that the message went on to
// others, and will hear nothing of each (RFC 3461 section 5.2.7.3).
func (s *session) noteExpansion(p *smtp.RcptParams) {
	if !s.answer.Expanded {
		return
	}
	if s.expanded == nil {
		s.expanded = new(mail.Envelope)
	}
	s.expanded.AddRecipient(s.text, p.Notify, p.Original)
}

// takeExpansions copies of the message what a notice needs: its envelope is the
// queue's once it is committed.
func (s *session) takeExpansions(env *mail.Envelope) {
	x := s.expanded
	if x == nil {
		return
	}
	x.ID, x.ArrivedMicro, x.SMTPUTF8, x.Foreign, x.Return = env.ID, env.ArrivedMicro, env.SMTPUTF8, env.Foreign, env.Return
	x.Sender, x.EnvelopeID = x.Keep(env.Sender), x.Keep(env.EnvelopeID)
}

// tellExpansions sends the notices of the message that was just accepted.
func (s *session) tellExpansions() {
	x := s.expanded
	if x == nil {
		return
	}
	s.expanded = nil
	now := s.e.o.Clock()
	var told []bounce.Recipient
	for i := range x.Recipients {
		if bounce.Owed(x, i, bounce.Expanded) {
			told = append(told, bounce.Recipient{Index: i, Status: statusExpanded, Attempts: 1, LastAttempt: now})
		}
	}
	draft, _ := s.e.compose(bounce.Expanded, x, nil, told, now)
	if draft == nil {
		return
	}
	// The message itself is safe: a notice that is lost here costs a comfort.
	_ = draft.CommitBy(s.e.work, s.c.AcceptDeadline())
}

var statusExpanded = mail.NewStatus(250, 2, 1, 5, "sent on to the addresses that this one stands for")
