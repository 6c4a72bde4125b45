package imapwire

import (
	"bytes"
	"math"
)

// MaxDepth is how deep parentheses may nest in a command.
const MaxDepth = 50

// Decoder takes a command apart. Its methods report false, and stand where they
// stood, when what comes next is not what they are for. The slices that they return
// are valid as long as the one given to Reset.
type Decoder struct {
	b     []byte
	i     int
	depth int
}

// Reset begins with b, which is a command, or what follows its name, without the CRLF
// at its end. Quoted strings are unescaped in it.
func (d *Decoder) Reset(b []byte) { *d = Decoder{b: b} }

// End reports that nothing is left.
func (d *Decoder) End() bool { return d.i == len(d.b) }

// Peek returns the next octet, 0 at the end.
func (d *Decoder) Peek() byte {
	if d.i < len(d.b) {
		return d.b[d.i]
	}
	return 0
}

// Rest returns what is left.
func (d *Decoder) Rest() []byte { return d.b[d.i:] }

// Offset returns how much was taken.
func (d *Decoder) Offset() int { return d.i }

// Seek goes back to a place that Offset told.
func (d *Decoder) Seek(offset int) { d.i = min(max(offset, 0), len(d.b)) }

// SP takes one space.
func (d *Decoder) SP() bool { return d.Byte(' ') }

// Byte takes c.
func (d *Decoder) Byte(c byte) bool {
	if d.i < len(d.b) && d.b[d.i] == c {
		d.i++
		return true
	}
	return false
}

// Enter takes "(". It reports false also where parentheses nest too deep.
func (d *Decoder) Enter() bool {
	if d.depth >= MaxDepth || !d.Byte('(') {
		return false
	}
	d.depth++
	return true
}

// Leave takes the ")" of an Enter.
func (d *Decoder) Leave() bool {
	if d.depth == 0 || !d.Byte(')') {
		return false
	}
	d.depth--
	return true
}

// Deeper counts a nesting that has no parentheses, such as NOT's; it reports false
// when that is too deep. Shallower takes it back.
func (d *Decoder) Deeper() bool {
	if d.depth >= MaxDepth {
		return false
	}
	d.depth++
	return true
}

// Shallower takes back a Deeper.
func (d *Decoder) Shallower() { d.depth-- }

// take returns the octets, at least one, for which f holds.
func (d *Decoder) take(f func(c byte) bool) ([]byte, bool) {
	i := d.i
	for i < len(d.b) && f(d.b[i]) {
		i++
	}
	if i == d.i {
		return nil, false
	}
	b := d.b[d.i:i:i]
	d.i = i
	return b, true
}

// special reports an atom-special (RFC 9051 section 9), or an octet that is not ASCII.
func special(c byte) bool {
	switch c {
	case '(', ')', '{', ' ', '%', '*', '"', '\\', ']':
		return true
	}
	return c < ' ' || c >= 0x7f
}

// Atom takes an atom.
func (d *Decoder) Atom() ([]byte, bool) {
	return d.take(func(c byte) bool { return !special(c) })
}

// Word takes an atom that also ends before "[" and "<": the name of an item of FETCH.
func (d *Decoder) Word() ([]byte, bool) {
	return d.take(func(c byte) bool { return !special(c) && c != '[' && c != '<' })
}

// Tag takes a tag, or the name of a command.
func (d *Decoder) Tag() ([]byte, bool) {
	return d.take(func(c byte) bool { return (!special(c) || c == ']') && c != '+' })
}

// Flag takes a keyword, or a flag with its backslash. "\*" is none.
func (d *Decoder) Flag() ([]byte, bool) {
	i := d.i
	d.Byte('\\')
	if _, ok := d.Atom(); !ok {
		d.i = i
		return nil, false
	}
	return d.b[i:d.i:d.i], true
}

// AString takes an astring: an atom, in which "]" is allowed, or a string.
func (d *Decoder) AString() ([]byte, bool) {
	if c := d.Peek(); c == '"' || c == '{' {
		return d.String()
	}
	return d.take(func(c byte) bool { return !special(c) || c == ']' })
}

// ListMailbox takes the pattern of LIST: an astring with wildcards.
func (d *Decoder) ListMailbox() ([]byte, bool) {
	if c := d.Peek(); c == '"' || c == '{' {
		return d.String()
	}
	return d.take(func(c byte) bool { return !special(c) || c == ']' || c == '%' || c == '*' })
}

// NString takes a string or NIL, for which it returns nil.
func (d *Decoder) NString() ([]byte, bool) {
	if c := d.Peek(); c == '"' || c == '{' {
		return d.String()
	}
	i := d.i
	if a, ok := d.Atom(); ok && Is(a, "NIL") {
		return nil, true
	}
	d.i = i
	return nil, false
}

// String takes a quoted string or a literal. It is never nil.
func (d *Decoder) String() ([]byte, bool) {
	switch d.Peek() {
	case '"':
		return d.quoted()
	case '{':
		return d.literal()
	}
	return nil, false
}

// String8 takes a string or a literal8 (RFC 3516 section 4.1).
func (d *Decoder) String8() ([]byte, bool) {
	if d.Peek() == '~' && d.i+1 < len(d.b) && d.b[d.i+1] == '{' {
		d.i++
		b, ok := d.literal()
		if !ok {
			d.i--
		}
		return b, ok
	}
	return d.String()
}

// quoted takes a quoted string. What is in it may be UTF-8 (RFC 6855 section 3),
// whether that was enabled or not: who takes it looks at that.
func (d *Decoder) quoted() ([]byte, bool) {
	rest := d.b[d.i+1:]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return nil, false
	}
	if bytes.IndexByte(rest[:end], '\\') < 0 { // the usual case: nothing to unescape
		if bad(rest[:end]) {
			return nil, false
		}
		d.i += end + 2
		return rest[:end:end], true
	}
	// Look for the end before anything is written.
	for end = 0; end < len(rest) && rest[end] != '"'; end++ {
		if rest[end] == '\\' {
			if end++; end == len(rest) || rest[end] != '"' && rest[end] != '\\' {
				return nil, false
			}
		}
	}
	if end == len(rest) || bad(rest[:end]) {
		return nil, false
	}
	d.i += end + 2
	n := 0
	for i := 0; i < end; i++ {
		if rest[i] == '\\' {
			i++
		}
		rest[n] = rest[i]
		n++
	}
	return rest[:n:n], true
}

// bad reports an octet that no quoted string may hold.
func bad(b []byte) bool {
	for _, c := range b {
		if c == 0 || c == '\r' || c == '\n' {
			return true
		}
	}
	return false
}

// literal takes a literal that is in the slice. It may not hold NUL (RFC 9051 section
// 9: CHAR8), but in binary it may.
func (d *Decoder) literal() ([]byte, bool) {
	binary := d.i > 0 && d.b[d.i-1] == '~'
	h, ok := ParseLiteral(d.b[d.i:])
	if !ok || h.Size > int64(len(d.b)-d.i-h.Len) {
		return nil, false
	}
	from := d.i + h.Len
	to := from + int(h.Size)
	b := d.b[from:to:to]
	if !binary && bytes.IndexByte(b, 0) >= 0 {
		return nil, false
	}
	d.i = to
	return b, true
}

// Literal takes the header of a literal at the very end of the slice, without its
// CRLF: the octets of the literal have not been read yet.
func (d *Decoder) Literal() (h LiteralHeader, ok bool) {
	h, ok = ParseTail(d.b[d.i:])
	if !ok || h.Len != len(d.b)-d.i {
		return LiteralHeader{}, false
	}
	d.i = len(d.b)
	return h, true
}

// Number takes a number of 32 bits.
func (d *Decoder) Number() (uint32, bool) {
	i := d.i
	n, ok := d.Number64()
	if !ok || n > math.MaxUint32 {
		d.i = i
		return 0, false
	}
	return uint32(n), true
}

// Number64 takes a number of 63 bits (RFC 9051 section 9: number64).
func (d *Decoder) Number64() (uint64, bool) {
	n, used, ok := parseNumber(d.b[d.i:])
	if !ok {
		return 0, false
	}
	d.i += used
	return n, true
}

// parseNumber reads the digits at the start of b.
func parseNumber(b []byte) (n uint64, used int, ok bool) {
	for used < len(b) && b[used] >= '0' && b[used] <= '9' {
		digit := uint64(b[used] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, 0, false
		}
		n = n*10 + digit
		used++
	}
	return n, used, used > 0
}

// Is compares with a word in capitals, whatever the case of b's ASCII letters.
func Is(b []byte, upper string) bool {
	if len(b) != len(upper) {
		return false
	}
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
