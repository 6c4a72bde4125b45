package imapwire

import (
	"cmp"
	"slices"
	"strconv"
)

// Range is a range of message numbers or UIDs, both ends included and in any order. 0
// is "*", the highest there is.
type Range struct{ From, To uint32 }

// NumSet is a set of numbers as it was sent. It is never expanded.
type NumSet struct {
	Ranges []Range
	Saved  bool // "$": what the last SEARCH saved (RFC 5182); there are no Ranges
}

// Set takes a sequence set into dst, whose memory is used again. What "*" stands for
// is not known here: see Resolve.
func (d *Decoder) Set(dst *NumSet) bool {
	dst.Ranges, dst.Saved = dst.Ranges[:0], false
	if d.Byte('$') {
		dst.Saved = true
		return true
	}
	start := d.i
	for {
		r, ok := d.numRange()
		if !ok {
			d.i = start
			return false
		}
		dst.Ranges = append(dst.Ranges, r)
		if !d.Byte(',') {
			return true
		}
	}
}

func (d *Decoder) numRange() (r Range, ok bool) {
	if r.From, ok = d.setNumber(); !ok {
		return r, false
	}
	r.To = r.From
	if d.Byte(':') {
		r.To, ok = d.setNumber()
	}
	return r, ok
}

// setNumber takes "*" or a number that is not 0.
func (d *Decoder) setNumber() (uint32, bool) {
	if d.Byte('*') {
		return 0, true
	}
	n, ok := d.Number()
	return n, ok && n != 0
}

// Resolve puts highest, the highest number there is, in the place of "*", and returns
// the ranges sorted, with From at most To, and joined where they meet. With 0, when
// there is nothing, ranges with "*" are left out. The set is changed, and the ranges
// are its own.
func (s *NumSet) Resolve(highest uint32) []Range {
	if highest == 0 {
		s.Ranges = slices.DeleteFunc(s.Ranges, func(r Range) bool { return r.From == 0 || r.To == 0 })
	}
	sorted := true
	for i := range s.Ranges {
		r := &s.Ranges[i]
		if r.From == 0 {
			r.From = highest
		}
		if r.To == 0 {
			r.To = highest
		}
		if r.From > r.To {
			r.From, r.To = r.To, r.From
		}
		sorted = sorted && (i == 0 || s.Ranges[i-1].From <= r.From)
	}
	if !sorted {
		slices.SortFunc(s.Ranges, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	}
	s.Ranges = Join(s.Ranges)
	return s.Ranges
}

// Join joins neighbours of ranges that are sorted, in place.
func Join(ranges []Range) []Range {
	if len(ranges) == 0 {
		return ranges
	}
	n := 0
	for _, r := range ranges[1:] {
		last := &ranges[n]
		if uint64(r.From) <= uint64(last.To)+1 {
			last.To = max(last.To, r.To)
			continue
		}
		n++
		ranges[n] = r
	}
	return ranges[:n+1]
}

// Contains reports that n is in a set that was resolved.
func (s *NumSet) Contains(n uint32) bool { return Contains(s.Ranges, n) }

// Contains reports that n is in ranges that are sorted and joined.
func Contains(ranges []Range, n uint32) bool {
	i, found := slices.BinarySearchFunc(ranges, n, func(r Range, n uint32) int { return cmp.Compare(r.From, n) })
	return found || i > 0 && ranges[i-1].To >= n
}

// AppendSet appends ranges as a sequence set.
func AppendSet(dst []byte, ranges []Range) []byte {
	for i, r := range ranges {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendRange(dst, r.From, r.To)
	}
	return dst
}

// AppendRange appends "from:to", or one number when they are the same.
func AppendRange(dst []byte, from, to uint32) []byte {
	dst = strconv.AppendUint(dst, uint64(from), 10)
	if to != from {
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(to), 10)
	}
	return dst
}
