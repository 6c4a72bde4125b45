package table

import (
	"math/bits"

	"postrider/internal/invariants"
)

const (
	wheelLevels  = 4
	wheelBuckets = 256
)

// Wheel orders slots by Due. It has four levels of 256 buckets, one level for
// each byte of the due tick: a slot rests on the level of the highest byte in
// which its tick differs from the present one, and moves down when the present
// reaches its bucket. Empty stretches are skipped by bit maps, so a jump of the
// clock costs nothing.
type Wheel struct {
	now     uint32
	n       int
	buckets [wheelLevels][wheelBuckets]uint32 // first slot of each
	taken   [wheelLevels][wheelBuckets / 64]uint64
	moving  uint32 // first slot of the bucket that is being moved down
}

// Len returns the number of slots that wait.
func (w *Wheel) Len() int { return w.n }

// Now returns the present tick.
func (w *Wheel) Now() uint32 { return w.now }

func (w *Wheel) place(due uint32) (level int, bucket uint8) {
	if d := due ^ w.now; d != 0 {
		level = (bits.Len32(d) - 1) / 8
	}
	return level, uint8(due >> (8 * level))
}

// Add puts slot i in by its Due, which is raised to the present when it has
// passed.
func (w *Wheel) Add(t *Table, i uint32) {
	s := t.At(i)
	s.Due = max(s.Due, w.now)
	level, b := w.place(s.Due)
	head := &w.buckets[level][b]
	s.prev, s.next = 0, *head
	if *head != 0 {
		t.At(*head).prev = i
	}
	*head = i
	w.taken[level][b/64] |= 1 << (b % 64)
	w.n++
}

// Remove takes slot i out; its Due must be what it was when it was added.
func (w *Wheel) Remove(t *Table, i uint32) {
	s := t.At(i)
	if s.next != 0 {
		t.At(s.next).prev = s.prev
	}
	switch {
	case s.prev != 0:
		t.At(s.prev).next = s.next
	case w.moving == i:
		w.moving = s.next
	default:
		level, b := w.place(s.Due)
		invariants.Check(w.buckets[level][b] == i, "a slot is not in the bucket it leaves")
		w.buckets[level][b] = s.next
		if s.next == 0 {
			w.taken[level][b/64] &^= 1 << (b % 64)
		}
	}
	s.next, s.prev = 0, 0
	w.n--
}

// Next returns the tick at which Advance has something to do; false when the
// wheel is empty. It is at most the earliest due tick.
func (w *Wheel) Next() (uint32, bool) {
	t, _, _, ok := w.next()
	return t, ok
}

func (w *Wheel) next() (tick uint32, level int, bucket uint8, ok bool) {
	if w.moving != 0 {
		return w.now, 0, 0, true
	}
	if w.n == 0 {
		return 0, 0, 0, false
	}
	for level = range wheelLevels {
		from := int(uint8(w.now >> (8 * level)))
		if b, found := w.scan(level, from); found {
			shift := 8 * level
			tick = uint32(uint64(w.now)>>(shift+8)<<(shift+8)) | uint32(b)<<shift
			return max(tick, w.now), level, uint8(b), true
		}
	}
	return 0, 0, 0, false
}

// scan finds the first taken bucket of level at or after from.
func (w *Wheel) scan(level, from int) (int, bool) {
	for word := from / 64; word < wheelBuckets/64; word++ {
		m := w.taken[level][word]
		if word == from/64 {
			m &= ^uint64(0) << (from % 64)
		}
		if m != 0 {
			return word*64 + bits.TrailingZeros64(m), true
		}
	}
	return 0, false
}

// Advance moves the present to tick, which must not be behind it, and calls f
// for slots that are due, in order of their ticks, after taking them out. It
// stops after limit steps, a step being one slot touched, and then reports
// false: call again.
func (w *Wheel) Advance(t *Table, tick uint32, limit int, f func(i uint32)) bool {
	tick = max(tick, w.now)
	for limit > 0 {
		for ; w.moving != 0 && limit > 0; limit-- {
			i := w.moving
			w.Remove(t, i)
			w.Add(t, i)
		}
		at, level, b, ok := w.next()
		if !ok || at > tick {
			w.now = tick
			return true
		}
		if limit <= 0 {
			break
		}
		w.now = at
		if level > 0 {
			w.moving = w.buckets[level][b]
			w.buckets[level][b] = 0
			w.taken[level][b/64] &^= 1 << (b % 64)
			continue
		}
		for i := w.buckets[0][b]; i != 0 && limit > 0; limit-- {
			next := t.At(i).next
			w.Remove(t, i)
			f(i)
			i = next
		}
	}
	return false
}
