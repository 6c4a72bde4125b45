package mail

import (
	"encoding/binary"
	"errors"
	"time"
)

// ID names one accepted message for as long as anybody may ask about it. Its
// bytes are, big endian: 48 bits of Unix milliseconds, 16 bits of node, 32 bits
// of incarnation (drawn anew at every start of a queue) and a 32-bit counter, so
// ids sort by time and are never issued twice, whatever the clock or a restored
// backup does.
type ID [16]byte

// IDTextLen is the length of an ID as text.
const IDTextLen = 26

// ErrID reports text that is not an ID.
var ErrID = errors.New("not a message id")

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// MakeID assembles an ID from its parts. unixMilli is cut to 48 bits.
func MakeID(unixMilli int64, node uint16, incarnation, counter uint32) ID {
	var id ID
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(unixMilli))
	copy(id[:6], ms[2:])
	binary.BigEndian.PutUint16(id[6:], node)
	binary.BigEndian.PutUint32(id[8:], incarnation)
	binary.BigEndian.PutUint32(id[12:], counter)
	return id
}

// AppendText appends the 26 characters of Crockford's base 32 that write id.
func (id ID) AppendText(dst []byte) []byte {
	hi := binary.BigEndian.Uint64(id[:8])
	lo := binary.BigEndian.Uint64(id[8:])
	var t [IDTextLen]byte
	for i := IDTextLen - 1; i >= 0; i-- {
		t[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return append(dst, t[:]...)
}

// String returns the id as text. It allocates; hot paths use AppendText.
func (id ID) String() string { return string(id.AppendText(nil)) }

// Time returns the moment, to the millisecond, at which the id was issued.
func (id ID) Time() time.Time {
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:])))
}

// IsZero reports whether id is the zero value, which names no message.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders ids by their bytes: by time first.
func (id ID) Compare(other ID) int {
	a, b := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(other[:8])
	if a == b {
		a, b = binary.BigEndian.Uint64(id[8:]), binary.BigEndian.Uint64(other[8:])
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// ParseID reads 26 characters as AppendText writes them; lower case is taken too.
func ParseID[T string | []byte](text T) (ID, error) {
	var id ID
	if len(text) != IDTextLen {
		return id, ErrID
	}
	var hi, lo uint64
	for i := 0; i < IDTextLen; i++ {
		v := crockfordValue(text[i])
		if v > 31 || (i == 0 && v > 7) { // 26 x 5 bits are 130: the first digit holds 3
			return ID{}, ErrID
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, nil
}

func crockfordValue(c byte) byte {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	for i := 0; i < len(crockford); i++ {
		if crockford[i] == c {
			return byte(i)
		}
	}
	return 255
}
