// Package submission mends and checks the mail of users who have logged in, as RFC
// 6409 section 8 lets a submission server do: what a mail program left out is added,
// and what a header says of its author must be true of the login.
//
// # Guarantees
//
// A Header holds no message: text goes through it as it comes, whatever the pieces,
// and what it keeps meanwhile is a field's name and the value of one originator field,
// both bounded. Nothing that the client wrote is changed, moved or left out; fields
// are added at the end of the header only. Where what stands there is no header, an
// empty line is put before it, so that every reader finds the header's end at the same
// place.
//
// # Concurrency
//
// A Header belongs to one session.
package submission

import (
	"bytes"
	"time"

	"postrider/internal/mail"
)

// Message is what is known of a message before its text.
type Message struct {
	ID       mail.ID
	Hostname string // of this system, for a Message-ID
	Time     time.Time
	From     []byte // address that is given in From when there is none; canonical
	// Mend adds a Date, a Message-ID and a From where there are none.
	Mend bool
	// Owns reports an address that the login may write as: From, Sender, Resent-From
	// and Resent-Sender must name no other. The slice is valid during the call. nil:
	// they are not looked at.
	Owns func(address []byte) bool
}

const (
	// maxName is the longest name of a field; a longer word begins no field.
	maxName = 512
	// maxValue is the longest originator field that is read.
	maxValue = 64 << 10
	// keptValue is how much of that memory stays for the next message.
	keptValue = 4 << 10
)

// The refusals. Texts name nothing, since whoever reads them knows what he wrote.
var (
	statusOrigin  = mail.NewStatus(550, 5, 7, 1, "From or Sender names an address that is not of your login")
	statusUnclear = mail.NewStatus(550, 5, 7, 1, "From or Sender cannot be read, so it is not known whether it is of your login")
)

// field is one that matters.
type field uint8

const (
	other field = iota
	date
	messageID
	from
	origin // Sender and the like
)

// state is where in a header a Header stands.
type state uint8

const (
	atLine state = iota // at the start of a line, or in what may be a name; it is held
	inLine              // within a line of a field
	inBody              // behind the header
)

// Header is the header of one message on its way. Use Reset first.
type Header struct {
	m      Message
	state  state
	folds  bool // a field was seen, so that a line may continue it
	seen   [5]bool
	held   []byte // what may be the start of a field
	gather bool   // the value of this field is kept
	value  []byte
}

// Reset readies h for another message.
func (h *Header) Reset(m *Message) {
	if cap(h.value) > keptValue {
		h.value = nil
	}
	*h = Header{m: *m, held: h.held[:0], value: h.value[:0]}
}

// Write takes the next piece of the text and hands on what becomes of it. A non-zero
// Status, of out or of its own, ends the message.
func (h *Header) Write(p []byte, out func([]byte) mail.Status) mail.Status {
	start := 0 // p[start:i] is to be handed on
	for i := 0; i < len(p) && h.state != inBody; {
		if h.state == inLine {
			n := bytes.IndexByte(p[i:], '\n') + 1
			if n > 0 {
				h.state = atLine
			} else {
				n = len(p) - i
			}
			if s := h.keep(p[i : i+n]); !s.IsZero() {
				return s
			}
			i += n
			continue
		}
		earlier := len(h.held)
		line := p[i:]
		if earlier > 0 {
			h.held = append(h.held, line[:min(len(line), maxName+2)]...)
			line = h.held
		}
		what, name := look(line, h.folds)
		if what == unknown {
			if earlier == 0 {
				h.held = append(h.held, line...)
			}
			return send(p[start:i], out)
		}
		if s := h.enter(what, name, p[start:i], h.held[:earlier], out); !s.IsZero() {
			return s
		}
		h.held, start = h.held[:0], i
	}
	return send(p[start:], out)
}

// Finish says that the text has ended.
func (h *Header) Finish(out func([]byte) mail.Status) mail.Status {
	if h.state == inBody {
		return mail.Status{}
	}
	text := []byte(nil)
	if h.state == inLine { // a text by BDAT may end within a line
		text = append(text, "\r\n"...)
	}
	if s := h.judge(); !s.IsZero() {
		return s
	}
	text = append(text, h.missing(len(h.held) > 0)...)
	text = append(text, h.held...)
	h.state, h.held = inBody, h.held[:0]
	return send(text, out)
}

// enter goes into a line: before is the text before it, held what of it came in
// earlier pieces.
func (h *Header) enter(what kind, name, before, held []byte, out func([]byte) mail.Status) mail.Status {
	s := h.begin(what, name)
	if s.IsZero() && h.state == inLine {
		s = h.keep(held)
	}
	if s.IsZero() {
		s = send(before, out)
	}
	if s.IsZero() && h.state == inBody {
		s = send(h.missing(what == noField), out)
	}
	if s.IsZero() {
		s = send(held, out)
	}
	return s
}

func send(p []byte, out func([]byte) mail.Status) mail.Status {
	if len(p) == 0 {
		return mail.Status{}
	}
	return out(p)
}
