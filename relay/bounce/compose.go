package bounce

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"mime"

	"postrider/internal/mail"
)

// part is one part of the report, ready but for its boundary.
type part struct {
	kind     string // the value of Content-Type
	encoding string
	about    string // Content-Description
	text     []byte // ends in CRLF
}

// eightBit reports a part that needs more than seven bits on the way.
func (p *part) eightBit() bool { return p.encoding == "8bit" }

// Compose appends the notice to dst and returns it. Its bytes are a whole message
// of RFC 5322 without Received or Return-Path fields. It fails only for a notice
// that nobody is owed, or when there is no randomness.
//
// RFC 6533 section 4: a sender whose address is beyond ASCII gets a notice that
// needs SMTPUTF8 itself, with fields and headers in UTF-8. Any other gets one
// that every server takes, with such addresses written in ASCII.
func Compose(dst []byte, n *Notice) ([]byte, Composed, error) {
	switch {
	case len(n.Envelope.Sender) == 0:
		return dst, Composed{}, ErrNullSender
	case len(n.Recipients) == 0:
		return dst, Composed{}, ErrNoRecipients
	}
	wide := !ascii(n.Envelope.Sender)
	status, told := n.report(wide)
	header := n.readHeader()
	back, returned := n.returned(header, wide, MaxBytes-headRoom-wordsRoom-len(status.text))
	words := n.words(header, told, returned)
	parts := []part{words.part, status}
	if returned != "" {
		parts = append(parts, back)
	}
	boundary, err := n.boundary(parts)
	if err != nil {
		return dst, Composed{}, err
	}
	c := Composed{SMTPUTF8: wide, EightBit: wide, Recipients: told}
	for i := range parts {
		c.EightBit = c.EightBit || parts[i].eightBit()
	}
	dst = n.appendHead(dst, words, header, boundary, c)
	dst = append(dst, "This is a report in the format of RFC 3464.\r\n"...)
	for i := range parts {
		dst = appendPart(dst, boundary, &parts[i])
	}
	return append(append(append(dst, "\r\n--"...), boundary...), "--\r\n"...), c, nil
}

// headRoom is more than the header of a notice and those of its parts take.
const headRoom = 6 << 10

func appendPart(dst []byte, boundary string, p *part) []byte {
	dst = append(append(append(dst, "\r\n--"...), boundary...), '\r', '\n')
	dst = appendField(dst, "Content-Description", []byte(p.about))
	dst = appendField(dst, "Content-Type", []byte(p.kind))
	dst = appendField(dst, "Content-Transfer-Encoding", []byte(p.encoding))
	dst = append(dst, '\r', '\n')
	return append(dst, p.text...)
}

// appendHead appends the notice's header and the empty line behind it.
func (n *Notice) appendHead(dst []byte, words words, header []byte, boundary string, c Composed) []byte {
	host := n.host()
	dst = appendField(dst, "Date", appendDate(nil, n.Now))
	dst = appendField(dst, "From", []byte("Mail Delivery System <MAILER-DAEMON@"+host+">"))
	to := appendClean([]byte{'<'}, n.Envelope.Sender, c.SMTPUTF8, len(n.Envelope.Sender))
	dst = appendField(dst, "To", append(to, '>'))
	dst = appendField(dst, "Subject", encodeWords(words.subject))
	id := n.ID.AppendText([]byte{'<'})
	dst = appendField(dst, "Message-ID", append(append(append(id, '@'), host...), '>'))
	if id := messageID(header); len(id) > 0 {
		dst = appendField(dst, "In-Reply-To", id)
		dst = appendField(dst, "References", id)
	}
	dst = append(dst, "Auto-Submitted: auto-replied\r\n"...) // RFC 3834 section 5
	dst = append(dst, "MIME-Version: 1.0\r\n"...)
	// RFC 6522 section 3.
	dst = appendField(dst, "Content-Type", []byte(`multipart/report; report-type=delivery-status; boundary="`+boundary+`"`))
	dst = appendField(dst, "Content-Language", []byte(words.language))
	if c.EightBit { // RFC 2045 section 6.4: a multipart says what is inside
		dst = append(dst, "Content-Transfer-Encoding: 8bit\r\n"...)
	}
	return append(dst, '\r', '\n')
}

// host is our name; one that cannot stand in a field is replaced.
func (n *Notice) host() string {
	if !mail.ValidDomain([]byte(n.Host)) || !ascii([]byte(n.Host)) {
		return "localhost"
	}
	return n.Host
}

// encodeWords writes a subject as RFC 2047 has it where it is beyond ASCII.
func encodeWords(subject string) []byte {
	return []byte(mime.QEncoding.Encode("utf-8", subject))
}

// boundary draws a boundary that stands in none of the parts.
func (n *Notice) boundary(parts []part) (string, error) {
	source := n.Random
	if source == nil {
		source = rand.Reader
	}
	for range 100 {
		var b [16]byte
		if _, err := io.ReadFull(source, b[:]); err != nil {
			return "", fmt.Errorf("a boundary for a notice: %w", err)
		}
		boundary := "=_" + hex.EncodeToString(b[:])
		if !anyContains(parts, boundary) {
			return boundary, nil
		}
	}
	return "", fmt.Errorf("a boundary for a notice: the source of randomness repeats itself")
}

func anyContains(parts []part, boundary string) bool {
	for i := range parts {
		if bytes.Contains(parts[i].text, []byte(boundary)) {
			return true
		}
	}
	return false
}
