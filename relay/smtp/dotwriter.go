package smtp

import "bytes"

// AppendDotted appends text to dst as it goes out within DATA: a dot that opens a
// line is doubled (RFC 5321 section 4.5.2). lineStart says that text begins at
// the start of a line; the result says the same of what follows text. The text
// must not hold a bare LF: only then does LF mean the end of a line. TextCheck
// tells.
func AppendDotted(dst, text []byte, lineStart bool) ([]byte, bool) {
	if len(text) == 0 {
		return dst, lineStart
	}
	if lineStart && text[0] == '.' {
		dst = append(dst, '.')
	}
	end := text[len(text)-1] == '\n'
	for {
		i := bytes.Index(text, newlineDot)
		if i < 0 {
			return append(dst, text...), end
		}
		dst = append(dst, text[:i+1]...)
		dst = append(dst, '.')
		text = text[i+1:]
	}
}

var newlineDot = []byte("\n.")

// TextCheck learns, from a text given in pieces, what decides whether and how
// it may be sent. The zero value is ready.
type TextCheck struct {
	// Bare is set when a CR or LF stands alone: such a text must not be sent,
	// since servers disagree on where its lines, and so the message, end.
	Bare bool
	// EightBit is set when a byte has its high bit set.
	EightBit bool
	cr       bool // the last byte was a CR
}

// Add looks at the next piece.
func (t *TextCheck) Add(p []byte) {
	if len(p) == 0 {
		return
	}
	if t.cr && p[0] != '\n' {
		t.Bare = true
	}
	if !t.EightBit {
		t.EightBit = highBit(p)
	}
	// Every LF behind a CR, and as many CRs as LFs: then no CR is alone either.
	crs, lfs := bytes.Count(p, carriageReturn), 0
	last := p[len(p)-1] == '\r'
	if last {
		crs--
	}
	if t.cr {
		crs++
	}
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			break
		}
		lfs++
		at += i
		if at == 0 && !t.cr || at > 0 && p[at-1] != '\r' {
			t.Bare = true
			break
		}
		at++
	}
	if crs != lfs {
		t.Bare = true
	}
	t.cr = last
}

// End says that the text is over: a CR that ends it stands alone.
func (t *TextCheck) End() {
	if t.cr {
		t.Bare = true
	}
}

var carriageReturn = []byte{'\r'}

// highBit reports whether any byte of p is above 127.
func highBit(p []byte) bool {
	const high = 0x8080808080808080
	for len(p) >= 32 {
		a := loadWord(p) | loadWord(p[8:]) | loadWord(p[16:]) | loadWord(p[24:])
		if a&high != 0 {
			return true
		}
		p = p[32:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

func loadWord(p []byte) uint64 {
	_ = p[7]
	return uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
		uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
}
