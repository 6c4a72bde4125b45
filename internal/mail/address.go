package mail

import (
	"bytes"
	"errors"
	"net/netip"
	"unicode/utf8"
)

// MaxAddressLen is the longest address in octets: a path of RFC 5321 section
// 4.5.3.1.3 without its two brackets.
const MaxAddressLen = 254

// Errors of ParseAddress. They say nothing of the text, which is a stranger's.
var (
	ErrAddress       = errors.New("address is not a mailbox")
	ErrAddressDomain = errors.New("address has no valid domain")
	ErrAddressLong   = errors.New("address is too long")
	ErrAddressUTF8   = errors.New("address needs SMTPUTF8")
)

// Address is a mailbox of RFC 5321 section 4.1.2 in parsed form. The zero value
// is the null address "<>". It is never echoed as it came: whoever sends or
// stores it writes it anew with AppendText.
type Address struct {
	// Local is the local part's content: quotes and backslashes are taken off,
	// the case is kept.
	Local []byte
	// Domain is in lower case, without a final dot; an address literal keeps its
	// brackets ("[192.0.2.1]", "[IPv6:2001:db8::1]"). It is empty only for the
	// null address and for the bare Postmaster that RCPT may name.
	Domain []byte
}

// IsNull reports the null address.
func (a Address) IsNull() bool { return len(a.Local) == 0 && len(a.Domain) == 0 }

// NeedsUTF8 reports whether the address can travel only by SMTPUTF8.
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) || !isASCII(a.Domain) }

// AppendText appends the canonical form without brackets: the local part quoted
// only where it must be. It appends nothing for the null address.
func (a Address) AppendText(dst []byte) []byte {
	if a.IsNull() {
		return dst
	}
	if isDotString(a.Local) {
		dst = append(dst, a.Local...)
	} else {
		dst = append(dst, '"')
		for _, c := range a.Local {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
		dst = append(dst, '"')
	}
	if len(a.Domain) > 0 {
		dst = append(dst, '@')
		dst = append(dst, a.Domain...)
	}
	return dst
}

// String returns AppendText as a string, for tests and for paths that are not hot.
func (a Address) String() string { return string(a.AppendText(nil)) }

// ParseAddress reads "local@domain" without brackets, source route or comment.
// Octets above 127 are taken only when allowUTF8 (RFC 6531), and then as valid
// UTF-8 without control characters.
//
// The result aliases text, and when the address is valid text is rewritten in
// place: the domain in lower case, the content of a quoted local part without
// backslashes. After an error text is as it was.
func ParseAddress(text []byte, allowUTF8 bool) (Address, error) {
	if len(text) > MaxAddressLen {
		return Address{}, ErrAddressLong
	}
	if !isASCII(text) {
		if !allowUTF8 {
			return Address{}, ErrAddressUTF8
		}
		if !validUTF8(text) {
			return Address{}, ErrAddress
		}
	}
	at := bytes.IndexByte(text, '@')
	quoted := len(text) > 0 && text[0] == '"'
	if quoted {
		at = quotedEnd(text)
	}
	if at <= 0 || at >= len(text) || text[at] != '@' {
		return Address{}, ErrAddress
	}
	local, domain := text[:at], text[at+1:]
	if quoted && at < 3 || !quoted && !isDotString(local) { // "" names nobody
		return Address{}, ErrAddress
	}
	if !validDomain(domain) {
		return Address{}, ErrAddressDomain
	}
	if quoted {
		local = unquote(local)
	}
	lowerDomain(domain)
	return Address{Local: local, Domain: domain}, nil
}

// quotedEnd returns the index behind the quoted string at the start of text, or
// -1 (RFC 5321 section 4.1.2: qtextSMTP and quoted-pairSMTP).
func quotedEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			i++
			if i == len(text) || text[i] < ' ' || text[i] >= 0x7f {
				return -1
			}
		case c < ' ' || c == 0x7f:
			return -1
		}
	}
	return -1
}

// unquote removes the quotes and backslashes of a quoted string in place.
func unquote(q []byte) []byte {
	q = q[1 : len(q)-1]
	out := q[:0]
	for i := 0; i < len(q); i++ {
		if q[i] == '\\' {
			i++
		}
		out = append(out, q[i])
	}
	return out
}

// isDotString reports atoms joined by single dots.
func isDotString(s []byte) bool {
	dot := true
	for _, c := range s {
		if c == '.' {
			if dot {
				return false
			}
			dot = true
			continue
		}
		if !isAtext(c) {
			return false
		}
		dot = false
	}
	return !dot
}

func isAtext(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0x80:
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~':
		return true
	}
	return false
}

// ValidDomain reports whether d is a host name or an address literal as RFC 5321
// section 4.1.2 has them: labels of letters, digits, hyphens and the underscore
// that hosts do use, at most 63 octets each, 253 in all, the last one not a
// number (so that "127.1" is no name). Octets above 127 are U-labels; whether
// they may stand there is the caller's to know.
func ValidDomain(d []byte) bool { return validDomain(d) }

func validDomain(d []byte) bool {
	if len(d) == 0 || len(d) > 253 {
		return false
	}
	if d[0] == '[' {
		return validLiteral(d)
	}
	start, numeric := 0, true
	for i := 0; i <= len(d); i++ {
		if i == len(d) || d[i] == '.' {
			if i == start || i-start > 63 || d[start] == '-' || d[i-1] == '-' {
				return false
			}
			if i < len(d) {
				start, numeric = i+1, true
			}
			continue
		}
		switch c := d[i]; {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c >= 0x80:
			numeric = false
		default:
			return false
		}
	}
	return !numeric
}

const ipv6Tag = "[IPv6:"

// validLiteral checks "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321 section
// 4.1.3); a zone has no meaning on the wire and is refused.
func validLiteral(d []byte) bool {
	if d[len(d)-1] != ']' {
		return false
	}
	if len(d) > len(ipv6Tag) && bytes.EqualFold(d[:len(ipv6Tag)], []byte(ipv6Tag)) {
		a, err := netip.ParseAddr(string(d[len(ipv6Tag) : len(d)-1]))
		return err == nil && a.Is6() && a.Zone() == ""
	}
	a, err := netip.ParseAddr(string(d[1 : len(d)-1]))
	return err == nil && a.Is4()
}

// lowerDomain folds ASCII letters in place; the tag of a literal keeps its form.
func lowerDomain(d []byte) {
	for i, c := range d {
		if c >= 'A' && c <= 'Z' {
			d[i] = c + 'a' - 'A'
		}
	}
	if len(d) > len(ipv6Tag) && d[0] == '[' && d[1] == 'i' {
		copy(d, ipv6Tag)
	}
}

func isASCII(s []byte) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// validUTF8 reports well-formed UTF-8 without the C1 controls and the line and
// paragraph separators, which some readers of a log take for a line's end.
func validUTF8(s []byte) bool {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return false
		}
		s = s[n:]
	}
	return true
}
