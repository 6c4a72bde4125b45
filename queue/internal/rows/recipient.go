package rows

import (
	"encoding/binary"
	"math"

	"postrider/internal/mail"
)

// Recipient is the value of a recipient's row: what is left of it between two
// attempts. A recipient that has ended has no row.
type Recipient struct {
	State        uint8
	Flags        uint8
	Version      uint32
	Attempts     uint16
	DueUnixMilli int64
	Code         uint16 // of the last reply; 0 when there was none
	Enhanced     mail.Enhanced
	Text         []byte // of the last reply
	Domain       []byte // lower-cased; so that loading the schedule reads no other row
	Flow         []byte // whose mail it is
	Via          []byte // by which way it goes
	Band         uint8
}

// AppendRecipient appends r's row value.
func AppendRecipient(dst []byte, r *Recipient) []byte {
	dst = append(dst, Version, r.State, r.Flags)
	dst = binary.AppendUvarint(dst, uint64(r.Version))
	dst = binary.AppendUvarint(dst, uint64(r.Attempts))
	dst = binary.AppendVarint(dst, r.DueUnixMilli)
	dst = binary.AppendUvarint(dst, uint64(r.Code))
	dst = append(dst, r.Enhanced.Class)
	dst = binary.AppendUvarint(dst, uint64(r.Enhanced.Subject))
	dst = binary.AppendUvarint(dst, uint64(r.Enhanced.Detail))
	for _, b := range [...][]byte{r.Domain, r.Text, r.Flow, r.Via} {
		dst = binary.AppendUvarint(dst, uint64(len(b)))
		dst = append(dst, b...)
	}
	return append(dst, r.Band)
}

// ParseRecipient reads a row value into r, whose slices alias it.
func ParseRecipient(value []byte, r *Recipient) error {
	c := cursor{p: value}
	if err := c.version(); err != nil {
		return err
	}
	version := value[0]
	r.State, r.Flags = c.byte(), c.byte()
	r.Version = uint32(c.most(math.MaxUint32))
	r.Attempts = uint16(c.most(math.MaxUint16))
	r.DueUnixMilli = c.varint()
	r.Code = uint16(c.most(math.MaxUint16))
	r.Enhanced.Class = c.byte()
	r.Enhanced.Subject = uint16(c.most(math.MaxUint16))
	r.Enhanced.Detail = uint16(c.most(math.MaxUint16))
	r.Domain = c.bytes()
	r.Text = c.bytes()
	r.Flow, r.Via, r.Band = nil, nil, 0
	if version > 1 {
		r.Flow, r.Via, r.Band = c.bytes(), c.bytes(), c.byte()
	}
	if c.bad || len(c.p) != 0 {
		return ErrMalformed
	}
	return nil
}

// Location says where the text of a moved message is: in a cold segment, or in
// a file of its own.
type Location struct {
	Large   bool
	Segment uint32
	Offset  int64
}

// The first byte of a Location.
const (
	locationCold  = 'c'
	locationLarge = 'l'
)

// AppendLocation appends l as it stands in a message row.
func AppendLocation(dst []byte, l Location) []byte {
	if l.Large {
		return append(dst, locationLarge)
	}
	dst = append(dst, locationCold)
	dst = binary.AppendUvarint(dst, uint64(l.Segment))
	return binary.AppendUvarint(dst, uint64(l.Offset))
}

// ParseLocation reads a Location.
func ParseLocation(b []byte) (Location, error) {
	c := cursor{p: b}
	switch c.byte() {
	case locationLarge:
		if len(c.p) != 0 {
			return Location{}, ErrMalformed
		}
		return Location{Large: true}, nil
	case locationCold:
		l := Location{Segment: uint32(c.most(math.MaxUint32)), Offset: int64(c.most(math.MaxInt64))}
		if c.bad || len(c.p) != 0 {
			return Location{}, ErrMalformed
		}
		return l, nil
	}
	return Location{}, ErrMalformed
}

// cursor reads fields from the front of p; after the first that does not fit
// all others read as zero.
type cursor struct {
	p   []byte
	bad bool
}

func (c *cursor) version() error {
	switch v := c.byte(); {
	case c.bad || v == 0:
		return ErrMalformed
	case v > Version:
		return ErrVersion
	}
	return nil
}

func (c *cursor) byte() byte {
	if len(c.p) == 0 {
		c.bad = true
		return 0
	}
	b := c.p[0]
	c.p = c.p[1:]
	return b
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.p)
	if n <= 0 {
		c.bad, c.p = true, nil
		return 0
	}
	c.p = c.p[n:]
	return v
}

func (c *cursor) most(limit uint64) uint64 {
	v := c.uvarint()
	if v > limit {
		c.bad, c.p = true, nil
		return 0
	}
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.p)
	if n <= 0 {
		c.bad, c.p = true, nil
		return 0
	}
	c.p = c.p[n:]
	return v
}

func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.p)) {
		c.bad, c.p = true, nil
		return nil
	}
	b := c.p[:n:n]
	c.p = c.p[n:]
	return b
}
