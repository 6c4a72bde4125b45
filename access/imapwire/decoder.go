package imapwire

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
