package message

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// structureVersion is the first octet of an encoded Structure.
const structureVersion = 2

// ErrStructure reports bytes that are no encoded Structure of a version that is
// known. What they told of can be made again from the text.
var ErrStructure = errors.New("not an encoded message structure")

// AppendStructure appends s in the form that ParseStructure reads; the package
// comment describes it.
func AppendStructure(dst []byte, s *Structure) []byte {
	dst = append(dst, structureVersion)
	dst = binary.AppendUvarint(dst, uint64(s.SizeBytes))
	dst = binary.AppendUvarint(dst, uint64(s.HeaderBytes))
	dst = binary.AppendUvarint(dst, uint64(s.Lines))
	items := [...][]byte{s.Envelope, s.Body, s.BodyStructure, s.Preview, s.MessageID, s.InReplyTo, s.References}
	for _, item := range items {
		dst = binary.AppendUvarint(dst, uint64(len(item)))
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.Parts)))
	last := int64(0)
	for i := range s.Parts {
		p := &s.Parts[i]
		dst = append(dst, byte(p.Kind)|byte(p.Encoding)<<4)
		dst = binary.AppendUvarint(dst, uint64(int32(i)-p.Parent))
		dst = binary.AppendUvarint(dst, uint64(p.HeaderOff-last))
		dst = binary.AppendUvarint(dst, uint64(p.BodyOff-p.HeaderOff))
		dst = binary.AppendUvarint(dst, uint64(p.BodyEnd-p.BodyOff))
		dst = binary.AppendUvarint(dst, uint64(p.Lines))
		last = p.HeaderOff
	}
	for _, item := range items {
		dst = append(dst, item...)
	}
	return dst
}

// ParseStructure reads what AppendStructure wrote. The byte slices of dst alias
// src; Parts is dst's own memory, used again. It takes src as it is found on a
// disk: whatever it holds, the offsets are in order and within SizeBytes.
//
// It looks at the start of src alone: what is in the slices need not be in the
// processor's cache, which matters where a mailbox is gone through for one of them.
func ParseStructure(src []byte, dst *Structure) error {
	if len(src) == 0 || src[0] != structureVersion {
		return ErrStructure
	}
	r := structureReader{rest: src[1:], ok: true}
	dst.SizeBytes = r.number(1 << 62)
	dst.HeaderBytes = r.number(dst.SizeBytes)
	dst.Lines = r.number(dst.SizeBytes)
	items := [...]*[]byte{&dst.Envelope, &dst.Body, &dst.BodyStructure, &dst.Preview, &dst.MessageID, &dst.InReplyTo, &dst.References}
	var lengths [len(items)]int64
	for i := range lengths {
		lengths[i] = r.number(int64(len(src)))
	}
	r.parts(dst)
	for i, item := range items {
		*item = r.bytes(lengths[i])
	}
	if !r.ok || len(r.rest) != 0 {
		return fmt.Errorf("%w: damaged", ErrStructure)
	}
	return nil
}

// parts reads the parts, of which there is one at least.
func (r *structureReader) parts(dst *Structure) {
	n := r.number(partsMax)
	dst.Parts = dst.Parts[:0]
	last := int64(0)
	for i := int64(0); i < n && r.ok; i++ {
		kind := r.octet()
		p := Part{Kind: Kind(kind & 15), Encoding: Encoding(kind >> 4)}
		p.Parent = int32(i - r.number(i+1))
		p.HeaderOff = last + r.number(dst.SizeBytes-last)
		p.BodyOff = p.HeaderOff + r.number(dst.SizeBytes-p.HeaderOff)
		p.BodyEnd = p.BodyOff + r.number(dst.SizeBytes-p.BodyOff)
		p.Lines = r.number(dst.SizeBytes)
		if p.Kind > KindMessage || p.Encoding > EncodingUnknown || (p.Parent < 0) != (i == 0) || p.Parent >= int32(i) {
			r.ok = false
		}
		last = p.HeaderOff
		dst.Parts = append(dst.Parts, p)
	}
	r.ok = r.ok && n > 0
}

// structureReader reads numbers and pieces until one does not fit.
type structureReader struct {
	rest []byte
	ok   bool
}

func (r *structureReader) number(limit int64) int64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || limit < 0 || v > uint64(limit) {
		r.ok = false
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

func (r *structureReader) octet() byte {
	if len(r.rest) == 0 {
		r.ok = false
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

func (r *structureReader) bytes(n int64) []byte {
	if int64(len(r.rest)) < n {
		r.ok = false
		return nil
	}
	p := r.rest[:n:n]
	r.rest = r.rest[n:]
	return p
}
