package imapwire

import (
	"bytes"
	"math"
)

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
