package imap

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxURL is the longest URL that is looked at.
const maxURL = 2048

// messageURL is a URL of a message, or of a part of one, of the same account (RFC 5092,
// without its server part).
type messageURL struct {
	mailbox  string // empty: the selected one
	validity uint32 // 0: any
	uid      uint32
	section  string // empty: the whole message
	partial  bool
	offset   int64
	length   int64 // 0: up to the end
}

// parseURL reads a relative URL: "/mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.9",
// of which all but the UID may be missing. What URLAUTH adds is not taken.
func parseURL(text string) (u messageURL, good bool) {
	if len(text) > maxURL || len(text) > 5 && strings.EqualFold(text[:5], "imap:") || strings.HasPrefix(text, "//") {
		return u, false
	}
	text = strings.TrimPrefix(text, "/")
	path, rest, found := strings.Cut(text, ";")
	if !found || strings.ContainsAny(path, "?#") {
		return u, false
	}
	rest = ";" + rest
	if value, more, found := urlParameter(rest, ";UIDVALIDITY="); found {
		if u.validity, good = urlNumber(value); !good || !strings.HasPrefix(more, "/;") {
			return u, false
		}
		rest = more[1:]
	} else {
		path = strings.TrimSuffix(path, "/")
	}
	if u.mailbox, good = unescapeURL(path); !good {
		return u, false
	}
	value, rest, found := urlParameter(rest, ";UID=")
	if !found {
		return u, false
	}
	if u.uid, good = urlNumber(value); !good {
		return u, false
	}
	if value, more, found := urlParameter(rest, "/;SECTION="); found {
		if u.section, good = unescapeURL(value); !good || u.section == "" {
			return u, false
		}
		rest = more
	}
	if value, more, found := urlParameter(rest, "/;PARTIAL="); found {
		if !u.takePartial(value) {
			return u, false
		}
		rest = more
	}
	return u, rest == ""
}

// urlParameter takes a parameter with its name, in any case, from the start of text; its
// value ends before "/;", or ";".
func urlParameter(text, name string) (value, rest string, found bool) {
	if len(text) < len(name) || !strings.EqualFold(text[:len(name)], name) {
		return "", text, false
	}
	text = text[len(name):]
	end := len(text)
	if i := strings.IndexByte(text, ';'); i > 0 {
		if end = i; text[i-1] == '/' {
			end--
		}
	}
	return text[:end], text[end:], true
}

// urlNumber reads an nz-number.
func urlNumber(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && n > 0 && text[0] >= '1' && text[0] <= '9'
}

// takePartial reads "offset" or "offset.length".
func (u *messageURL) takePartial(text string) bool {
	from, length, more := strings.Cut(text, ".")
	offset, err := strconv.ParseUint(from, 10, 62)
	if err != nil || from[0] == '+' {
		return false
	}
	u.partial, u.offset = true, int64(offset)
	if !more {
		return true
	}
	n, err := strconv.ParseUint(length, 10, 62)
	u.length = int64(n)
	return err == nil && n > 0 && length[0] != '+'
}

// unescapeURL resolves "%20" and the like; what it stands for has to be UTF-8 without
// control characters (RFC 5092 section 8).
func unescapeURL(text string) (string, bool) {
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			if i+2 >= len(text) {
				return "", false
			}
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil || text[i+1] == '+' || text[i+1] == '-' {
				return "", false
			}
			c = byte(n)
			i += 2
		}
		if c < ' ' || c == 0x7f {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), utf8.Valid(b)
}
