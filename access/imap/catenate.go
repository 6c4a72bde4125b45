package imap

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
	"postrider/internal/mail"
	"postrider/internal/message"
)

// catenate takes the parts of a message (RFC 4469): literals, and texts of messages that
// are here already, which are copied octet for octet.
func (a *appending) catenate(m *appended) bool {
	if !a.d.Enter() {
		return a.wrong(bad(textArguments))
	}
	for n := 0; n == 0 || a.d.SP(); n++ {
		if n == maxCatenated {
			return a.wrong(no("LIMIT", "Too many parts"))
		}
		word, _ := a.d.Atom()
		switch {
		case imapwire.Is(word, "TEXT") && a.d.SP():
			if !a.literal(m) {
				return false
			}
		case imapwire.Is(word, "URL") && a.d.SP():
			if !a.url(m) {
				return false
			}
		default:
			return a.wrong(bad(textArguments))
		}
	}
	if !a.d.Byte(')') { // the decoder may have begun anew since "("
		return a.wrong(bad(textArguments))
	}
	return true
}

// url takes a URL and copies what it names.
func (a *appending) url(m *appended) bool {
	var text string
	if a.d.Peek() == '{' {
		h, good := a.d.Literal()
		if !good {
			return a.wrong(bad(textArguments))
		}
		if h.Size > maxURL {
			a.d.Seek(a.d.Offset() - h.Len)
			return a.wrong(no("LIMIT", "URL is too long"))
		}
		var b strings.Builder
		if !a.stream(h, &b) {
			return false
		}
		text = b.String()
	} else {
		b, good := a.d.AString()
		if !good {
			return a.wrong(bad(textArguments))
		}
		text = string(b)
	}
	switch err := a.copyURL(m, text); {
	case err == nil:
	case errors.Is(err, errURL):
		return a.wrong(reply{kind: replyNo, raw: appendBadURL(nil, text), text: "Nothing is there"})
	case a.fail.good():
		return a.wrong(a.s.trouble(err))
	}
	return a.fail.good()
}

// errURL reports a URL that names nothing here.
var errURL = errors.New("no such message or part")

// appendBadURL appends the code (RFC 4469 section 4.1): what no text of a response may
// hold is left out.
func appendBadURL(b []byte, url string) []byte {
	b = append(b, `BADURL "`...)
	for i := range len(url) {
		if c := url[i]; c > ' ' && c < 0x7f && c != ']' && c != '"' && c != '\\' {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// copyURL appends what a URL names to the message.
func (a *appending) copyURL(m *appended, text string) error {
	u, good := parseURL(text)
	if !good {
		return errURL
	}
	box, err := a.urlMailbox(&u)
	if err != nil {
		return err
	}
	view, err := box.View()
	if err != nil {
		return err
	}
	defer view.Close()
	var msg mailbox.Message
	if err := view.Message(u.uid, &msg); errors.Is(err, mailbox.ErrNoMessage) {
		return errURL
	} else if err != nil {
		return err
	}
	defer msg.Release()
	off, n := int64(0), msg.Size()
	if u.section != "" {
		var it mailbox.Items
		if err := view.Items(msg.EmailID, &it); err != nil {
			return err
		}
		if off, n, good = sectionOctets(u.section, &it.Structure, int64(len(msg.Prefix())), msg.Size()); !good {
			return errURL
		}
	}
	if u.partial {
		skip := min(u.offset, n)
		if off, n = off+skip, n-skip; u.length > 0 {
			n = min(n, u.length)
		}
	}
	if !a.admit(m, n) {
		return nil // and that was said
	}
	return a.copyOctets(m, &msg, off, n)
}

// urlMailbox finds the mailbox of a URL.
func (a *appending) urlMailbox(u *messageURL) (*mailbox.Mailbox, error) {
	var box *mailbox.Mailbox
	if u.mailbox != "" {
		var err error
		if box, err = a.s.account.Mailbox(u.mailbox); err != nil {
			return nil, errURL
		}
	} else if a.s.sel != nil { // the base of a relative URL (RFC 4469 section 3)
		box = a.s.sel.box
	} else {
		return nil, errURL
	}
	if u.validity != 0 && u.validity != box.Status().UIDValidity {
		return nil, errURL
	}
	return box, nil
}

func (a *appending) copyOctets(m *appended, msg *mailbox.Message, off, n int64) error {
	var room [8 << 10]byte
	for n > 0 && a.fail.good() {
		p := room[:min(n, int64(len(room)))]
		k, err := msg.ReadAt(p, off)
		if k == 0 {
			return errors.Join(mail.ErrCorrupt, err)
		}
		m.cr = p[k-1] == '\r'
		a.write(m, p[:k])
		off, n = off+int64(k), n-int64(k)
	}
	return nil
}

// sectionOctets finds the octets that a section names (RFC 9051 section 6.4.5) in a text
// with so many octets before it that are of this recipient alone.
func sectionOctets(section string, st *message.Structure, prefix, size int64) (off, n int64, good bool) {
	var numbers []uint32
	for section != "" && section[0] >= '0' && section[0] <= '9' {
		first, rest, _ := strings.Cut(section, ".")
		number, err := strconv.ParseUint(first, 10, 32)
		if err != nil || number == 0 {
			return 0, 0, false
		}
		numbers, section = append(numbers, uint32(number)), rest
	}
	header := min(prefix+st.HeaderBytes, size)
	section = string(bytes.ToUpper([]byte(section)))
	if len(numbers) == 0 {
		switch section {
		case "HEADER":
			return 0, header, true
		case "TEXT":
			return header, size - header, true
		}
		return 0, 0, false
	}
	i := st.Find(numbers)
	if i < 0 {
		return 0, 0, false
	}
	from, to := st.Parts[i].BodyOff, st.Parts[i].BodyEnd
	switch section {
	case "":
	case "MIME":
		from, to = st.Parts[i].HeaderOff, st.Parts[i].BodyOff
	case "HEADER", "TEXT": // of the message that the part holds
		j := st.Message(i, numbers)
		if j < 0 {
			return 0, 0, false
		}
		if from, to = st.Parts[j].HeaderOff, st.Parts[j].BodyOff; section == "TEXT" {
			from, to = st.Parts[j].BodyOff, st.Parts[j].BodyEnd
		}
	default:
		return 0, 0, false
	}
	if from > 0 { // else what stands before the text is of this header
		from += prefix
	}
	to = min(to+prefix, size)
	from = min(from, to)
	return from, to - from, true
}
