package message

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// stripHTML takes the markup off p in place, roughly: enough for a line of
// preview, which nobody renders.
func stripHTML(p []byte) []byte {
	out := p[:0]
	for len(p) > 0 {
		switch {
		case bytes.HasPrefix(p, []byte("<!--")):
			n := bytes.Index(p, []byte("-->"))
			if n < 0 {
				return out
			}
			p = p[n+3:]
		case p[0] == '<':
			n := bytes.IndexByte(p, '>')
			if n < 0 {
				return out
			}
			tag := tagName(p[1:n])
			p = p[n+1:]
			if hidden(tag) {
				p = p[closing(p, tag):]
			}
			if !inline(tag) {
				out = append(out, ' ') // the tag was longer
			}
		case p[0] == '&':
			var n int
			out, n = appendReference(out, p)
			p = p[n:]
		default:
			out = append(out, p[0])
			p = p[1:]
		}
	}
	return out
}

// tagName returns the name at the start of a tag.
func tagName(p []byte) []byte {
	n := 0
	for n < len(p) && (p[n]|0x20 >= 'a' && p[n]|0x20 <= 'z' || n > 0 && p[n] >= '0' && p[n] <= '9') {
		n++
	}
	return p[:n]
}

// hidden reports an element whose content is not shown.
func hidden(tag []byte) bool {
	return equalFold(tag, "style") || equalFold(tag, "script") || equalFold(tag, "title") || equalFold(tag, "head")
}

// inline reports an element that separates no words; a tag without a name closes
// one, which is seen to separate.
func inline(tag []byte) bool {
	for _, name := range [...]string{"b", "i", "u", "a", "em", "strong", "span", "font"} {
		if equalFold(tag, name) {
			return true
		}
	}
	return false
}

// closing returns the offset behind the end tag of a hidden element, or the length
// of p.
func closing(p, tag []byte) int {
	for i := 0; i+2+len(tag) <= len(p); i++ {
		n := bytes.IndexByte(p[i:], '<')
		if n < 0 {
			break
		}
		i += n
		if rest := p[i+1:]; len(rest) > len(tag) && rest[0] == '/' && bytes.EqualFold(rest[1:1+len(tag)], tag) {
			if end := bytes.IndexByte(p[i:], '>'); end >= 0 {
				return i + end + 1
			}
			break
		}
	}
	return len(p)
}

// appendReference appends what a character reference at the start of p means,
// and returns how long that is; "&" when it means nothing.
func appendReference(dst, p []byte) (out []byte, n int) {
	end := bytes.IndexByte(p[:min(len(p), 12)], ';')
	if end < 0 {
		return append(dst, '&'), 1
	}
	name := string(p[1:end])
	r := rune(0)
	switch name {
	case "amp":
		r = '&'
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "quot":
		r = '"'
	case "apos":
		r = '\''
	case "nbsp", "zwnj", "shy":
		r = ' '
	}
	if r == 0 && len(name) > 1 && name[0] == '#' {
		base, digits := 10, name[1:]
		if digits[0] == 'x' || digits[0] == 'X' {
			base, digits = 16, digits[1:]
		}
		if v, err := strconv.ParseUint(digits, base, 21); err == nil && utf8.ValidRune(rune(v)) {
			r = rune(v)
		}
	}
	if r == 0 || utf8.RuneLen(r) > end+1 {
		return append(dst, '&'), 1
	}
	return utf8.AppendRune(dst, r), end + 1
}
