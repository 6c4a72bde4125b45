package rows

import "encoding/binary"

// EntryLen is the length of an Entry's value.
const EntryLen = 56

// Entry is a message in a mailbox.
type Entry struct {
	Flags     uint32
	More      uint64 // keywords that Flags has no room for
	ModSeq    uint64
	Blob      uint64
	Variant   uint16
	Size      uint32 // prefix and text
	PrefixLen uint16
	HasUIDL   bool
	Received  int64 // Unix seconds
	Saved     int64 // Unix seconds
}

const bitUIDL = 1

// AppendEntry appends the value.
func AppendEntry(dst []byte, e *Entry) []byte {
	bits := byte(0)
	if e.HasUIDL {
		bits |= bitUIDL
	}
	le := binary.LittleEndian
	dst = append(dst, Version, bits)
	dst = le.AppendUint16(dst, e.Variant)
	dst = le.AppendUint32(dst, e.Flags)
	dst = le.AppendUint64(dst, e.More)
	dst = le.AppendUint64(dst, e.ModSeq)
	dst = le.AppendUint64(dst, e.Blob)
	dst = le.AppendUint32(dst, e.Size)
	dst = le.AppendUint16(dst, e.PrefixLen)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint64(dst, uint64(e.Received))
	return le.AppendUint64(dst, uint64(e.Saved))
}

// ParseEntry reads the value.
func ParseEntry(p []byte, e *Entry) error {
	if len(p) != EntryLen || p[0] != Version {
		return ErrMalformed
	}
	le := binary.LittleEndian
	*e = Entry{
		HasUIDL: p[1]&bitUIDL != 0, Variant: le.Uint16(p[2:]), Flags: le.Uint32(p[4:]), More: le.Uint64(p[8:]), ModSeq: le.Uint64(p[16:]),
		Blob: le.Uint64(p[24:]), Size: le.Uint32(p[32:]), PrefixLen: le.Uint16(p[36:]), Received: int64(le.Uint64(p[40:])), Saved: int64(le.Uint64(p[48:])),
	}
	return nil
}

// EntryMarks reads only what the array in memory needs.
func EntryMarks(p []byte) (flags uint32, more, modSeq uint64, ok bool) {
	if len(p) != EntryLen || p[0] != Version {
		return 0, 0, 0, false
	}
	le := binary.LittleEndian
	return le.Uint32(p[4:]), le.Uint64(p[8:]), le.Uint64(p[16:]), true
}

// AppendHead appends the value of a head.
func AppendHead(dst, prefix, uidl []byte) []byte {
	dst = binary.AppendUvarint(append(dst, Version), uint64(len(prefix)))
	return append(append(dst, prefix...), uidl...)
}

// ParseHead reads the value of a head; the slices alias it.
func ParseHead(p []byte) (prefix, uidl []byte, err error) {
	if len(p) < 2 || p[0] != Version {
		return nil, nil, ErrMalformed
	}
	n, w := binary.Uvarint(p[1:])
	if w <= 0 || n > uint64(len(p)-1-w) {
		return nil, nil, ErrMalformed
	}
	p = p[1+w:]
	return p[:n:n], p[n:], nil
}

// Blob says where a text is.
type Blob struct {
	Large bool   // a file of its own; otherwise in the log
	Gen   uint64 // of the record that brought it, also of a large one
	Off   int64  // of the text in the generation
	Size  int64
	CRC   uint32
	Refs  uint32 // entries that share it
}

const blobLen = 38

// AppendBlob appends the value.
func AppendBlob(dst []byte, b *Blob) []byte {
	large := byte(0)
	if b.Large {
		large = 1
	}
	le := binary.LittleEndian
	dst = append(dst, Version, large)
	for _, v := range [...]uint64{b.Gen, uint64(b.Off), uint64(b.Size)} {
		dst = le.AppendUint64(dst, v)
	}
	dst = le.AppendUint32(dst, b.CRC)
	dst = le.AppendUint32(dst, b.Refs)
	return le.AppendUint32(dst, 0)
}

// ParseBlob reads the value.
func ParseBlob(p []byte, b *Blob) error {
	if len(p) != blobLen || p[0] != Version || p[1] > 1 {
		return ErrMalformed
	}
	le := binary.LittleEndian
	*b = Blob{
		Large: p[1] == 1, Gen: le.Uint64(p[2:]), Off: int64(le.Uint64(p[10:])), Size: int64(le.Uint64(p[18:])),
		CRC: le.Uint32(p[26:]), Refs: le.Uint32(p[30:]),
	}
	return nil
}
