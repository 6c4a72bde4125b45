package frame

import "encoding/binary"

// Epoch is what the epoch file holds: the identity of a store and the marks that
// must survive whatever happens to its log. It is replaced as a whole, at every
// opening before anything is appended, at a clean end, and when the reserve of
// generations runs out.
type Epoch struct {
	Clean       bool // the last owner closed the store
	Node        uint16
	Incarnation uint32 // random part of the ids of the last opening
	UUID        UUID
	Boots       uint64 // counts the openings; the epoch of the generations begun in it
	Reserved    uint64 // no generation above it was ever begun
	TimeMS      int64  // highest time in an id when the file was written, Unix milliseconds
	End         LSN    // the log reached at least here; when Clean, exactly
}

// EpochLen is the length of an epoch file in bytes.
const EpochLen = 72

// AppendEpoch appends EpochLen bytes.
func AppendEpoch(dst []byte, e *Epoch) []byte {
	n := len(dst)
	le := binary.LittleEndian
	var clean byte
	if e.Clean {
		clean = 1
	}
	dst = append(dst, Version, clean)
	dst = le.AppendUint16(dst, e.Node)
	dst = append(dst, e.UUID[:]...)
	dst = le.AppendUint32(dst, e.Incarnation)
	dst = le.AppendUint32(dst, 0)
	for _, v := range [...]uint64{e.Boots, e.Reserved, uint64(e.TimeMS), e.End.Gen, uint64(e.End.Off)} {
		dst = le.AppendUint64(dst, v)
	}
	return le.AppendUint32(dst, Sum(dst[n:]))
}

// ParseEpoch reads an epoch file. A newer version is told from its first byte
// alone.
func ParseEpoch(p []byte, e *Epoch) error {
	if len(p) == 0 || p[0] == 0 {
		return ErrMalformed
	}
	if p[0] > Version {
		return ErrVersion
	}
	le := binary.LittleEndian
	if len(p) != EpochLen || Sum(p[:EpochLen-4]) != le.Uint32(p[EpochLen-4:]) || p[1] > 1 {
		return ErrMalformed
	}
	*e = Epoch{
		Clean: p[1] == 1, Node: le.Uint16(p[2:]), Incarnation: le.Uint32(p[20:]),
		Boots: le.Uint64(p[28:]), Reserved: le.Uint64(p[36:]), TimeMS: int64(le.Uint64(p[44:])),
		End: LSN{le.Uint64(p[52:]), int64(le.Uint64(p[60:]))},
	}
	copy(e.UUID[:], p[4:])
	if e.TimeMS < 0 || e.End.Off < 0 {
		return ErrMalformed
	}
	return nil
}

// Gap names a part of the log that an operator has given up: the group at Off of
// generation Gen, or with Off 0 the whole generation.
type Gap = LSN

const gapsHeader = 8

// AppendGaps appends the gaps file.
func AppendGaps(dst []byte, gaps []Gap) []byte {
	n := len(dst)
	dst = append(dst, Version, 0, 0, 0)
	dst = appendUint32(dst, uint32(len(gaps)))
	for _, g := range gaps {
		dst = binary.LittleEndian.AppendUint64(dst, g.Gen)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(g.Off))
	}
	return appendUint32(dst, Sum(dst[n:]))
}

// ParseGaps reads a gaps file.
func ParseGaps(p []byte) ([]Gap, error) {
	le := binary.LittleEndian
	if len(p) == 0 || p[0] == 0 {
		return nil, ErrMalformed
	}
	if p[0] > Version {
		return nil, ErrVersion
	}
	if len(p) < gapsHeader+4 || (len(p)-gapsHeader-4)%16 != 0 ||
		Sum(p[:len(p)-4]) != le.Uint32(p[len(p)-4:]) ||
		uint64(le.Uint32(p[4:])) != uint64(len(p)-gapsHeader-4)/16 {
		return nil, ErrMalformed
	}
	var gaps []Gap
	for b := p[gapsHeader : len(p)-4]; len(b) > 0; b = b[16:] {
		gaps = append(gaps, Gap{le.Uint64(b), int64(le.Uint64(b[8:]))})
	}
	return gaps, nil
}
