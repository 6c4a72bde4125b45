package sink

import (
	"bytes"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// parseDuty reads r<seq>.<n>@domain.
func parseDuty(p []byte) duty {
	if len(p) < 4 || p[0] != 'r' {
		return duty{none: true}
	}
	seq, rest, ok := leadingUint(p[1:])
	if !ok || len(rest) == 0 || rest[0] != '.' {
		return duty{none: true}
	}
	n, rest, ok := leadingUint(rest[1:])
	if !ok || n > maxLedgerRcpt || len(rest) == 0 || rest[0] != '@' {
		return duty{none: true}
	}
	return duty{seq: seq, n: uint32(n)}
}

// leadingUint reads the digits that open p, at most 18.
func leadingUint(p []byte) (v uint64, rest []byte, ok bool) {
	i := 0
	for i < len(p) && i < 18 && '0' <= p[i] && p[i] <= '9' {
		v = v*10 + uint64(p[i]-'0')
		i++
	}
	return v, p[i:], i > 0
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// benchHeader finds the X-Bench header of a text, and hashes its body.
type benchHeader struct {
	line   []byte // the beginning of a header line that is not complete
	inBody bool
	found  bool
	run    uint64
	seq    uint64
	hash   uint64
	digest xxhash.Digest
}

func (b *benchHeader) reset() {
	b.line = b.line[:0]
	b.inBody, b.found = false, false
	b.run, b.seq, b.hash = 0, 0, 0
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

var benchName = []byte("X-Bench: ")

// header takes a line: "X-Bench: run,seq,intended,sent,hash", or the empty one
// that ends the header.
func (b *benchHeader) header(line []byte) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) == 0 {
		b.inBody = true
		return
	}
	value, ok := bytes.CutPrefix(line, benchName)
	if !ok || b.found {
		return
	}
	var f [4]uint64
	for i := range f {
		v, rest, ok := leadingUint(value)
		if !ok || len(rest) == 0 || rest[0] != ',' {
			return
		}
		f[i], value = v, rest[1:]
	}
	hash, ok := hexUint(value)
	if !ok {
		return
	}
	b.found, b.run, b.seq, b.hash = true, f[0], f[1], hash
}

// hexUint reads 16 hexadecimal digits.
func hexUint(p []byte) (v uint64, ok bool) {
	if len(p) != 16 {
		return 0, false
	}
	for _, c := range p {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
