package mailbox

import "slices"

// uidSet is a set of UIDs, as ranges.
type uidSet struct {
	list []Range
	tidy int // how many were there after the last tidying
}

func (s *uidSet) add(from, to uint32) {
	if n := len(s.list); n > 0 && s.list[n-1].To+1 == from && from != 0 {
		s.list[n-1].To = to
		return
	}
	if s.list = append(s.list, Range{from, to}); len(s.list) > 2*s.tidy+1024 {
		s.ranges()
	}
}

// ranges returns the set, rising, without overlaps.
func (s *uidSet) ranges() []Range {
	slices.SortFunc(s.list, func(a, b Range) int { return int(int64(a.From) - int64(b.From)) })
	out := s.list[:0]
	for _, r := range s.list {
		if n := len(out); n > 0 && uint64(r.From) <= uint64(out[n-1].To)+1 {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	s.list, s.tidy = out, len(out)
	return out
}

// holds reports whether uid is in ranges, which are rising.
func holds(ranges []Range, uid uint32) bool {
	i, _ := slices.BinarySearchFunc(ranges, uid, func(r Range, uid uint32) int {
		if r.To < uid {
			return -1
		}
		return 1
	})
	return i < len(ranges) && ranges[i].From <= uid
}
