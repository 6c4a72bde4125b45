package imap

import (
	"bytes"
	"time"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// appending is an APPEND or REPLACE under way. Its messages are streamed into drafts as
// they come; nothing of it is seen by anybody before all of them are there. When
// something is wrong, what the client sends regardless is read and thrown away (RFC 7888
// section 4).
type appending struct {
	s    *session
	c    *command
	d    *imapwire.Decoder // c's
	box  *mailbox.Mailbox
	list []*appended // the last one is being made
	held int64       // bytes of all of them
	free int64       // bytes that a message leaves that is replaced
	fail reply       // what was wrong first
	over bool        // the session has ended
}

// appended is a message that a client adds.
type appended struct {
	draft *mailbox.Draft
	flags mailbox.FlagChange
	date  time.Time
	cr    bool // the last octet was CR
}

// Caps on what one command adds.
const (
	maxAppended  = 1000 // messages of one MULTIAPPEND
	maxCatenated = 1000 // parts of one CATENATE
)

// close gives up what was not filed.
func (a *appending) close() {
	for _, m := range a.list {
		m.draft.Close()
	}
}

// wrong notes what was wrong, if nothing was before; it reports false.
func (a *appending) wrong(r reply) bool {
	if a.fail.good() {
		a.fail = r
	}
	return false
}

// messages takes the messages, one at least, and with many as many as there are (RFC
// 3502).
func (a *appending) messages(many bool) bool {
	for n := 0; ; n++ {
		if n == maxAppended {
			return a.wrong(no("LIMIT", "Too many messages"))
		}
		if !a.message() {
			return false
		}
		if a.list[n].draft.Size() == 0 { // which is how a client gives it up (RFC 3502)
			return a.wrong(no("", "A message without an octet: nothing is added"))
		}
		switch {
		case a.d.End():
			return true
		case !many:
			return a.wrong(bad(textArguments))
		}
		// Others of this step need not wait in memory for the rest.
		if err := a.list[len(a.list)-1].draft.Spill(); err != nil {
			return a.wrong(a.s.trouble(err))
		}
	}
}

// message takes " [flags] [date] data" (RFC 4466 section 2.5).
func (a *appending) message() bool {
	m := &appended{draft: a.s.o.Store.NewDraft()}
	a.list = append(a.list, m)
	d := a.d
	if !d.SP() {
		return a.wrong(bad(textArguments))
	}
	if d.Peek() == '(' {
		if !m.takeFlags(d) || !d.SP() {
			return a.wrong(bad("Flags are wrong"))
		}
	}
	if d.Peek() == '"' {
		text, _ := d.String()
		var good bool
		if m.date, good = imapwire.ParseDateTime(text); !good || !d.SP() {
			return a.wrong(bad("Date is wrong"))
		}
	}
	if c := d.Peek(); c == '{' || c == '~' {
		return a.literal(m)
	}
	word, _ := d.Atom()
	switch {
	case imapwire.Is(word, "CATENATE") && d.SP():
		return a.catenate(m)
	case imapwire.Is(word, "UTF8") && d.SP(): // RFC 6855 section 4
		if !d.Enter() || !a.literal(m) || !a.d.Byte(')') {
			return a.wrong(bad(textArguments))
		}
		return true
	}
	return a.wrong(bad(textArguments))
}

// takeFlags takes a list of flags.
func (m *appended) takeFlags(d *imapwire.Decoder) bool {
	if !d.Enter() {
		return false
	}
	for n := 0; !d.Leave(); n++ {
		if n > 0 && !d.SP() {
			return false
		}
		word, good := d.Flag()
		if !good || !m.addFlag(word) {
			return false
		}
	}
	return true
}

// addFlag adds a flag or keyword. \Recent is no client's to set (RFC 3501 section 2.3.2),
// but some send it.
func (m *appended) addFlag(word []byte) bool {
	if word[0] != '\\' {
		m.flags.Keywords = append(m.flags.Keywords, string(word))
		return true
	}
	for i, name := range systemFlags() {
		if bytes.EqualFold(word, []byte(name)) {
			m.flags.Flags |= 1 << i
			return true
		}
	}
	return bytes.EqualFold(word, []byte(`\Recent`))
}

// literal takes a literal with octets of the message, and the line behind it.
func (a *appending) literal(m *appended) bool {
	h, good := a.d.Literal()
	if !good {
		return a.wrong(bad(textArguments))
	}
	if !a.admit(m, h.Size) {
		a.d.Seek(a.d.Offset() - h.Len) // for whoever reads on past it
		return false
	}
	return a.stream(h, taker{a, m, h.Binary}) && a.fail.good()
}

// admit says whether so many octets more may come.
func (a *appending) admit(m *appended, size int64) bool {
	total := m.draft.Size() + size
	switch {
	case size > a.s.lim.AppendBytes || total > a.s.lim.AppendBytes:
		return a.wrong(no("TOOBIG", "Message is too large"))
	case !a.fail.good():
		return false
	}
	if need := a.held + size - a.free; need > 0 {
		if err := a.box.Account().Reserve(need); err != nil {
			return a.wrong(a.s.trouble(err))
		}
	}
	a.held += size
	return true
}

// skip reads what is left of a command that has failed, as far as the client sends it
// unasked.
func (a *appending) skip() {
	for !a.over {
		h, found := imapwire.ParseTail(a.d.Rest())
		if !found || !h.NonSync {
			return
		}
		a.over = a.s.skipLiteral(h) || !a.s.nextPiece(a.c)
	}
}
