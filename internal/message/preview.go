package message

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// appendPreview appends what a reader sees first of the text: decoded, as UTF-8,
// in one line.
func (s *Structurer) appendPreview(dst []byte) []byte {
	if s.peekPart < 0 || len(s.peek) == 0 {
		return dst
	}
	e := &s.parts[s.peekPart]
	raw := s.peek
	if int64(len(raw)) > e.BodyEnd-e.BodyOff { // the line end before the delimiter was taken as well
		raw = raw[:e.BodyEnd-e.BodyOff]
	}
	switch e.Encoding {
	case EncodingQuotedPrintable:
		raw = decodeQuotedPrintable(raw)
	case EncodingBase64:
		raw = decodeBase64(raw)
	case EncodingUnknown:
		return dst
	}
	raw = s.toUTF8(e, raw)
	if s.peekHTML {
		raw = stripHTML(raw)
	}
	return appendOneLine(dst, raw)
}

// toUTF8 converts raw from the charset of e; what is none stays as it is.
func (s *Structurer) toUTF8(e *entity, raw []byte) []byte {
	_, _, params := s.typeOf(e)
	name := appendParam(s.scratch.word[:0], params, "charset")
	s.scratch.word = name[:0]
	if len(name) == 0 || len(name) > 64 || equalFold(name, "utf-8") || equalFold(name, "us-ascii") {
		return raw
	}
	known, err := htmlindex.Get(string(name))
	if err != nil {
		return raw
	}
	text, err := known.NewDecoder().Bytes(raw)
	if err != nil {
		return raw
	}
	return text
}

// appendOneLine appends the first previewRunes characters of text, every run of
// space and controls as one space and what is not UTF-8 as U+FFFD.
func appendOneLine(dst, text []byte) []byte {
	start, space := len(dst), false
	for n := 0; len(text) > 0 && n < previewRunes; {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 && !utf8.FullRune(text) {
			break // the text was cut here
		}
		text = text[size:]
		if r <= ' ' || r == 0x7f || r >= 0x80 && r <= 0xa0 || r == 0xfeff {
			space = true
			continue
		}
		if space && len(dst) > start {
			dst = append(dst, ' ')
			if n++; n == previewRunes {
				break
			}
		}
		space = false
		dst = utf8.AppendRune(dst, r)
		n++
	}
	return bytes.TrimRight(dst[:len(dst):cap(dst)], " ")
}

// decodeQuotedPrintable decodes p in place, leniently (RFC 2045 section 6.7).
func decodeQuotedPrintable(p []byte) []byte {
	out := p[:0]
	for i := 0; i < len(p); i++ {
		if p[i] != '=' {
			out = append(out, p[i])
			continue
		}
		rest := p[i+1:]
		if hi, lo := hexAt(rest, 0), hexAt(rest, 1); hi >= 0 && lo >= 0 {
			out = append(out, byte(hi<<4|lo))
			i += 2
			continue
		}
		n := 0
		for n < len(rest) && (rest[n] == ' ' || rest[n] == '\t' || rest[n] == '\r') {
			n++
		}
		switch {
		case n < len(rest) && rest[n] == '\n': // a soft line break
			i += n + 1
		case len(rest) < 2 || n == len(rest): // cut within
			return out
		default:
			out = append(out, '=')
		}
	}
	return out
}

// hexAt returns the value of the hex digit p[i], or -1.
func hexAt(p []byte, i int) int {
	if i >= len(p) {
		return -1
	}
	switch c := p[i]; {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// decodeBase64 decodes p in place and passes what is not of the alphabet.
func decodeBase64(p []byte) []byte {
	out := p[:0]
	bits, n := uint32(0), 0
	for _, c := range p {
		v := uint32(0)
		switch {
		case c >= 'A' && c <= 'Z':
			v = uint32(c - 'A')
		case c >= 'a' && c <= 'z':
			v = uint32(c-'a') + 26
		case c >= '0' && c <= '9':
			v = uint32(c-'0') + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		case c == '=':
			return out
		default:
			continue
		}
		bits = bits<<6 | v
		if n += 6; n >= 8 {
			n -= 8
			out = append(out, byte(bits>>n))
		}
	}
	return out
}
