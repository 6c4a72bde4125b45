// Package bounce writes the notices that tell a sender what became of a
// message: delivery status notifications (RFC 3461, RFC 3464, RFC 6522, and RFC
// 6533 for addresses beyond ASCII). Each has three parts: words for a person, by
// templates that an operator can replace; fields for a program; and what is
// returned of the message.
//
// What goes in is hostile: reply texts of strangers, headers and addresses made
// to forge a notice. Whatever they hold, a notice is made of lines of at most 998
// octets that end in CRLF, none of its header fields come from them but the
// address it goes to and the id of the message it answers, and its boundary is
// random and stands in none of its parts.
//
// Owed says whether a sender is told at all, and Guard bounds how often one
// address hears of it. Nothing is ever sent for a null sender, so that notices
// about notices cannot exist (RFC 5321 section 6.1).
//
// # Concurrency
//
// Compose and Owed have no state. Templates are immutable once loaded. A Guard
// may be used by any number of goroutines.
package bounce

import (
	"bytes"
	"errors"
	"io"
	"time"

	"postrider/internal/mail"
)

// Kind is what a notice tells.
type Kind uint8

// The kinds.
const (
	Failure  Kind = iota // not delivered, and no attempt will follow
	Delay                // not delivered yet
	Success              // delivered into a mailbox
	Relayed              // handed to a server that sends no notices itself
	Expanded             // handed to a list of other addresses

	kinds = iota
)

// String returns the kind's name, as templates and the log call it.
func (k Kind) String() string {
	switch k {
	case Failure:
		return "failure"
	case Delay:
		return "delay"
	case Success:
		return "success"
	case Relayed:
		return "relayed"
	case Expanded:
		return "expanded"
	}
	return "unknown"
}

// action is the kind's word of RFC 3464 section 2.3.3.
func (k Kind) action() string {
	switch k {
	case Failure:
		return "failed"
	case Delay:
		return "delayed"
	case Success:
		return "delivered"
	case Relayed, Expanded:
	}
	return k.String()
}

// Bounds of a notice.
const (
	MaxBytes          = 240 << 10 // of the whole
	MaxReturnedHeader = 50 << 10  // bytes
	MaxReturnedFull   = 100 << 10 // bytes; a larger message is returned as its header
)

// Original is the text of the message that a notice is about. A mail.Body is
// one.
type Original interface {
	io.ReaderAt
	Size() int64
	Reader() io.Reader
}

// Notice is one notice about one message, for one or more of its recipients. All
// its slices are only read, and not kept.
type Notice struct {
	Kind     Kind
	Host     string         // our own name, as greetings give it
	ID       mail.ID        // of the notice itself
	Now      time.Time      // when it is written
	Envelope *mail.Envelope // of the message; its sender gets the notice
	Original Original       // its text; nil: nothing is returned
	// Recipients are those that it is about, at least one.
	Recipients []Recipient
	// Templates hold the words for a person; nil: the built-in ones.
	Templates *Templates
	// Language chooses among Templates, "de"; "" or one that there is none of: the
	// templates' default.
	Language string
	// Random gives the boundary's 16 bytes; nil: crypto/rand.
	Random io.Reader
}

// Recipient is what became of one recipient.
type Recipient struct {
	Index  int         // in Envelope.Recipients
	Status mail.Status // the last reply, or what we say ourselves
	Class  mail.Class  // of Status
	// Remote names the server that gave Status; "": Status is our own.
	Remote      string
	Attempts    int
	LastAttempt time.Time // zero: not told
	RetryUntil  time.Time // of Delay: when the last attempt will be; zero: not told
}

// Composed is what Compose made.
type Composed struct {
	EightBit bool // the notice's envelope must say BODY=8BITMIME
	SMTPUTF8 bool // and SMTPUTF8
	// Recipients is how many of the notice's recipients it tells of, from the
	// first on. Fewer than all only where their addresses are so long and many that
	// MaxBytes does not hold them: the others need a notice of their own.
	Recipients int
}

// Errors of Compose: it was called for a notice that nobody is owed.
var (
	ErrNullSender   = errors.New("a notice to the null sender")
	ErrNoRecipients = errors.New("a notice about no recipient")
)

// FillEnvelope fills dst, which it resets, with the notice's envelope: from the null
// sender to the message's sender, who is never told of the notice's own fate
// (RFC 3461 section 5.2.10, RFC 5321 section 4.5.5). SizeBytes is the caller's.
func (n *Notice) FillEnvelope(dst *mail.Envelope, c Composed) {
	dst.Reset()
	dst.ID = n.ID
	dst.ArrivedMicro = n.Now.UnixMicro()
	dst.AddRecipient(n.Envelope.Sender, mail.NotifyNever, nil)
	dst.EightBit, dst.SMTPUTF8 = c.EightBit, c.SMTPUTF8
	dst.Protocol = dst.KeepString("LOCAL")
	dst.Return = mail.ReturnHeaders
}

// Owed reports whether the sender is to be told by a notice of that kind about
// recipient number rcpt.
func Owed(env *mail.Envelope, rcpt int, kind Kind) bool {
	switch {
	case len(env.Sender) == 0: // RFC 5321 section 6.1: no notice about a notice
		return false
	case env.Foreign: // the sender may be anybody, and would get backscatter
		return false
	case fromDaemon(env.Sender):
		return false
	}
	n := env.Recipients[rcpt].Notify
	switch kind {
	case Failure: // RFC 3461 section 4.1: the default is to tell of failures
		return n == 0 || n&mail.NotifyFailure != 0
	case Delay: // and may be to tell of delays
		return n == 0 || n&mail.NotifyDelay != 0
	case Success, Relayed, Expanded:
		return n&mail.NotifySuccess != 0
	}
	return false
}

// Told is the kind of notice that a delivery calls for where NOTIFY=SUCCESS
// stands; false when the next server has taken over the duty (RFC 3461 section
// 5.2.2: one that offers DSN).
func Told(hop mail.HopKind, remoteDSN bool) (Kind, bool) {
	switch hop {
	case mail.HopLocal, mail.HopLMTP:
		return Success, true
	case mail.HopMX, mail.HopSMTP:
		return Relayed, !remoteDSN
	case mail.HopNone, mail.HopHold, mail.HopDiscard, mail.HopReject:
	}
	return 0, false
}

// fromDaemon reports a sender that is a mail system's own voice, though it does
// not use the null sender as it should.
func fromDaemon(sender []byte) bool {
	local := sender
	if at := bytes.LastIndexByte(sender, '@'); at >= 0 {
		local = sender[:at]
	}
	for _, name := range [...]string{"mailer-daemon", "double-bounce"} {
		if len(local) == len(name) && bytes.EqualFold(local, []byte(name)) {
			return true
		}
	}
	return false
}
