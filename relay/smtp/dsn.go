package smtp

import (
	"bytes"
	"unicode/utf8"

	"postrider/internal/mail"
)

// parseNotify reads "NEVER" or a list of the others, each once (RFC 3461 section
// 4.1).
func parseNotify(value []byte) (mail.Notify, bool) {
	if is(value, "NEVER") {
		return mail.NotifyNever, true
	}
	var n mail.Notify
	for {
		word, rest, more := bytes.Cut(value, []byte(","))
		var bit mail.Notify
		switch {
		case is(word, "SUCCESS"):
			bit = mail.NotifySuccess
		case is(word, "FAILURE"):
			bit = mail.NotifyFailure
		case is(word, "DELAY"):
			bit = mail.NotifyDelay
		}
		if bit == 0 || n&bit != 0 {
			return 0, false
		}
		n |= bit
		if !more {
			return n, true
		}
		value = rest
	}
}

// validOriginal checks "rfc822;xtext", and "utf-8;..." (RFC 6533 section 3),
// which holds UTF-8 itself only where SMTPUTF8 lets it travel.
func validOriginal(value []byte, allowUTF8 bool) bool {
	kind, text, ok := bytes.Cut(value, []byte(";"))
	if !ok || len(value) > MaxOriginal || len(kind) == 0 || len(text) == 0 {
		return false
	}
	for _, c := range kind {
		if c <= ' ' || c >= 0x7f || c == '=' || c == '+' {
			return false
		}
	}
	if !is(kind, "UTF-8") {
		return validXtext(text)
	}
	for _, c := range text {
		if c <= ' ' || c == 0x7f || c == '=' || c >= 0x80 && !allowUTF8 {
			return false
		}
	}
	return utf8.Valid(text)
}

// validXtext reports printable ASCII in which "+" and "=" stand only as "+" and
// two upper case hexadecimal digits (RFC 3461 section 4).
func validXtext(s []byte) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case c <= ' ', c >= 0x7f, c == '=':
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }
