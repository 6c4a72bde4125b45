package record

import (
	"encoding/binary"
	"math"
)

func appendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }
func appendVarint(dst []byte, v int64) []byte   { return binary.AppendVarint(dst, v) }
func appendUint32(dst []byte, v uint32) []byte  { return binary.LittleEndian.AppendUint32(dst, v) }

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// cursor reads fields from the front of p. After the first field that does not
// fit, all others read as zero and err reports it, so that callers need only
// look once, before they act on what they read.
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

// end is err, and also refuses bytes that are left over.
func (c *cursor) end() error {
	if c.bad || len(c.p) != 0 {
		return ErrMalformed
	}
	return nil
}

// version reads the leading version byte.
func (c *cursor) version() error {
	v := c.byte()
	switch {
	case c.bad || v == 0:
		return ErrMalformed
	case v > Version:
		return ErrVersion
	}
	return nil
}

func (c *cursor) byte() byte {
	if len(c.p) == 0 {
		c.fail()
		return 0
	}
	b := c.p[0]
	c.p = c.p[1:]
	return b
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

func (c *cursor) uvarint32() uint32 { return uint32(c.bounded(math.MaxUint32)) }
func (c *cursor) uvarint16() uint16 { return uint16(c.bounded(math.MaxUint16)) }

func (c *cursor) bounded(most uint64) uint64 {
	v := c.uvarint()
	if v > most {
		c.fail()
		return 0
	}
	return v
}

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
