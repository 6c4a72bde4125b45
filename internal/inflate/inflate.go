// Package inflate decodes a DEFLATE stream (RFC 1951) that never ends and arrives in
// pieces, as RFC 4978 has it.
//
// What compress/flate's reader does not do, and what a server with many sessions needs:
//
//   - each octet is given as soon as its bits have come, whatever kind of flush, or none,
//     followed;
//   - between two pieces there is no memory but the window, which is as large as what
//     was decoded so far, at most 32 KiB; the tables of a block are lent by a Pool;
//   - output is bounded by the room that the caller gives, so that a bomb is only a long
//     text.
//
// # Concurrency
//
// A Decoder belongs to one goroutine. A Pool is safe for concurrent use.
package inflate

import (
	"errors"
	"io"
	"sync"
)

// ErrCorrupt reports a stream that is none.
var ErrCorrupt = errors.New("compressed data is broken")

// maxWindow is how far back a match may reach.
const maxWindow = 32 << 10

// firstWindow is the window of a decoder that has decoded little.
const firstWindow = 512

// Pool lends tables to decoders.
type Pool struct{ tables sync.Pool }

func (p *Pool) get() *tables {
	if t, ok := p.tables.Get().(*tables); ok {
		return t
	}
	return new(tables)
}

// phase is what comes next in the stream.
type phase uint8

const (
	atHeader phase = iota // of a block
	atStored              // length of a stored block
	inStored
	atCounts  // of a dynamic block's code lengths
	inCodes   // lengths of the code that the lengths are in
	inLengths // of literals and distances
	inBlock
	inMatch
	atEnd // of the last block
)

// Decoder decodes one stream.
type Decoder struct {
	pool *Pool
	t    *tables // nil: no block is being decoded

	hold  uint64 // bits that were read and not taken, the first lowest
	bits  uint   // how many
	phase phase
	final bool // the block is the last one

	window []byte // a ring once it is maxWindow long; its length is a power of two
	total  int    // octets decoded, modulo nothing that matters: see push

	length   int // octets left of a match or of a stored block
	distance int
}

// NewDecoder returns a decoder at the beginning of a stream.
func NewDecoder(p *Pool) *Decoder { return &Decoder{pool: p} }

// Close gives back what was lent.
func (d *Decoder) Close() { d.drop() }

func (d *Decoder) drop() {
	if d.t != nil {
		d.pool.tables.Put(d.t)
		d.t = nil
	}
}

// Window returns the size of the memory that the decoder keeps.
func (d *Decoder) Window() int { return len(d.window) }

// Decode decodes octets of src into dst until one of them is used up, and returns how
// many of each it has used. io.EOF is the end of the stream.
func (d *Decoder) Decode(dst, src []byte) (n, used int, err error) {
	start := len(src)
	for {
		src = d.load(src)
		var more bool
		switch d.phase {
		case atHeader:
			more, err = d.header()
		case atStored:
			more, err = d.storedLength()
		case inStored:
			src, n, more = d.stored(dst, src, n)
		case atCounts:
			more, err = d.counts()
		case inCodes:
			more, err = d.codes()
		case inLengths:
			more, err = d.lengths()
		case inBlock:
			src, n, more, err = d.block(dst, src, n)
		case inMatch:
			n, more = d.match(dst, n)
		case atEnd:
			return n, start - len(src), io.EOF
		}
		// A phase that has taken bits may go on with what is left of src.
		if err != nil || !more && (len(src) == 0 || n == len(dst) || d.bits > 56) {
			return n, start - len(src), err
		}
	}
}

// load takes octets into the bits at hand, up to 56 of these.
func (d *Decoder) load(src []byte) []byte {
	for d.bits <= 56 && len(src) > 0 {
		d.hold |= uint64(src[0]) << d.bits
		d.bits += 8
		src = src[1:]
	}
	return src
}

// take takes n bits, of which there must be so many.
func (d *Decoder) take(n uint) uint {
	v := uint(d.hold) & (1<<n - 1)
	d.hold >>= n
	d.bits -= n
	return v
}

// header reads the three bits before a block.
func (d *Decoder) header() (more bool, err error) {
	if d.bits < 3 {
		return false, nil
	}
	d.final = d.take(1) == 1
	switch d.take(2) {
	case 0:
		d.take(d.bits & 7) // up to the end of the octet
		d.phase = atStored
	case 1:
		d.t = d.pool.get()
		d.t.fixed()
		d.phase = inBlock
	case 2:
		d.t = d.pool.get()
		d.phase = atCounts
	default:
		return false, ErrCorrupt
	}
	return true, nil
}

func (d *Decoder) storedLength() (more bool, err error) {
	if d.bits < 32 {
		return false, nil
	}
	length, inverted := d.take(16), d.take(16)
	if length^0xffff != inverted {
		return false, ErrCorrupt
	}
	d.length, d.phase = int(length), inStored
	return true, nil
}

// stored copies a stored block, first what is among the bits.
func (d *Decoder) stored(dst, src []byte, n int) ([]byte, int, bool) {
	for d.length > 0 && d.bits >= 8 && n < len(dst) {
		dst[n] = byte(d.take(8))
		d.push(dst[n])
		n++
		d.length--
	}
	if d.bits < 8 {
		m := min(d.length, len(src), len(dst)-n)
		for _, c := range src[:m] {
			dst[n] = c
			d.push(c)
			n++
		}
		src = src[m:]
		d.length -= m
	}
	if d.length > 0 {
		return src, n, n < len(dst) && (d.bits >= 8 || len(src) > 0)
	}
	d.next()
	return src, n, true
}

// next goes on behind a block.
func (d *Decoder) next() {
	d.drop()
	d.phase = atHeader
	if d.final {
		d.phase = atEnd
	}
}

// push adds an octet to the window.
func (d *Decoder) push(c byte) {
	if d.total >= len(d.window) && len(d.window) < maxWindow {
		d.grow()
	}
	d.window[d.total&(len(d.window)-1)] = c
	if d.total++; d.total == 2*maxWindow {
		d.total = maxWindow // the same place, and full
	}
}

func (d *Decoder) grow() {
	wide := make([]byte, max(2*len(d.window), firstWindow))
	copy(wide, d.window)
	d.window = wide
}
