package table

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"postrider/internal/mail"
)

func TestSlotIs40Bytes(t *testing.T) {
	if n := unsafe.Sizeof(Slot{}); n != 40 {
		t.Errorf("a slot takes %d bytes", n)
	}
}

// TestIndexFollowsAMap puts, replaces and deletes at random and compares with a
// map; ids that differ only in node or incarnation stay apart.
func TestIndexFollowsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tb, x := New(), &Index{}
	want := map[mail.ID]uint32{}
	for n := range 60_000 {
		id := mail.MakeID(int64(1e12)+int64(rng.IntN(40)), uint16(rng.IntN(2)), uint32(rng.IntN(3)), uint32(rng.IntN(60)))
		if old := want[id]; old != 0 && rng.IntN(2) == 0 {
			x.Delete(tb, old)
			tb.Free(old)
			delete(want, id)
		} else if old == 0 {
			i := tb.Alloc(id)
			tb.At(i).SetState(1)
			x.Put(tb, i)
			want[id] = i
		}
		if got := x.Find(tb, id); got != want[id] {
			t.Fatalf("step %d: found %d, want %d", n, got, want[id])
		}
	}
	for id, i := range want {
		if x.Find(tb, id) != i || tb.ID(i) != id {
			t.Fatalf("%v is lost", id)
		}
	}
	n := 0
	for p := 0; tb.Scan(p, func(uint32, *Slot) { n++ }); p++ {
	}
	if n != len(want) || tb.Len() != n {
		t.Errorf("%d slots scanned, %d counted, want %d", n, tb.Len(), len(want))
	}
}

// TestWheelIsExact adds, removes and advances at random, by single ticks and by
// years, with a small step limit, and expects each slot at its tick.
func TestWheelIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	tb, w := New(), &Wheel{}
	waiting := map[uint32]uint32{}
	jumps := []uint32{1, 3, 200, 300, 70_000, 20_000_000}
	for step := range 30_000 {
		if w.now > 3_000_000_000 {
			w, waiting = &Wheel{}, map[uint32]uint32{}
		}
		switch rng.IntN(3) {
		case 0:
			i := tb.Alloc(mail.MakeID(1, 0, 0, uint32(step)))
			s := tb.At(i)
			s.Due = w.now + rng.Uint32N(jumps[rng.IntN(len(jumps))]) - rng.Uint32N(2)*min(w.now, 5)
			w.Add(tb, i)
			waiting[i] = s.Due
		case 1:
			for i := range waiting {
				w.Remove(tb, i)
				delete(waiting, i)
				break
			}
		case 2:
			to, last := w.now+rng.Uint32N(jumps[rng.IntN(len(jumps))]), w.now
			for !w.Advance(tb, to, 1+rng.IntN(5), func(i uint32) {
				due, ok := waiting[i]
				if !ok || due > to || due < last {
					t.Fatalf("step %d: slot %d due %d came in (%d, %d]", step, i, due, last, to)
				}
				last = due
				delete(waiting, i)
			}) {
			}
			for i, due := range waiting {
				if due <= to {
					t.Fatalf("step %d: slot %d due %d is late at %d", step, i, due, to)
				}
			}
			if next, ok := w.Next(); ok != (len(waiting) > 0) || ok && next < w.now {
				t.Fatalf("step %d: next %d %v at %d with %d waiting", step, next, ok, w.now, len(waiting))
			}
		}
		if w.Len() != len(waiting) {
			t.Fatalf("step %d: %d in the wheel, want %d", step, w.Len(), len(waiting))
		}
	}
}
