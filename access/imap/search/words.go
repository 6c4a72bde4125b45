package search

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"postrider/internal/message"
)

// headerText decodes values of header fields. Its memory is used again.
type headerText struct {
	charsets charsets
	flat     []byte // unfolded
	raw      []byte // octets of encoded words that follow each other in one charset
	out      []byte // as UTF-8
}

// text returns value unfolded, decoded and as UTF-8, without the spaces around it.
// It is valid until the next call.
func (h *headerText) text(value []byte) []byte {
	value = trimSpace(value)
	if bytes.IndexByte(value, '\n') >= 0 {
		h.flat = appendUnfolded(h.flat[:0], value)
		value = h.flat
	}
	if bytes.Contains(value, []byte("=?")) {
		h.out = h.appendWords(h.out[:0], value)
		return h.out
	}
	if asciiLen(value) == len(value) || utf8.Valid(value) {
		return value
	}
	h.out = appendLatin(h.out[:0], value)
	return h.out
}

// appendWords appends value with its encoded words decoded. Spaces between two of
// them go (RFC 2047 section 6.2), and words of one charset are decoded together,
// since characters are seen to be cut between them.
func (h *headerText) appendWords(dst, value []byte) []byte {
	var charset []byte // of what waits in h.raw
	h.raw = h.raw[:0]
	for len(value) > 0 {
		at := bytes.Index(value, []byte("=?"))
		if at < 0 {
			break
		}
		w, ok := parseWord(value[at:])
		if !ok {
			dst = h.flush(dst, charset)
			dst = appendUTF8(dst, value[:at+2])
			value = value[at+2:]
			continue
		}
		between := value[:at]
		if len(h.raw) == 0 || len(trimSpace(between)) > 0 {
			dst = h.flush(dst, charset)
			dst = appendUTF8(dst, between)
		} else if !bytes.EqualFold(charset, w.charset) {
			dst = h.flush(dst, charset)
		}
		charset = w.charset
		h.raw = w.appendTo(h.raw)
		value = value[at+w.size:]
	}
	dst = h.flush(dst, charset)
	return appendUTF8(dst, value)
}

// flush appends the octets of the words that waited.
func (h *headerText) flush(dst, charset []byte) []byte {
	if len(h.raw) == 0 {
		return dst
	}
	dst = h.charsets.find(charset).append(dst, h.raw)
	h.raw = h.raw[:0]
	return dst
}

// word is an encoded word.
type word struct {
	charset []byte
	base64  bool
	text    []byte
	size    int // of the whole
}

// parseWord reads the encoded word that p begins with.
func parseWord(p []byte) (w word, ok bool) {
	rest := p[2:]
	n := bytes.IndexByte(rest, '?')
	if n <= 0 || n+2 >= len(rest) || rest[n+2] != '?' {
		return w, false
	}
	w.charset = rest[:n]
	if star := bytes.IndexByte(w.charset, '*'); star > 0 { // a language (RFC 2231 section 5)
		w.charset = w.charset[:star]
	}
	switch rest[n+1] {
	case 'b', 'B':
		w.base64 = true
	case 'q', 'Q':
	default:
		return w, false
	}
	rest = rest[n+3:]
	end := bytes.Index(rest, []byte("?="))
	if end < 0 || bytes.Contains(rest[:end], []byte("=?")) { // it was cut, and another one begins
		return w, false
	}
	w.text = rest[:end]
	w.size = len(p) - len(rest) + end + 2
	return w, true
}

// appendTo appends the octets that w stands for.
func (w *word) appendTo(dst []byte) []byte {
	if w.base64 {
		var d message.Decoder
		d.Reset(message.EncodingBase64)
		return d.Finish(d.Append(dst, w.text))
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		if c == '_' {
			c = ' '
		} else if c == '=' {
			if v, ok := hexOctet(w.text[i+1:]); ok {
				c = v
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// hexOctet returns the octet that two hex digits stand for.
func hexOctet(p []byte) (byte, bool) {
	if len(p) < 2 {
		return 0, false
	}
	hi, lo := hexDigit(p[0]), hexDigit(p[1])
	return hi<<4 | lo, hi < 16 && lo < 16
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// appendUTF8 appends p, taken for UTF-8 if it is any.
func appendUTF8(dst, p []byte) []byte {
	if asciiLen(p) == len(p) || utf8.Valid(p) {
		return append(dst, p...)
	}
	return appendLatin(dst, p)
}

// appendLatin appends octets of nobody knows what charset, taken for the one that
// they are most often in.
func appendLatin(dst, p []byte) []byte {
	for _, c := range p {
		dst = utf8.AppendRune(dst, charmap.Windows1252.DecodeByte(c))
	}
	return dst
}
