package spool

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool/frame"
)

// tailBytes at the end of a segment are kept for groups without records, so that
// a spool that is full of records can still write down that some are released.
const tailBytes = 8 * frame.Align

// maxRecord is the longest record, header and padding included, for a segment.
func maxRecord(segment int64) int64 {
	return segment - frame.SegmentHeaderLen - frame.GroupHeaderLen - tailBytes - frame.Align
}

// align rounds up to where the next group may begin.
func align(n int64) int64 { return (n + frame.Align - 1) &^ (frame.Align - 1) }

// slot is one segment file, whatever generation it holds.
type slot struct {
	n    int
	path string
	file vfs.File // nil until the helper has made it
	size int64    // bytes known to be in the file
}

// use is a generation: one use of a slot.
type use struct {
	gen      uint64
	slot     *slot
	h        frame.SegmentHeader
	end      atomic.Int64 // where it ended; -1 while it is being written
	pins     atomic.Int64 // readers; negative when the slot was given back
	released atomic.Bool  // below low, or removed: the slot is given back when pins is 0
}

func newUse(sl *slot, h *frame.SegmentHeader, end int64) *use {
	u := &use{gen: h.Gen, slot: sl, h: *h}
	u.end.Store(end)
	return u
}

const retired = -1 << 62

func (u *use) pin() bool {
	for {
		n := u.pins.Load()
		if n < 0 {
			return false
		}
		if u.pins.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unpin reports whether the commit goroutine has to look at u. No wake-up is lost:
// retire sets released before it looks at pins, and unpin does the reverse.
func (u *use) unpin() bool { return u.pins.Add(-1) == 0 && u.released.Load() }

// retire reports whether the slot of u is free from now on.
func (u *use) retire() bool {
	u.released.Store(true)
	return u.pins.CompareAndSwap(0, retired)
}

// find returns the live generation gen, nil if there is none.
func (s *Spool) find(gen uint64) *use {
	table := *s.table.Load()
	if n := len(table); n > 0 && table[n-1].gen == gen {
		return table[n-1] // mostly the newest is asked for
	}
	i, ok := slices.BinarySearchFunc(table, gen, func(u *use, gen uint64) int { return cmp.Compare(u.gen, gen) })
	if !ok {
		return nil
	}
	return table[i]
}
