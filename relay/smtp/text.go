package smtp

import "bytes"

// crlf is what the Normalize mode puts in the place of a bare CR or LF. It is
// handed out and must not be written to.
var crlf = []byte("\r\n")

// textState is where in the text a TextReader stands.
type textState uint8

const (
	atLine   textState = iota // at the start of a line: after CRLF or at the very start
	inLine                    // within a line
	afterCR                   // after a CR, which was handed out
	afterDot                  // after a dot at the start of a line, held back
	dotCR                     // after such a dot and a CR, both held back
)

// TextReader takes the text of a message off the wire in bulk: it finds the end,
// undoes dot-stuffing (RFC 5321 section 4.5.2), and notices what must not be in a
// text. Only CRLF "." CRLF ends a text, its first CRLF being the one behind DATA
// when nothing stands before the dot; a CR or an LF alone is never a line's end,
// whatever some other server may take it for.
//
// The zero value reads the text of DATA and notices bare CR and LF.
type TextReader struct {
	// Chunk reads the text of BDAT, in which dots mean nothing and the end is
	// known by count (RFC 3030 section 2).
	Chunk bool
	// Normalize makes a bare CR or LF a CRLF.
	Normalize bool

	// Bare says that a CR without LF or an LF without CR was met (unless
	// Normalize). What Next hands out from then on is of no use.
	Bare bool
	// NUL says that a NUL was met.
	NUL bool

	state textState
}

// Next takes octets from p and returns those that are text: a part of p or of a
// constant, to be read only. n says how many octets of p are done with; it can be
// zero while text is not empty. end says that the text is over; what follows n
// is not part of it. Call it until p is used up.
func (t *TextReader) Next(p []byte) (text []byte, n int, end bool) {
	if len(p) == 0 {
		return nil, 0, false
	}
	switch t.state {
	case atLine:
		if p[0] == '.' && !t.Chunk {
			if len(p) > 2 && p[1] == '\r' && p[2] == '\n' {
				t.state = atLine
				return nil, 3, true
			}
			t.state = afterDot
			return nil, 1, false
		}
	case afterDot: // the dot was stuffing, whatever follows, unless CRLF does
		if p[0] == '\r' {
			t.state = dotCR
			return nil, 1, false
		}
	case dotCR:
		if p[0] == '\n' {
			t.state = atLine
			return nil, 1, true
		}
		t.state = inLine // the CR is text, and it is bare
		if t.Normalize {
			return crlf, 0, false
		}
		t.Bare = true
	case afterCR:
		t.state = inLine
		if p[0] == '\n' {
			return t.lines(p, 1)
		}
		if t.Normalize {
			return crlf[1:], 0, false
		}
		t.Bare = true
	}
	t.state = inLine
	return t.lines(p, 0)
}

// lines takes whole lines and the part of one, up to a dot that must be looked
// at. p[:i] is done; when i is not 0 a line ends there.
func (t *TextReader) lines(p []byte, i int) ([]byte, int, bool) {
	if i > 0 && t.stop(p, i) {
		return t.hand(p, i, atLine)
	}
	for {
		j := bytes.IndexByte(p[i:], '\n')
		if j < 0 {
			return t.tail(p, i)
		}
		line := p[i : i+j]
		if j == 0 || line[j-1] != '\r' || bytes.IndexByte(line[:j-1], '\r') >= 0 {
			if t.Normalize {
				return t.mend(p, i)
			}
			t.Bare = true
			if j == 0 || line[j-1] != '\r' {
				i += j + 1
				if i == len(p) {
					return t.hand(p, i, inLine)
				}
				continue
			}
		}
		i += j + 1
		if t.stop(p, i) {
			return t.hand(p, i, atLine)
		}
	}
}

// stop reports whether what follows the line that ends at i needs a look.
func (t *TextReader) stop(p []byte, i int) bool {
	return i == len(p) || p[i] == '.' && !t.Chunk
}

// tail takes the last piece of p, which holds no LF.
func (t *TextReader) tail(p []byte, i int) ([]byte, int, bool) {
	switch k := bytes.IndexByte(p[i:], '\r'); {
	case k < 0:
		return t.hand(p, len(p), inLine)
	case i+k == len(p)-1:
		return t.hand(p, len(p), afterCR)
	case t.Normalize:
		return t.hand(p, i+k+1, afterCR)
	}
	t.Bare = true
	if p[len(p)-1] == '\r' {
		return t.hand(p, len(p), afterCR)
	}
	return t.hand(p, len(p), inLine)
}

// mend hands out the text before the first bare CR or LF of the line at i, or the
// CRLF for it when it is next.
func (t *TextReader) mend(p []byte, i int) ([]byte, int, bool) {
	k := i + bytes.IndexAny(p[i:], "\r\n")
	if p[k] == '\r' {
		return t.hand(p, k+1, afterCR) // Next gives the missing LF
	}
	if k > 0 {
		return t.hand(p, k, inLine) // without its LF, for which the next call comes
	}
	return crlf, 1, false
}

func (t *TextReader) hand(p []byte, n int, s textState) ([]byte, int, bool) {
	t.state = s
	if !t.NUL && bytes.IndexByte(p[:n], 0) >= 0 {
		t.NUL = true
	}
	return p[:n], n, false
}

// Finish says that the last chunk was read and returns text that is still due.
func (t *TextReader) Finish() []byte {
	if t.state != afterCR {
		return nil
	}
	t.state = inLine
	if t.Normalize {
		return crlf[1:]
	}
	t.Bare = true
	return nil
}
