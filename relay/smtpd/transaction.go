package smtpd

import (
	"postrider/internal/mail"
	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// mail does MAIL.
func (e *engine) mail(arg []byte) {
	switch {
	case !e.greeted:
		e.give(e.needHello(), ruleOrder)
		return
	case e.open:
		e.give(replyNested, ruleOrder)
		return
	}
	arg, require, s := e.requireTLS(arg)
	if !s.IsZero() {
		e.give(s, ruleSyntax)
		return
	}
	from, s := smtp.ParseMail(arg, &e.mp)
	if !s.IsZero() {
		e.give(s, ruleSyntax)
		return
	}
	if e.mp.Auth && !e.offersAuth() {
		e.give(replyParameter, ruleSyntax)
		return
	}
	if e.mp.Size > e.lim.MessageBytes { // RFC 1870 section 6.1
		e.give(replyTooBig, ruleSize)
		return
	}
	e.smtputf8, e.RequireTLS = e.mp.SMTPUTF8, require
	s = e.h.Mail(from, &e.mp)
	if !s.IsZero() && !s.OK() {
		e.smtputf8, e.RequireTLS = false, false
		e.give(s, ruleHandler)
		return
	}
	e.open, e.touched = true, true
	if e.o.Events != nil {
		e.sender = from.AppendText(e.sender[:0])
	}
	e.give(orDefault(s, replySender), "")
}

// rcpt does RCPT.
func (e *engine) rcpt(arg []byte) {
	switch {
	case !e.open:
		e.give(replyNeedMail, ruleOrder)
		return
	case e.chunks:
		e.give(replyInChunks, ruleOrder)
		return
	case e.rcpts >= e.lim.Recipients: // RFC 5321 section 4.5.3.1.10
		if e.over++; e.over > e.lim.RecipientsOver {
			e.stop(replyRcptsEnd, ruleRecipients, wire.ReasonErrors)
			return
		}
		e.give(replyManyRcpts, ruleRecipients)
		return
	}
	to, s := smtp.ParseRcpt(arg, e.smtputf8, &e.rp)
	if !s.IsZero() {
		e.give(s, ruleSyntax)
		return
	}
	s = e.h.Rcpt(to, &e.rp)
	if !s.IsZero() && !s.OK() {
		e.give(s, ruleHandler)
		return
	}
	e.rcpts++
	e.give(orDefault(s, replyRecipient), "")
}

func orDefault(s, other mail.Status) mail.Status {
	if s.IsZero() {
		return other
	}
	return s
}
