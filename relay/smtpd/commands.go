package smtpd

import (
	"postrider/internal/mail"
	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// command does one command line.
func (e *engine) command(line []byte) {
	verb, arg := smtp.ParseCommand(line)
	e.verb, e.arg = verb, arg
	failed := e.dataFailed
	e.dataFailed = false
	switch {
	case verb == smtp.VerbHTTP:
		e.stop(replyHTTP, ruleHTTP, wire.ReasonProtocol)
		return
	case failed && verb == smtp.VerbUnknown: // the first line of a text
		e.stop(replyTextEarly, ruleEarly, wire.ReasonProtocol)
		return
	case !e.ESMTP && verb != smtp.VerbQuit && len(e.w.Buffered()) > 0:
		// Nobody may pipeline before EHLO was answered (RFC 2920 section 3.1).
		e.stop(replyEarly, ruleEarly, wire.ReasonProtocol)
		return
	}
	if s, rule := e.checkLine(verb, line); !s.IsZero() {
		e.refuseLine(s, rule)
		return
	}
	if e.isJunk(verb) {
		if e.junk++; e.junk > e.lim.Junk {
			e.stop(replyJunk, ruleJunk, wire.ReasonJunk)
			return
		}
	}
	if e.o.RequireTLS && e.TLS == nil && needsTLS(verb) {
		e.refuseLine(replyNeedTLS, ruleTLS)
		return
	}
	if e.o.RequireLogin && e.User == nil && needsLogin(verb) {
		e.refuseLine(replyNeedLogin, ruleAuth)
		return
	}
	e.dispatch(verb, arg)
}

func (e *engine) dispatch(verb smtp.Verb, arg []byte) {
	switch verb {
	case smtp.VerbMail:
		e.mail(arg)
	case smtp.VerbRcpt:
		e.rcpt(arg)
	case smtp.VerbData:
		e.data(arg)
	case smtp.VerbBdat:
		e.bdat(arg)
	case smtp.VerbEhlo, smtp.VerbHelo, smtp.VerbLhlo:
		e.hello(verb, arg)
	case smtp.VerbRset:
		if e.noArgument(arg) {
			e.reset()
			e.give(replyOK, "")
		}
	case smtp.VerbNoop:
		e.give(replyOK, "")
	case smtp.VerbQuit:
		if e.noArgument(arg) {
			e.reset()
			e.give(replyBye, "")
			e.ended = true
			e.w.SetReason(wire.ReasonQuit)
		}
	case smtp.VerbVrfy:
		if len(arg) == 0 {
			e.give(replyArgument, ruleSyntax)
			return
		}
		e.give(replyVerify, "") // RFC 5321 section 3.5.3
	case smtp.VerbHelp:
		if e.lmtp {
			e.give(replyHelpLMTP, "")
			return
		}
		e.give(replyHelp, "")
	case smtp.VerbStartTLS:
		e.startTLS(arg)
	case smtp.VerbAuth:
		e.auth(arg)
	case smtp.VerbExpn, smtp.VerbEtrn, smtp.VerbTurn:
		e.give(replyNotOffered, ruleNotOffered)
	default:
		e.give(replyUnknown, ruleSyntax)
	}
}

// checkLine refuses what may not stand in a command line. 512 octets are the
// limit but for MAIL and RCPT, whose parameters need more (RFC 5321 sections
// 4.5.3.1.4 and 4.1.1.11); octets above 127 may stand in addresses only.
func (e *engine) checkLine(verb smtp.Verb, line []byte) (mail.Status, string) {
	long := verb == smtp.VerbMail || verb == smtp.VerbRcpt
	if !long && verb != smtp.VerbAuth && len(line)+2 > e.lim.CommandBytes {
		return replyLineLong, ruleLine
	}
	for _, c := range line {
		switch {
		case c == '\r' || c == '\n':
			return replyBareLine, ruleLine
		case c < ' ' || c == 0x7f, c >= 0x80 && !long:
			return replyControl, ruleLine
		}
	}
	return mail.Status{}, ""
}

// refuseLine refuses a command before it was looked at closely. A BDAT is
// followed by its chunk, which must not be read as commands; how long it is can
// be known only from a sound line.
func (e *engine) refuseLine(s mail.Status, rule string) {
	if e.verb != smtp.VerbBdat {
		e.give(s, rule)
		return
	}
	size, _, ok := smtp.ParseBdat(e.arg)
	if !ok {
		e.stopInChunk(s, rule)
		return
	}
	e.refuseChunk(size, s, rule)
}

// isJunk reports commands that bring no message any nearer when repeated. MAIL is
// one of them until its message is accepted.
func (e *engine) isJunk(verb smtp.Verb) bool {
	switch verb {
	case smtp.VerbRcpt, smtp.VerbData, smtp.VerbBdat, smtp.VerbQuit, smtp.VerbStartTLS:
		return false
	case smtp.VerbEhlo, smtp.VerbHelo, smtp.VerbLhlo:
		return e.greeted
	}
	return true
}

// needsTLS names the commands that RFC 3207 section 4 lets a server refuse with
// 530 in clear.
func needsTLS(verb smtp.Verb) bool {
	switch verb {
	case smtp.VerbNoop, smtp.VerbEhlo, smtp.VerbHelo, smtp.VerbLhlo, smtp.VerbStartTLS, smtp.VerbQuit, smtp.VerbRset, smtp.VerbUnknown:
		return false
	}
	return true
}

func (e *engine) noArgument(arg []byte) bool {
	if len(arg) > 0 {
		e.give(replyNoArgument, ruleSyntax)
		return false
	}
	return true
}

// hello does EHLO, HELO and LHLO. They end an open transaction (RFC 5321 section
// 4.1.4).
func (e *engine) hello(verb smtp.Verb, arg []byte) {
	if e.lmtp != (verb == smtp.VerbLhlo) { // RFC 2033 section 4.1
		e.give(replyUnknown, ruleSyntax)
		return
	}
	if !smtp.ValidHelo(arg) {
		e.give(replyHelo, ruleSyntax)
		return
	}
	e.reset()
	e.helo = append(e.helo[:0], arg...)
	e.Helo = e.helo
	e.greeted, e.ESMTP = true, verb != smtp.VerbHelo
	if verb == smtp.VerbHelo {
		b := append(e.w.Room(replyRoom), "250 "...)
		b = append(b, e.o.Hostname...)
		e.w.Add(append(b, "\r\n"...))
		return
	}
	x := smtp.Extensions{
		Set: smtp.Pipelining | smtp.Size | smtp.EightBitMIME | smtp.SMTPUTF8 |
			smtp.EnhancedStatusCodes | smtp.Chunking | smtp.DSN | smtp.LimitsExt,
		MaxSize:  e.lim.MessageBytes,
		MaxRcpts: e.lim.Recipients,
	}
	if e.o.TLS != nil && e.TLS == nil {
		x.Set |= smtp.StartTLS
	}
	if e.offersRequireTLS() {
		x.Set |= smtp.RequireTLS
	}
	if list := e.mechanisms(); list != "" {
		x.Set |= smtp.Auth
		x.AuthText = []byte(list)
	}
	e.w.Add(x.AppendReply(e.w.Room(replyRoom), e.o.Hostname))
}

// startTLS does STARTTLS (RFC 3207). What was buffered behind the command came in
// clear and must not survive the handshake, so a client that sends any is cut off.
func (e *engine) startTLS(arg []byte) {
	switch {
	case e.o.TLS == nil:
		e.give(replyNotOffered, ruleNotOffered)
	case e.TLS != nil:
		e.give(replyInTLS, ruleOrder)
	case len(arg) > 0:
		e.give(replyNoArgument, ruleSyntax)
	case !e.ESMTP:
		e.give(e.needHello(), ruleOrder)
	case e.open:
		e.give(replyNested, ruleOrder)
	case len(e.w.Buffered()) > 0:
		e.stop(replyEarly, ruleEarly, wire.ReasonProtocol)
	case e.o.TLS() == nil:
		e.give(replyNoTLS, ruleTLS)
	default:
		e.w.Add(smtp.AppendReply(e.w.Room(replyRoom), replyTLSReady))
		if !e.handshake() {
			e.ended = true
			return
		}
		// All knowledge from before is forgotten (RFC 3207 section 4.2).
		e.greeted, e.ESMTP = false, false
		e.helo, e.Helo = e.helo[:0], nil
		e.User = nil
	}
}

func (e *engine) needHello() mail.Status {
	if e.lmtp {
		return replyNeedLhlo
	}
	return replyNeedHelo
}
