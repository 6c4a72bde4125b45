package record

import "encoding/binary"

// Note is an entry of a mailbox's metadata, or of an account's (RFC 5464).
type Note struct {
	Name    []byte
	Version uint64 // of the change that it comes from
	There   bool   // false: it was removed
	Value   []byte
}

// Notes are entries that were read.
type Notes struct {
	c cursor
	n uint64
}

// Next reads the next one; false at the end.
func (l *Notes) Next(n *Note) bool {
	if l.n == 0 {
		return false
	}
	l.n--
	*n = Note{Name: l.c.bytes(), Version: l.c.uvarint(), There: l.c.bool(), Value: l.c.bytes()}
	return !l.c.bad
}

// skip checks the entries, which begin where l was made, and steps c over them.
func (l *Notes) skip(c *cursor) {
	l.c = *c
	walk := *l
	var n Note
	for walk.Next(&n) {
	}
	if *c = walk.c; walk.n > 0 {
		c.fail()
	}
}

// AppendNotes appends entries and their number.
func AppendNotes(dst []byte, notes []Note) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(notes)))
	for i := range notes {
		n := &notes[i]
		dst = appendBytes(dst, n.Name)
		dst = binary.AppendUvarint(dst, n.Version)
		dst = append(dst, boolByte(n.There))
		dst = appendBytes(dst, n.Value)
	}
	return dst
}

// ParseNotes reads what AppendNotes has written, to the end of p.
func ParseNotes(p []byte) (Notes, error) {
	c := cursor{p: p}
	l := Notes{n: c.uvarint()}
	l.skip(&c)
	if len(c.p) > 0 {
		c.fail()
	}
	return l, c.err()
}

// AppendMetadata appends a part: all entries of a mailbox, or with mailbox 0 of the
// account itself.
func AppendMetadata(dst []byte, b Box, version uint64, notes []Note) []byte {
	dst = binary.AppendUvarint(appendBox(dst, KindMetadata, b), version)
	return AppendNotes(dst, notes)
}
