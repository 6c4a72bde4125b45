package smtpd

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"
	"time"

	"postrider/internal/mail"
	"postrider/internal/message"
	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// The engine's rules, as RejectEvent names them.
const (
	ruleHandler    = "handler"
	ruleSyntax     = "syntax"
	ruleOrder      = "order"
	ruleNotOffered = "not_offered"
	ruleLine       = "line"
	ruleEarly      = "early_talker"
	ruleHTTP       = "http"
	ruleJunk       = "junk"
	ruleErrors     = "errors"
	ruleRecipients = "recipients"
	ruleSize       = "size"
	ruleHeader     = "header"
	ruleLoop       = "loop"
	ruleEndings    = "line_endings"
	ruleTLS        = "tls"
	ruleAuth       = "auth"
	ruleTimeout    = "timeout"
	ruleDrain      = "drain"
	ruleLate       = "late"
	rulePanic      = "panic"
)

// engine is one session's state machine.
type engine struct {
	Conn
	w   *wire.Conn
	o   *Options
	lim *Limits
	m   *Metrics
	h   Session
	lc  LoopChecker // h, when it is one

	life    context.Context // of the server: it ends as a drain begins
	logins  int             // that failed
	inLogin bool            // the line that is awaited belongs to an exchange
	sasl    []byte          // decoded response; nil but during AUTH

	greeted bool // EHLO, HELO or LHLO was accepted
	ended   bool // the session is over
	linger  bool // and its last reply must not be lost

	open       bool // MAIL was accepted
	touched    bool // the Session has something of it to Reset
	chunks     bool // the text comes by BDAT
	dataFailed bool // the last command was a DATA that was refused
	rcpts      int  // accepted in this transaction
	over       int  // refused in this transaction for being too many

	junk    int // commands that led nowhere since the last message
	errors  int // 5xx given
	refused int // recipients that the Session refused since the last message

	verb smtp.Verb
	arg  []byte // of the command in hand
	mp   smtp.MailParams
	rp   smtp.RcptParams

	text     smtp.TextReader
	scan     message.Scanner
	size     int64 // text written
	received int64 // octets of it on the wire
	fail     mail.Status
	failRule string
	failText []byte

	waiting time.Time // since when a command is awaited; zero: not yet
	began   time.Time // since when a text is awaited; zero: not yet
	arrived time.Time // last input

	helo   []byte
	sender []byte // for events
}

// LoopChecker is implemented by a Session that knows its own addresses: it is
// asked for each Delivered-To field of a header, and a non-zero Status (554 5.4.6)
// refuses the message. value is a stranger's and valid until the method returns.
type LoopChecker interface {
	DeliveredTo(value []byte) mail.Status
}

// run holds the session from the first octet to the last.
func (e *engine) run() {
	defer e.leave()
	defer e.guard()
	if !e.welcome() {
		return
	}
	for !e.ended {
		line, ok := e.readLine()
		if ok {
			e.command(line)
		}
	}
	if e.linger {
		e.w.Linger(e.lim.Linger)
	}
}

// leave tells the Session that the connection is gone, whatever ended it.
func (e *engine) leave() {
	if e.h == nil {
		return
	}
	e.Ended = e.w.Reason()
	defer e.h.Close()
	e.reset()
}

// guard turns a panic into the end of this session.
func (e *engine) guard() {
	v := recover()
	if v == nil {
		return
	}
	e.m.Panics.Add(1)
	e.m.Rejected4xx.Add(1)
	e.w.SetReason(wire.ReasonPanic)
	e.w.Add(smtp.AppendReply(e.w.Room(replyRoom), replyPanic))
	if e.o.Events != nil {
		e.o.Events(RejectEvent{
			Conn: &e.Conn, Command: e.verb.String(), Argument: e.argument(), Status: replyPanic,
			Rule: rulePanic, Panic: v, PanicText: debug.Stack(),
		})
	}
}

// welcome brings the session to its greeting.
func (e *engine) welcome() bool {
	if e.o.ImplicitTLS && !e.handshake() {
		return false
	}
	early, err := e.w.Peek(e.lim.GreetDelay)
	switch {
	case errors.Is(err, wire.ErrDraining):
		e.stop(replyDrain, ruleDrain, wire.ReasonDrain)
	case err != nil:
		e.w.SetReason(wire.ReasonLost)
		return false
	case early:
		e.event(commandConnect, replyEarly, ruleEarly)
		e.stop(replyEarly, "", wire.ReasonProtocol)
	default:
		h, s := e.o.Handler.Connect(&e.Conn)
		if !s.IsZero() {
			e.m.Refused.Add(1)
			e.event(commandConnect, s, ruleHandler)
			e.stop(s, "", wire.ReasonRefused)
			break
		}
		e.h = h
		if e.lc, _ = h.(LoopChecker); e.lc != nil {
			e.scan.Delivered = e.delivered
		}
		e.greet()
		return true
	}
	e.w.Linger(e.lim.Linger)
	return false
}

func (e *engine) greet() {
	kind := " ESMTP postrider\r\n"
	if e.lmtp {
		kind = " LMTP postrider\r\n"
	}
	b := append(e.w.Room(replyRoom), "220 "...)
	b = append(b, e.o.Hostname...)
	e.w.Add(append(b, kind...))
}

// handshake turns the connection to TLS.
func (e *engine) handshake() bool {
	config := e.o.TLS()
	if config == nil {
		e.w.SetReason(wire.ReasonTLS)
		return false
	}
	if err := e.w.StartTLS(config, e.lim.Handshake); err != nil {
		e.m.HandshakeErr.Add(1)
		e.w.SetReason(wire.ReasonTLS)
		return false
	}
	e.m.Handshakes.Add(1)
	e.TLS = e.w.TLS()
	return true
}

// replyRoom is more than any reply line needs.
const replyRoom = 640

// give answers the command in hand. A 5xx counts as an error, and one too many
// of them becomes 421.
func (e *engine) give(s mail.Status, rule string) {
	if e.bears(s, rule) {
		e.say(s, rule)
	}
}

// bears counts a 5xx; false says that it was one too many, and that this was said.
func (e *engine) bears(s mail.Status, rule string) bool {
	if s.Code >= 500 && rule != "" && !e.ended {
		if rule == ruleHandler && e.verb == smtp.VerbRcpt {
			if e.refused++; e.refused > e.lim.Recipients {
				e.stop(replyErrors, ruleErrors, wire.ReasonErrors)
				return false
			}
		} else if e.errors++; e.errors > e.lim.Errors {
			e.stop(replyErrors, ruleErrors, wire.ReasonErrors)
			return false
		}
	}
	return true
}

// say writes a reply and tells of it.
func (e *engine) say(s mail.Status, rule string) {
	e.w.Add(smtp.AppendReply(e.w.Room(replyRoom), s))
	if s.Code < 400 {
		return
	}
	if rule != "" {
		e.event(e.verb.String(), s, rule)
	}
	if s.Code == 421 {
		e.ended, e.linger = true, true
	}
}

// event counts and reports a refusal.
func (e *engine) event(command string, s mail.Status, rule string) {
	if s.Code >= 500 {
		e.m.Rejected5xx.Add(1)
	} else {
		e.m.Rejected4xx.Add(1)
	}
	if e.o.Events == nil {
		return
	}
	ev := RejectEvent{Conn: &e.Conn, Command: command, Argument: e.argument(), Status: s, Rule: rule}
	if e.open {
		ev.Sender = e.sender
	}
	e.o.Events(ev)
}

// argument is what of the command in hand may be told: a path, or the words behind a
// command that has none. What else a client says may be a password.
func (e *engine) argument() []byte {
	switch e.verb {
	case smtp.VerbUnknown, smtp.VerbAuth:
		return nil
	case smtp.VerbMail, smtp.VerbRcpt:
		start, end := bytes.IndexByte(e.arg, '<'), len(bytes.TrimRight(e.arg[:pathEnd(e.arg)], " "))
		if start < 0 || end <= start || e.arg[end-1] != '>' {
			return nil
		}
		return e.arg[start:end]
	}
	return e.arg
}

// stop gives a last reply and ends the session. An empty rule means that the
// event was told already.
func (e *engine) stop(s mail.Status, rule string, r wire.Reason) {
	e.ended, e.linger = true, true
	e.w.SetReason(r)
	e.give(s, rule)
}

// reset ends an open transaction without a message.
func (e *engine) reset() {
	e.drop()
	e.open, e.chunks, e.smtputf8 = false, false, false
	e.RequireTLS, e.TLSWaived = false, false
	e.rcpts, e.over = 0, 0
}

// drop lets the Session forget what it holds of the transaction.
func (e *engine) drop() {
	if e.touched {
		e.touched = false
		e.h.Reset()
	}
}
