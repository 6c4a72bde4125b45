package bounce

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	foldColumn = 76  // lines are folded behind it where a space allows
	maxWordLen = 900 // a longer word is cut, so that no line passes 998 octets (RFC 5322 section 2.1.1)
)

// appendField appends a header field, folded, with its CRLF. value holds no
// control bytes. An empty value appends nothing.
func appendField(dst []byte, name string, value []byte) []byte {
	value = bytes.Trim(value, " ")
	if len(value) == 0 {
		return dst
	}
	dst = append(append(dst, name...), ':', ' ')
	column := len(name) + 2
	for len(value) > 0 {
		n := wordEnd(value)
		if column > len(name)+2 && column+n > foldColumn {
			dst = append(dst, "\r\n"...)
			column = 0
			if value[0] != ' ' {
				dst = append(dst, ' ')
				column = 1
			}
		}
		dst = append(dst, value[:n]...)
		column += n
		value = value[n:]
	}
	return append(dst, '\r', '\n')
}

// wordEnd returns the length of the next piece of a value: spaces and the word
// behind them, cut where it is too long, though not within a rune.
func wordEnd(value []byte) int {
	i := 0
	for i < len(value) && value[i] == ' ' {
		i++
	}
	for i < len(value) && value[i] != ' ' && i < maxWordLen {
		i++
	}
	for i > 0 && i < len(value) && !utf8.RuneStart(value[i]) {
		i--
	}
	return i
}

// appendClean appends a stranger's text: control bytes become spaces, and so do
// not end a line; what is not ASCII is kept where wide allows UTF-8 and it is, and
// else becomes "?". At most limit bytes are appended.
func appendClean(dst, text []byte, wide bool, limit int) []byte {
	end := len(dst) + limit
	for len(text) > 0 && len(dst) < end {
		c := text[0]
		if c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				c = ' '
			}
			dst = append(dst, c)
			text = text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		if !wide || !printable(r, n) {
			dst = append(dst, '?')
		} else if len(dst)+n <= end {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

// printable reports a rune beyond ASCII that cannot be taken for the end of a
// line: no C1 control, no line or paragraph separator, no change of direction.
func printable(r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size <= 1, r >= 0x80 && r < 0xa0, r == 0x2028, r == 0x2029,
		r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return false
	}
	return true
}

// appendAddress appends an address with its type (RFC 3464 section 2.3.1): as it
// is in ASCII; beyond, as UTF-8 where wide allows it, else with each rune as
// \x{HEX} (RFC 6533 section 3, utf-8-addr-xtext).
func appendAddress(dst, address []byte, wide bool) []byte {
	switch {
	case ascii(address):
		return appendClean(append(dst, "rfc822; "...), address, false, len(address))
	case wide:
		return appendClean(append(dst, "utf-8; "...), address, true, len(address))
	}
	return appendXtextUTF8(append(dst, "utf-8; "...), address)
}

func appendXtextUTF8(dst, address []byte) []byte {
	for len(address) > 0 {
		r, n := utf8.DecodeRune(address)
		if r > ' ' && r < 0x7f && r != '\\' && r != '+' && r != '=' {
			dst = append(dst, byte(r))
		} else {
			dst = append(append(dst, `\x{`...), bytes.ToUpper(strconv.AppendInt(nil, int64(r), 16))...)
			dst = append(dst, '}')
		}
		address = address[n:]
	}
	return dst
}

// appendOriginal appends an ORCPT (RFC 3461 section 4.2) as Original-Recipient has
// it: "type;xtext" becomes "type; text". False when it is nothing that can be
// repeated.
func appendOriginal(dst, orcpt []byte, wide bool) ([]byte, bool) {
	kind, value, ok := bytes.Cut(orcpt, []byte{';'})
	if !ok || len(kind) == 0 || len(kind) > 40 || len(value) == 0 || !isAtom(kind) {
		return dst, false
	}
	start := len(dst)
	dst = append(append(dst, kind...), ';', ' ')
	if bytes.EqualFold(kind, []byte("utf-8")) { // RFC 6533 section 3: not xtext
		if !wide && !ascii(value) {
			return appendXtextUTF8(dst, value), true
		}
		return appendClean(dst, value, wide, len(value)), true
	}
	if dst, ok = appendXtextDecoded(dst, value); !ok {
		return dst[:start], false
	}
	return dst, true
}

// appendXtextDecoded appends the text that xtext stands for (RFC 3461 section
// 4); false when it is none, or holds what is not printable ASCII.
func appendXtextDecoded(dst, xtext []byte) ([]byte, bool) {
	start := len(dst)
	for i := 0; i < len(xtext); i++ {
		c := xtext[i]
		if c == '+' {
			if i+2 >= len(xtext) {
				return dst[:start], false
			}
			v, err := strconv.ParseUint(string(xtext[i+1:i+3]), 16, 8)
			if err != nil {
				return dst[:start], false
			}
			c = byte(v)
			i += 2
		}
		if c < ' ' || c > '~' {
			return dst[:start], false
		}
		dst = append(dst, c)
	}
	return dst, len(dst) > start
}

func isAtom(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`()<>@,;:\"/[]?=`), c) >= 0 {
			return false
		}
	}
	return true
}

func ascii(s []byte) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendDate appends a date of RFC 5322 section 3.3.
func appendDate(dst []byte, t time.Time) []byte {
	return t.AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 -0700")
}
