package imapwire

import "math"

// LiteralHeader is what stands before the octets of a literal.
type LiteralHeader struct {
	Size int64
	// NonSync says that the client does not wait for "+" (RFC 7888).
	NonSync bool
	// Binary says that it is a literal8, whose octets may be NUL.
	Binary bool
	// Len is the length of the header itself.
	Len int
}

// ParseLiteral reads "{size}" or "{size+}" with its CRLF at the start of b. A size that
// is too large to count is the largest number there is.
func ParseLiteral(b []byte) (LiteralHeader, bool) {
	h, ok := parseHeader(b)
	if !ok || len(b) < h.Len+2 || b[h.Len] != '\r' || b[h.Len+1] != '\n' {
		return LiteralHeader{}, false
	}
	h.Len += 2
	return h, true
}

// ParseTail reads the header, with or without "~", with which line ends, if it does. A
// line is without its CRLF.
func ParseTail(line []byte) (LiteralHeader, bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return LiteralHeader{}, false
	}
	i := len(line) - 2
	if line[i] == '+' {
		i--
	}
	for i >= 0 && line[i] >= '0' && line[i] <= '9' {
		i--
	}
	if i < 0 || line[i] != '{' {
		return LiteralHeader{}, false
	}
	h, ok := parseHeader(line[i:])
	if ok && i > 0 && line[i-1] == '~' {
		h.Binary = true
		h.Len++
	}
	return h, ok
}

func parseHeader(b []byte) (h LiteralHeader, ok bool) {
	if len(b) < 3 || b[0] != '{' {
		return h, false
	}
	i := 1
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if digit := int64(b[i] - '0'); h.Size > (math.MaxInt64-digit)/10 {
			h.Size = math.MaxInt64
		} else {
			h.Size = h.Size*10 + digit
		}
	}
	if i == 1 {
		return h, false
	}
	if i < len(b) && b[i] == '+' {
		h.NonSync = true
		i++
	}
	if i == len(b) || b[i] != '}' {
		return h, false
	}
	h.Len = i + 1
	return h, true
}
