package imaptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Set is a set of numbers, as its ranges.
type Set [][2]uint32

// ParseSet reads a set without "*".
func ParseSet(text string) (set Set, err error) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, ":")
		if !ranged {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 32)
		b, err2 := strconv.ParseUint(to, 10, 32)
		if err1 != nil || err2 != nil || a == 0 || b == 0 {
			return nil, fmt.Errorf("no set: %q", text)
		}
		set = append(set, [2]uint32{uint32(min(a, b)), uint32(max(a, b))})
	}
	return set, nil
}

// Contains reports whether n is in the set.
func (s Set) Contains(n uint32) bool {
	return slices.ContainsFunc(s, func(r [2]uint32) bool { return r[0] <= n && n <= r[1] })
}

// Count is the number of its elements, of disjoint ranges.
func (s Set) Count() (n uint64) {
	for _, r := range s {
		n += uint64(r[1]-r[0]) + 1
	}
	return n
}

// Each returns the elements in the order of the set.
func (s Set) Each() (all []uint32) {
	for _, r := range s {
		for n := uint64(r[0]); n <= uint64(r[1]); n++ {
			all = append(all, uint32(n))
		}
	}
	return all
}

// FormatSet writes numbers as a set of ranges.
func FormatSet(numbers []uint32) string {
	numbers = slices.Clone(numbers)
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(numbers[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d:%d", numbers[i], numbers[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
