package imap

import (
	"errors"
	"strings"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
	"postrider/internal/mail"
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
	if u.section == "" {
		return a.copyOctets(m, &u, &msg, 0, msg.Size())
	}
	var it mailbox.Items
	if err := view.Items(msg.EmailID, &it); err != nil {
		return err
	}
	return a.copySection(m, &u, &msg, &it)
}

// copySection appends a section of a message.
func (a *appending) copySection(m *appended, u *messageURL, msg *mailbox.Message, it *mailbox.Items) error {
	f := fetchers.Get().(*fetcher)
	defer f.release()
	var d imapwire.Decoder
	d.Reset([]byte(u.section + "]"))
	item := fetchItem{kind: fetchSection}
	if !f.plan.section(&d, &item) || !d.Byte(']') || !d.End() {
		return errURL
	}
	off, n, good := item.locate(&it.Structure, int64(len(msg.Prefix())), msg.Size())
	if !good {
		return errURL
	}
	if item.fields == nil {
		return a.copyOctets(m, u, msg, off, n)
	}
	header := make([]byte, min(n, headerMax))
	if k, err := msg.ReadAt(header, off); k < len(header) {
		return errors.Join(mail.ErrCorrupt, err)
	}
	var text []byte
	for _, p := range item.fields.selected(nil, header, item.section == sectionNotFields) {
		text = append(text, header[p.from:p.to]...)
	}
	text = append(text, "\r\n"...)
	off, n = u.window(0, int64(len(text)))
	if a.admit(m, n) {
		a.write(m, text[off:off+n])
	}
	return nil
}

// window returns what of n octets from off on is meant.
func (u *messageURL) window(off, n int64) (int64, int64) {
	if !u.partial {
		return off, n
	}
	skip := min(u.offset, n)
	if off, n = off+skip, n-skip; u.length > 0 {
		n = min(n, u.length)
	}
	return off, n
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

// copyOctets appends octets of a message, unless there are too many, which is said.
func (a *appending) copyOctets(m *appended, u *messageURL, msg *mailbox.Message, off, n int64) error {
	if off, n = u.window(off, n); !a.admit(m, n) {
		return nil
	}
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
