package smtp

import (
	"strconv"
	"unicode/utf8"

	"postrider/internal/mail"
)

// Manner is how a message is sent, beside what its envelope says.
type Manner struct {
	Size       int64 // of the text, in octets
	EightBit   bool  // the text has bytes above 127
	UTF8       bool  // as a message of RFC 6531; else domains go as A-labels
	RequireTLS bool  // RFC 8689
}

// Mail appends MAIL for an envelope and a sender, with those parameters that the
// server offered; of m only what it offered may be set. It reports false, and
// appends nothing, for a sender that can't be written (see AppendPath).
func (c *Client) Mail(e *mail.Envelope, sender []byte, m Manner) bool {
	x := c.Extensions.Set
	n := len(c.out)
	out, ok := AppendPath(append(c.out, "MAIL FROM:"...), sender, m.UTF8)
	if !ok {
		c.out = c.out[:n]
		return false
	}
	if x.Has(Size) { // RFC 1870 section 5
		out = strconv.AppendInt(append(out, " SIZE="...), m.Size, 10)
	}
	if x.Has(EightBitMIME) && m.EightBit { // RFC 6152 section 3
		out = append(out, " BODY=8BITMIME"...)
	}
	if m.UTF8 { // RFC 6531 section 3.4
		out = append(out, " SMTPUTF8"...)
	}
	if m.RequireTLS { // RFC 8689 section 4.2.1
		out = append(out, " REQUIRETLS"...)
	}
	if x.Has(DSN) { // RFC 3461 section 5.2.1
		switch e.Return {
		case mail.ReturnFull:
			out = append(out, " RET=FULL"...)
		case mail.ReturnHeaders:
			out = append(out, " RET=HDRS"...)
		case mail.ReturnUnset:
		}
		if len(e.EnvelopeID) > 0 && plainWord(e.EnvelopeID) {
			out = append(append(out, " ENVID="...), e.EnvelopeID...)
		}
	}
	c.out = append(out, '\r', '\n')
	return true
}

// Rcpt appends RCPT for one recipient of e, with the parameters that the server
// offered. It reports false, and appends nothing, for an address that can't be
// written.
func (c *Client) Rcpt(e *mail.Envelope, index int, m Manner) bool {
	r := &e.Recipients[index]
	n := len(c.out)
	out, ok := AppendPath(append(c.out, "RCPT TO:"...), r.Address, m.UTF8)
	if !ok {
		c.out = c.out[:n]
		return false
	}
	if c.Extensions.Set.Has(DSN) { // RFC 3461 section 5.2.1
		if r.Notify != 0 {
			out = appendNotify(append(out, " NOTIFY="...), r.Notify)
		}
		out = appendOriginal(out, r.Original, m.UTF8)
	}
	c.out = append(out, '\r', '\n')
	return true
}

// appendOriginal appends ORCPT. What is beyond ASCII in it goes as it is where
// SMTPUTF8 lets it, else in the form of RFC 6533 section 3 for such servers.
func appendOriginal(dst, original []byte, asUTF8 bool) []byte {
	if len(original) == 0 || !utf8.Valid(original) {
		return dst
	}
	n := len(dst)
	dst = append(dst, " ORCPT="...)
	for _, r := range string(original) { // no copy is made for a range
		switch {
		case r <= ' ' || r == 0x7f:
			return dst[:n]
		case r < 0x80:
			dst = append(dst, byte(r))
		case asUTF8:
			dst = utf8.AppendRune(dst, r)
		default:
			dst = strconv.AppendUint(append(dst, `\x{`...), uint64(r), 16)
			dst = append(dst, '}')
		}
	}
	return dst
}

func appendNotify(dst []byte, n mail.Notify) []byte {
	if n&mail.NotifyNever != 0 { // excludes the others (RFC 3461 section 4.1)
		return append(dst, "NEVER"...)
	}
	for _, k := range [...]struct {
		bit  mail.Notify
		word string
	}{{mail.NotifySuccess, "SUCCESS,"}, {mail.NotifyFailure, "FAILURE,"}, {mail.NotifyDelay, "DELAY,"}} {
		if n&k.bit != 0 {
			dst = append(dst, k.word...)
		}
	}
	return dst[:len(dst)-1]
}

// plainWord reports whether b is printable ASCII without a space, as the values
// of parameters are.
func plainWord(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
