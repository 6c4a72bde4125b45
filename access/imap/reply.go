package imap

import (
	"context"
	"errors"

	"postrider/delivery/mailbox"
)

// replyKind is the word of a tagged line.
type replyKind uint8

const (
	replyNone replyKind = iota // the handler has said it, or the session has ended
	replyOK
	replyNo
	replyBad
)

// reply is the tagged line that ends a command.
type reply struct {
	kind replyKind
	code string // without its brackets; empty: none
	raw  []byte // a code that was built, valid until the line is written; it is used when code is empty
	text string
}

func ok(text string) reply           { return reply{kind: replyOK, text: text} }
func okCode(code, text string) reply { return reply{kind: replyOK, code: code, text: text} }
func okRaw(code []byte, text string) reply {
	return reply{kind: replyOK, raw: code, text: text}
}
func no(code, text string) reply { return reply{kind: replyNo, code: code, text: text} }
func bad(text string) reply      { return reply{kind: replyBad, text: text} }

// good reports that a check which returns a reply found nothing to say.
func (r *reply) good() bool { return r.kind == replyNone }

// The lines that end a session.
const (
	byeQuit      = "* BYE Logging out\r\n"
	byeErrors    = "* BYE Too many errors\r\n"
	byeFailures  = "* BYE Too many failed logins\r\n"
	byeTimeout   = "* BYE Silent for too long\r\n"
	byeDrain     = "* BYE [UNAVAILABLE] Shutting down, come back soon\r\n"
	byePanic     = "* BYE [SERVERBUG] Internal error, come back later\r\n"
	byePerClient = "* BYE [LIMIT] Too many connections from your address\r\n"
	byeTotal     = "* BYE [UNAVAILABLE] Too many connections\r\n"
	byeTooBig    = "* BYE [TOOBIG] Literal or command is too large\r\n"
	byeEarly     = "* BYE Nothing may follow STARTTLS before its reply\r\n"
	byeHTTP      = "* BYE This is no web server\r\n"
)

const (
	textArguments = "Arguments are missing or wrong"
	textNoArgs    = "Command takes no arguments"
)

// trouble is the reply to an error of the store, and tells the operator of one that is
// not the client's doing.
func (s *session) trouble(err error) reply {
	switch {
	case errors.Is(err, mailbox.ErrQuota):
		return no("OVERQUOTA", "No room left in the account")
	case errors.Is(err, mailbox.ErrNoMailbox):
		return no("NONEXISTENT", "No such mailbox")
	case errors.Is(err, mailbox.ErrExists):
		return no("ALREADYEXISTS", "There is a mailbox of that name")
	case errors.Is(err, mailbox.ErrName):
		return no("CANNOT", "Not a name that a mailbox can have")
	case errors.Is(err, mailbox.ErrInbox):
		return no("CANNOT", "Not possible with INBOX")
	case errors.Is(err, mailbox.ErrKeywords):
		return no("LIMIT", "No room for another keyword")
	case errors.Is(err, mailbox.ErrTooMany):
		return no("LIMIT", "Too many mailboxes")
	case errors.Is(err, mailbox.ErrTooLarge):
		return no("TOOBIG", "Too large")
	case errors.Is(err, mailbox.ErrNoMessage):
		return no("EXPUNGEISSUED", "Message was removed by another session")
	}
	s.event(Event{Kind: Trouble, Err: err})
	if errors.Is(err, context.Canceled) || errors.Is(err, mailbox.ErrClosed) || errors.Is(err, mailbox.ErrFull) {
		return no("UNAVAILABLE", "Not possible now, try again later")
	}
	return no("SERVERBUG", "Internal error, try again later")
}

// finishLine writes the tagged line of a command.
func (s *session) finishLine(tag []byte, r *reply) {
	b := append(s.room(), tag...)
	switch r.kind {
	case replyOK:
		b = append(b, " OK "...)
	case replyNo:
		b = append(b, " NO "...)
	default:
		b = append(b, " BAD "...)
	}
	if r.code != "" || len(r.raw) > 0 {
		b = append(b, '[')
		b = append(b, r.code...)
		if r.code == "" {
			b = append(b, r.raw...)
		}
		b = append(b, "] "...)
	}
	b = append(b, r.text...)
	s.add(append(b, "\r\n"...))
}

// lineRoom is more than most lines need; longer ones outgrow it and are written anyway.
const lineRoom = 512

// room returns where to append a line to, add takes it. What is longer than expected
// is written nevertheless; a long answer asks Conn.BulkRoom.
func (s *session) room() []byte { return s.w.Room(lineRoom) }

func (s *session) add(b []byte) { s.w.Add(b) }
