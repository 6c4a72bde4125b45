// Package rows is the written form of what the queue keeps in Pebble: messages
// that have outlived their stay in the hot spool, the state of each of their
// recipients, the indexes over them, and a few rows about the store itself. It
// does no I/O.
//
// # Concurrency
//
// Everything here is a function of its arguments.
//
// # Format
//
// docs/formats.md describes every key and value ("Pebble rows"). Integers in
// keys are big endian, so that rows sort by message id, then recipient.
package rows

import (
	"encoding/binary"
	"errors"
	"math"

	"postrider/internal/mail"
)

// Version is the version of the rows as a whole; it is the value of KeyVersion
// and the first byte of each recipient row. A recipient's row of version 1 ends
// without flow, way and band.
const Version = 2

var (
	// ErrMalformed reports a row that this software cannot have written.
	ErrMalformed = errors.New("malformed row")
	// ErrVersion reports a row of a newer version.
	ErrVersion = errors.New("row version is newer than this software")
)

// The first byte of every key.
const (
	PrefixMessage      = 'm' // id -> record.AppendMessageHead with a Location in the place of the large file's name
	PrefixRecipient    = 'r' // id, recipient -> Recipient
	PrefixSender       = 's' // sender's domain, 0, id -> Tag of the sender
	PrefixDomain       = 'd' // recipient's domain, 0, id, recipient -> Tag of the address
	PrefixReason       = 'c' // code, enhanced code, id, recipient -> nothing
	PrefixCold         = 'x' // number of a cold segment -> bytes in it, bytes dead
	PrefixApplied      = 'a' // -> LSN
	PrefixStoreVersion = 'v' // -> Version
)

const (
	idLen   = 16
	rcptLen = 4
	// maxDomain is what an index key keeps of a domain. A longer one cannot be
	// resolved; cutting it costs a listing a few wrong candidates.
	maxDomain = 255
)

// Message appends the key of a message.
func Message(dst []byte, id mail.ID) []byte { return append(append(dst, PrefixMessage), id[:]...) }

// Recipients appends the prefix of the keys of a message's recipients.
func Recipients(dst []byte, id mail.ID) []byte {
	return append(append(dst, PrefixRecipient), id[:]...)
}

// RecipientKey appends the key of one recipient.
func RecipientKey(dst []byte, id mail.ID, rcpt uint32) []byte {
	return binary.BigEndian.AppendUint32(Recipients(dst, id), rcpt)
}

// SenderPrefix appends what the index keys of a sender's domain begin with.
func SenderPrefix(dst, sender []byte) []byte {
	return domainPrefix(append(dst, PrefixSender), mail.DomainOf(sender))
}

// DomainPrefix appends what the index keys of a recipient's domain begin with.
func DomainPrefix(dst, domain []byte) []byte { return domainPrefix(append(dst, PrefixDomain), domain) }

func domainPrefix(dst, domain []byte) []byte {
	if len(domain) > maxDomain {
		domain = domain[:maxDomain]
	}
	return append(AppendLower(dst, domain), 0)
}

// ReasonPrefix appends what the index keys of a reply begin with.
func ReasonPrefix(dst []byte, code uint16, e mail.Enhanced) []byte {
	dst = ReasonCodePrefix(dst, code)
	dst = append(dst, e.Class)
	dst = binary.BigEndian.AppendUint16(dst, e.Subject)
	return binary.BigEndian.AppendUint16(dst, e.Detail)
}

// ReasonCodePrefix is ReasonPrefix for all enhanced codes of a basic code.
func ReasonCodePrefix(dst []byte, code uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, PrefixReason), code)
}

// WithID appends an id to an index prefix.
func WithID(dst []byte, id mail.ID) []byte { return append(dst, id[:]...) }

// WithRecipient appends an id and a recipient to an index prefix.
func WithRecipient(dst []byte, id mail.ID, rcpt uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, id[:]...), rcpt)
}

// Cold appends the key of a cold segment's counters.
func Cold(dst []byte, segment uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, PrefixCold), segment)
}

// AppendCounters appends the value of a Cold row.
func AppendCounters(dst []byte, total, dead int64) []byte {
	dst = append(dst, Version)
	dst = binary.AppendUvarint(dst, uint64(total))
	return binary.AppendUvarint(dst, uint64(dead))
}

// ParseCold reads a Cold row.
func ParseCold(key, value []byte) (segment uint32, total, dead int64, err error) {
	c := cursor{p: value}
	if err := c.version(); err != nil {
		return 0, 0, 0, err
	}
	total, dead = int64(c.uvarint()), int64(c.uvarint())
	if c.bad || len(c.p) != 0 || len(key) != 1+4 || total < 0 || dead < 0 {
		return 0, 0, 0, ErrMalformed
	}
	return binary.BigEndian.Uint32(key[1:]), total, dead, nil
}

// AppendApplied appends the value of the applied row: everything in the spool
// before the place has taken effect in Pebble.
func AppendApplied(dst []byte, gen uint64, off int64) []byte {
	dst = append(dst, Version)
	dst = binary.AppendUvarint(dst, gen)
	return binary.AppendUvarint(dst, uint64(off))
}

// ParseApplied reads the value of the applied row.
func ParseApplied(value []byte) (gen uint64, off int64, err error) {
	c := cursor{p: value}
	if err := c.version(); err != nil {
		return 0, 0, err
	}
	gen, off = c.uvarint(), int64(c.uvarint())
	if c.bad || len(c.p) != 0 || off < 0 {
		return 0, 0, ErrMalformed
	}
	return gen, off, nil
}

// SplitRecipient reads id and recipient from the end of a key.
func SplitRecipient(key []byte) (mail.ID, uint32, bool) {
	var id mail.ID
	if len(key) < 1+idLen+rcptLen {
		return id, 0, false
	}
	k := key[len(key)-idLen-rcptLen:]
	copy(id[:], k)
	return id, binary.BigEndian.Uint32(k[idLen:]), true
}

// SplitID reads the id that ends a key.
func SplitID(key []byte) (mail.ID, bool) {
	var id mail.ID
	if len(key) < 1+idLen {
		return id, false
	}
	copy(id[:], key[len(key)-idLen:])
	return id, true
}

// Tag returns four bytes that tell addresses apart, folded to lower case: a
// listing by address reads only the messages whose tag fits.
func Tag(address []byte) uint32 {
	h := uint32(2166136261) // FNV-1a
	for _, c := range address {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// AppendTag appends a Tag as an index row's value.
func AppendTag(dst []byte, tag uint32) []byte { return binary.BigEndian.AppendUint32(dst, tag) }

// TagFits reports whether an index row's value is that of tag.
func TagFits(value []byte, tag uint32) bool {
	return len(value) == 4 && binary.BigEndian.Uint32(value) == tag
}

// AppendLower appends b with its ASCII letters in lower case.
func AppendLower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// After returns the least key above all that begin with prefix, in dst.
func After(dst, prefix []byte) []byte {
	dst = append(dst[:0], prefix...)
	for i := len(dst) - 1; i >= 0; i-- {
		if dst[i] != math.MaxUint8 {
			dst[i]++
			return dst[:i+1]
		}
	}
	return nil
}
