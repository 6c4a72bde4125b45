package record

import (
	"encoding/binary"
	"math"
)

// cursor reads fields from the front of p. After the first field that does not
// fit, all others read as zero.
type cursor struct {
	p   []byte
	bad bool
}

func (c *cursor) fail() { c.bad, c.p = true, nil }

func (c *cursor) err() error {
	if c.bad {
		return ErrMalformed
	}
	return nil
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) bool() bool {
	b := c.byte()
	if b > 1 {
		c.fail()
	}
	return b == 1
}

// take returns the next n bytes, capped so that appending to them copies.
func (c *cursor) take(n int) []byte {
	if n > len(c.p) {
		c.fail()
		return nil
	}
	b := c.p[:n:n]
	c.p = c.p[n:]
	return b
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.p)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.p = c.p[n:]
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.p)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.p = c.p[n:]
	return v
}

func (c *cursor) bounded(most uint64) uint64 {
	v := c.uvarint()
	if v > most {
		c.fail()
		return 0
	}
	return v
}

func (c *cursor) uint32v() uint32 { return uint32(c.bounded(math.MaxUint32)) }
func (c *cursor) uint16v() uint16 { return uint16(c.bounded(math.MaxUint16)) }
func (c *cursor) size() int64     { return int64(c.bounded(math.MaxInt64)) }
func (c *cursor) box() Box        { return Box{c.uint32v(), c.uint32v()} }

// bytes reads a length and that many bytes; nil for length zero.
func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.p)) {
		c.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	return c.take(int(n))
}
