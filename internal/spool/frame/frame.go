package frame

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"

	"postrider/internal/mail"
)

// Sizes of the fixed layouts, in bytes.
const (
	Align            = 512 // groups begin at multiples of it
	SegmentHeaderLen = 512
	GroupHeaderLen   = 72
	RecordHeaderLen  = 40
	RecordAlign      = 8 // records begin at multiples of it
)

// UUID is the secret name of a store. It seeds the checksums.
type UUID [16]byte

// Seed is the start value of the checksums of one generation.
type Seed struct{ base uint32 }

// NewSeed returns the seed of a generation that was begun in the given epoch.
func NewSeed(u UUID, epoch, gen uint64) Seed {
	var b [32]byte
	copy(b[:16], u[:])
	binary.LittleEndian.PutUint64(b[16:], epoch)
	binary.LittleEndian.PutUint64(b[24:], gen)
	return Seed{crc32.Update(0, castagnoli, b[:])}
}

// at returns the start value for what begins at the given offset, a multiple of
// RecordAlign: another one for every offset of a segment below 32 GiB, since the
// factor is odd. (Not the checksum of the offset: its bytes would be allocated.)
func (s Seed) at(off int64) uint32 {
	return s.base ^ uint32(off/RecordAlign)*0x9E3779B1
}

// LSN is a place in the log.
type LSN struct {
	Gen uint64
	Off int64 // bytes from the start of the generation's segment
}

// Compare orders places: -1, 0 or 1.
func (l LSN) Compare(m LSN) int {
	if c := cmp.Compare(l.Gen, m.Gen); c != 0 {
		return c
	}
	return cmp.Compare(l.Off, m.Off)
}

// SegmentHeader opens a generation: one use of one segment.
type SegmentHeader struct {
	UUID     UUID
	Epoch    uint64 // boot in which the generation was begun
	Gen      uint64
	Low      uint64 // the oldest generation still needed
	Prev     uint64 // the generation before it; 0: there was none
	PrevEnd  int64  // where that one ended
	Capacity int64  // bytes of the segment that this generation may use
	TimeMS   int64  // highest time in an id so far, Unix milliseconds
	Logged   LSN    // events up to here are in the event log
}

const segmentFields = 108 // bytes of fields in a segment header, without the checksum

// AppendSegmentHeader appends SegmentHeaderLen bytes.
func AppendSegmentHeader(dst []byte, h *SegmentHeader) []byte {
	n := len(dst)
	dst = append(dst, Version, 0, 0, 0)
	dst = append(dst, h.UUID[:]...)
	for _, v := range [...]uint64{
		h.Epoch, h.Gen, h.Low, h.Prev, uint64(h.PrevEnd), uint64(h.Capacity),
		uint64(h.TimeMS), h.Logged.Gen, uint64(h.Logged.Off), 0, 0,
	} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	dst = appendUint32(dst, Sum(dst[n:]))
	return append(dst, make([]byte, SegmentHeaderLen-segmentFields-4)...)
}

// ParseSegmentHeader reads a segment header. Its checksum is not seeded, since
// the header itself carries the seed.
func ParseSegmentHeader(p []byte, h *SegmentHeader) error {
	if len(p) < SegmentHeaderLen || p[0] == 0 {
		return ErrMalformed
	}
	if p[0] > Version {
		return ErrVersion
	}
	if Sum(p[:segmentFields]) != binary.LittleEndian.Uint32(p[segmentFields:]) {
		return ErrMalformed
	}
	copy(h.UUID[:], p[4:])
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(p[20+8*i:]) }
	h.Epoch, h.Gen, h.Low, h.Prev = u(0), u(1), u(2), u(3)
	h.PrevEnd, h.Capacity, h.TimeMS = int64(u(4)), int64(u(5)), int64(u(6))
	h.Logged = LSN{u(7), int64(u(8))}
	if h.Gen == 0 || h.Prev >= h.Gen || h.Low > h.Gen || h.PrevEnd < 0 ||
		h.Capacity < SegmentHeaderLen || h.TimeMS < 0 {
		return ErrMalformed
	}
	return nil
}

// GroupHeader precedes the records that were written and synced together.
type GroupHeader struct {
	Gen      uint64
	Sequence uint64 // counts the groups of the generation from 1
	Synced   int64  // everything of this generation before this offset was synced when the group was written
	Low      uint64 // the oldest generation still needed
	TimeMS   int64  // highest time in an id so far, Unix milliseconds
	Logged   LSN    // events up to here are in the event log
	Length   uint32 // bytes of the group, this header included, without the padding to Align
	Count    uint32 // records in the group; 0 when it only carries Low
}

// PutGroupHeader writes h over the first GroupHeaderLen bytes of dst, for a group
// that begins at off.
func PutGroupHeader(dst []byte, seed Seed, off int64, h *GroupHeader) {
	_ = dst[GroupHeaderLen-1]
	le := binary.LittleEndian
	le.PutUint32(dst, Version)
	le.PutUint64(dst[4:], h.Gen)
	le.PutUint64(dst[12:], h.Sequence)
	le.PutUint64(dst[20:], uint64(h.Synced))
	le.PutUint64(dst[28:], h.Low)
	le.PutUint64(dst[36:], uint64(h.TimeMS))
	le.PutUint64(dst[44:], h.Logged.Gen)
	le.PutUint64(dst[52:], uint64(h.Logged.Off))
	le.PutUint32(dst[60:], h.Length)
	le.PutUint32(dst[64:], h.Count)
	le.PutUint32(dst[68:], crc32.Update(seed.at(off), castagnoli, dst[:68]))
}

// ParseGroupHeader reads the group header that begins at off of generation gen.
func ParseGroupHeader(p []byte, seed Seed, gen uint64, off int64, h *GroupHeader) error {
	if len(p) < GroupHeaderLen || p[0] == 0 {
		return ErrMalformed
	}
	le := binary.LittleEndian
	if crc32.Update(seed.at(off), castagnoli, p[:68]) != le.Uint32(p[68:]) {
		return ErrMalformed
	}
	if p[0] > Version {
		return ErrVersion
	}
	*h = GroupHeader{
		Gen:      le.Uint64(p[4:]),
		Sequence: le.Uint64(p[12:]),
		Synced:   int64(le.Uint64(p[20:])),
		Low:      le.Uint64(p[28:]),
		TimeMS:   int64(le.Uint64(p[36:])),
		Logged:   LSN{le.Uint64(p[44:]), int64(le.Uint64(p[52:]))},
		Length:   le.Uint32(p[60:]),
		Count:    le.Uint32(p[64:]),
	}
	if h.Gen != gen || h.Synced > off || h.Low > gen || h.Length < GroupHeaderLen || h.TimeMS < 0 ||
		uint64(h.Count)*RecordHeaderLen > uint64(h.Length)-GroupHeaderLen {
		return ErrMalformed
	}
	return nil
}

// Header precedes a record's payload, which is a head of HeadLen bytes and a body
// of BodyLen.
type Header struct {
	Kind             Kind
	ID               mail.ID
	HeadLen, BodyLen uint32
	BodyCRC          uint32 // Sum of the body; the header's own checksum vouches for it
	headCRC          uint32
}

// Len returns the bytes that the record takes, with header and padding.
func (h *Header) Len() int64 { return Len(int(h.HeadLen), int(h.BodyLen)) }

// Len returns the bytes that a record takes, with header and padding.
func Len(headLen, bodyLen int) int64 {
	return (RecordHeaderLen + int64(headLen) + int64(bodyLen) + RecordAlign - 1) &^ (RecordAlign - 1)
}

// Append appends a whole record that begins at off: header, head, body, padding.
// h.HeadLen and h.BodyLen are set from head and body; h.BodyCRC must be the Sum
// of body, which is copied and not looked at.
func Append(dst []byte, seed Seed, off int64, h *Header, head, body []byte) []byte {
	n := len(dst)
	h.HeadLen, h.BodyLen = uint32(len(head)), uint32(len(body))
	dst = append(dst, Version, byte(h.Kind), 0, 0)
	dst = append(dst, h.ID[:]...)
	dst = appendUint32(dst, h.HeadLen)
	dst = appendUint32(dst, h.BodyLen)
	start := seed.at(off)
	dst = appendUint32(dst, crc32.Update(start, castagnoli, head))
	dst = appendUint32(dst, h.BodyCRC)
	dst = appendUint32(dst, crc32.Update(start, castagnoli, dst[n:]))
	dst = append(dst, head...)
	dst = append(dst, body...)
	for (len(dst)-n)%RecordAlign != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// ParseHeader reads the header of the record that begins at off and whose group
// has len(p) bytes left.
func ParseHeader(p []byte, seed Seed, off int64, h *Header) error {
	if len(p) < RecordHeaderLen || p[0] == 0 {
		return ErrMalformed
	}
	le := binary.LittleEndian
	if crc32.Update(seed.at(off), castagnoli, p[:36]) != le.Uint32(p[36:]) {
		return ErrMalformed
	}
	if p[0] > Version {
		return ErrVersion
	}
	*h = Header{
		Kind:    Kind(p[1]),
		HeadLen: le.Uint32(p[20:]), BodyLen: le.Uint32(p[24:]),
		headCRC: le.Uint32(p[28:]), BodyCRC: le.Uint32(p[32:]),
	}
	copy(h.ID[:], p[4:])
	if h.Kind == 0 || h.Len() > int64(len(p)) {
		return ErrMalformed
	}
	return nil
}

// Check verifies head and body of the record at p, whose header was parsed into
// h, and returns the payload: head and body, aliasing p.
func (h *Header) Check(p []byte, seed Seed, off int64) ([]byte, error) {
	payload := p[RecordHeaderLen : RecordHeaderLen+int(h.HeadLen)+int(h.BodyLen)]
	if crc32.Update(seed.at(off), castagnoli, payload[:h.HeadLen]) != h.headCRC ||
		Sum(payload[h.HeadLen:]) != h.BodyCRC {
		return nil, ErrMalformed
	}
	return payload, nil
}
