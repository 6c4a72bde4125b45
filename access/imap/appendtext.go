package imap

import (
	"bytes"
	"io"

	"postrider/access/imapwire"
)

// stream reads a literal, and goes on behind it. It reports false when the session has
// ended.
func (a *appending) stream(h imapwire.LiteralHeader, to io.Writer) bool {
	// What is wrong with the octets is in a.fail.
	_, lost := a.s.streamLiteral(h, to)
	a.over = lost || !a.s.nextPiece(a.c)
	return !a.over
}

// taker takes the octets of a literal into a message.
type taker struct {
	a      *appending
	m      *appended
	binary bool
}

// Write never fails: the literal has to be read to its end.
func (t taker) Write(p []byte) (int, error) {
	t.a.take(t.m, t.binary, p)
	return len(p), nil
}

// take takes octets of a literal. A LF without CR becomes a line's end, as everything
// that the store holds has it; only a literal8 is kept octet for octet, and only there NUL
// may be (RFC 9051 section 4.3, RFC 3516 section 4.4).
func (a *appending) take(m *appended, binary bool, p []byte) {
	if !a.fail.good() {
		return
	}
	if binary {
		a.write(m, p)
		return
	}
	if bytes.IndexByte(p, 0) >= 0 {
		a.wrong(no("CANNOT", "NUL may only be in a literal8"))
		return
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		if bare := i == 0 && !m.cr || i > 0 && p[i-1] != '\r'; bare {
			a.write(m, p[:i])
			a.write(m, []byte("\r\n"))
		} else {
			a.write(m, p[:i+1])
		}
		p, m.cr = p[i+1:], false
	}
	if len(p) > 0 {
		m.cr = p[len(p)-1] == '\r'
		a.write(m, p)
	}
}

func (a *appending) write(m *appended, p []byte) {
	if !a.fail.good() {
		return
	}
	if _, err := m.draft.Write(p); err != nil {
		a.wrong(a.s.trouble(err))
	}
}
