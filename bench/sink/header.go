package sink

import (
	"bytes"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"postrider/bench/ledger"
)

// parseDuty reads r<seq>.<n>@domain.
func parseDuty(p []byte) duty {
	seq, n, ok := ledger.ParseRecipient(p)
	return duty{seq: seq, n: uint32(n), none: !ok}
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// benchHeader finds the X-Bench header of a text, and hashes its body.
type benchHeader struct {
	line   []byte // the beginning of a header line that is not complete
	inBody bool
	found  bool
	digest xxhash.Digest
	ledger.Header
}

func (b *benchHeader) reset() {
	b.line = b.line[:0]
	b.inBody, b.found = false, false
	b.Header = ledger.Header{}
	b.digest.Reset()
}

// maxHeaderLine is how much of a header line is kept; X-Bench is shorter.
const maxHeaderLine = 256

// add looks at a piece of the text.
func (b *benchHeader) add(p []byte, hash bool) {
	for !b.inBody {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			b.line = append(b.line, p[:min(len(p), max(0, maxHeaderLine-len(b.line)))]...)
			return
		}
		line := p[:i]
		if len(b.line) > 0 {
			b.line = append(b.line, line[:min(len(line), max(0, maxHeaderLine-len(b.line)))]...)
			line = b.line
		}
		b.header(line)
		b.line = b.line[:0]
		p = p[i+1:]
	}
	if hash {
		// Digest.Write can't fail.
		_, _ = b.digest.Write(p)
	}
}

// finish is called at the end of the text.
func (b *benchHeader) finish() {
	if len(b.line) > 0 {
		b.header(b.line)
	}
}

// header takes a line: X-Bench, or the empty one that ends the header.
func (b *benchHeader) header(line []byte) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) == 0 {
		b.inBody = true
		return
	}
	const name = ledger.HeaderName
	if b.found || len(line) < len(name) || line[0]|0x20 != 'x' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return
	}
	b.Header, b.found = ledger.ParseHeader(line[len(name):])
}
