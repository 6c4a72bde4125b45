package frame

import "encoding/binary"

// Removal names generations that were removed from an archive, all of those begun
// from First to Last, and where the one before them ended: what the headers of the
// removed ones said.
type Removal struct {
	First, Last uint64
	Prev        uint64 // the generation before First; 0: there was none
	PrevEnd     int64  // where that one ended
}

const (
	removalsHeader = 8
	removalLen     = 32
)

// AppendRemovals appends the removed file.
func AppendRemovals(dst []byte, list []Removal) []byte {
	n := len(dst)
	dst = append(dst, Version, 0, 0, 0)
	dst = appendUint32(dst, uint32(len(list)))
	for _, r := range list {
		for _, v := range [...]uint64{r.First, r.Last, r.Prev, uint64(r.PrevEnd)} {
			dst = binary.LittleEndian.AppendUint64(dst, v)
		}
	}
	return appendUint32(dst, Sum(dst[n:]))
}

// ParseRemovals reads a removed file.
func ParseRemovals(p []byte) ([]Removal, error) {
	le := binary.LittleEndian
	if len(p) == 0 || p[0] == 0 {
		return nil, ErrMalformed
	}
	if p[0] > Version {
		return nil, ErrVersion
	}
	if len(p) < removalsHeader+4 || (len(p)-removalsHeader-4)%removalLen != 0 ||
		Sum(p[:len(p)-4]) != le.Uint32(p[len(p)-4:]) ||
		uint64(le.Uint32(p[4:])) != uint64(len(p)-removalsHeader-4)/removalLen {
		return nil, ErrMalformed
	}
	var list []Removal
	last := uint64(0)
	for b := p[removalsHeader : len(p)-4]; len(b) > 0; b = b[removalLen:] {
		r := Removal{First: le.Uint64(b), Last: le.Uint64(b[8:]), Prev: le.Uint64(b[16:]), PrevEnd: int64(le.Uint64(b[24:]))}
		if r.First <= last || r.Last < r.First || r.Prev >= r.First || r.PrevEnd < 0 {
			return nil, ErrMalformed
		}
		last = r.Last
		list = append(list, r)
	}
	return list, nil
}
