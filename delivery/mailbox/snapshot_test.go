package mailbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A snapshot is what an array would be after the same events, and differences of
// two lead from the one to the other.
func TestSnapshotsAgainstAnArray(t *testing.T) {
	seeds := uint64(40)
	if RaceEnabled {
		seeds = 10
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 1))
		snap := &snapshot{}
		var want []Entry
		uid, modSeq := uint32(0), uint64(0)
		old, oldWant := snap, []Entry(nil) // what a view stands at
		for range 60 {
			var events []event
			kind := rng.IntN(10)
			for range 1 + rng.IntN(400) {
				modSeq++
				switch i := rng.IntN(max(len(want), 1)); {
				case kind < 4 || len(want) == 0:
					uid += 1 + uint32(rng.IntN(3))
					e := Entry{uid, Flags(rng.Uint32()), modSeq}
					want = append(want, e)
					events = append(events, event{Added, e, 0})
				case kind < 7:
					want[i].Flags, want[i].ModSeq = Flags(rng.Uint32()), modSeq
					events = append(events, event{Changed, want[i], uint64(rng.IntN(2))})
				default:
					events = append(events, event{Expunged, want[i], 0})
					want = slices.Delete(want, i, i+1)
				}
			}
			before := collect(snap)
			next := snap.apply(events)
			if !slices.Equal(collect(snap), before) {
				t.Fatalf("seed %d: applying events changed an old snapshot", seed)
			}
			snap = next
			same(t, snap, want)
			if again := snap.apply(events); !slices.Equal(collect(again), want) {
				t.Fatalf("seed %d: events that are known changed something", seed)
			}
			if rng.IntN(3) == 0 {
				old, oldWant = refresh(t, old, snap, oldWant, want, rng.IntN(2) == 0)
			}
		}
	}
}

func collect(s *snapshot) []Entry {
	all := make([]Entry, 0, s.len())
	for k := 0; k <= len(s.spans); k++ {
		all = append(all, s.piece(k)...)
	}
	return all
}

func same(t *testing.T, s *snapshot, want []Entry) {
	t.Helper()
	if got := collect(s); !slices.Equal(got, want) || s.len() != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i, e := range want {
		if s.at(i) != e {
			t.Fatalf("entry %d is %v, want %v", i, s.at(i), e)
		}
		if at, ok := s.find(e.UID); at != i || !ok {
			t.Fatalf("UID %d at %d %v, want %d", e.UID, at, ok, i)
		}
	}
	if len(s.spans) > 3+4*len(want)/spanLen {
		t.Fatalf("%d spans for %d entries", len(s.spans), len(want))
	}
}

// refresh brings a view from old to now, plays the changes on a copy of what it
// showed, and returns what it shows then.
func refresh(t *testing.T, old, now *snapshot, shown, want []Entry, keep bool) (*snapshot, []Entry) {
	t.Helper()
	shown = slices.Clone(shown)
	d := differ{old: old, new: now, keep: keep && anyGone(old, now), f: func(c Change) {
		switch c.Kind {
		case Added:
			if c.Index != len(shown) {
				t.Fatalf("added at %d of %d", c.Index, len(shown))
			}
			shown = append(shown, c.Entry)
		case Changed:
			if shown[c.Index].UID != c.Entry.UID {
				t.Fatalf("changed UID %d, which is %d", c.Entry.UID, shown[c.Index].UID)
			}
			shown[c.Index] = c.Entry
		case Expunged:
			if keep || shown[c.Index].UID != c.Entry.UID {
				t.Fatalf("expunged UID %d, which is %d, keep %v", c.Entry.UID, shown[c.Index].UID, keep)
			}
			shown = slices.Delete(shown, c.Index, c.Index+1)
		}
	}}
	d.run()
	next := now
	if d.keep {
		next = d.out
	}
	same2 := collect(next)
	if !slices.Equal(same2, shown) {
		t.Fatalf("shows %d entries, the changes lead to %d", len(same2), len(shown))
	}
	if !keep && !slices.Equal(shown, want) {
		t.Fatal("shows another array")
	}
	if anyGone(old, now) != slices.ContainsFunc(collect(old), func(e Entry) bool {
		_, ok := now.find(e.UID)
		return !ok
	}) {
		t.Fatal("whether any is gone is wrong")
	}
	return next, shown
}

func BenchmarkRefresh(b *testing.B) {
	s := &snapshot{}
	for i := range uint32(100_000) {
		s.push(Entry{i + 1, 0, 1})
	}
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprint("changes=", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				var events []event
				for k := range n {
					events = append(events, event{Changed, Entry{uint32(k*9000 + 1), FlagSeen, uint64(i + 2)}, 0})
				}
				next := s.apply(events)
				told := 0
				d := differ{old: s, new: next, f: func(Change) { told++ }}
				if d.run(); told != n {
					b.Fatal(told)
				}
			}
		})
	}
	b.Run("changedSince", func(b *testing.B) {
		found := 0
		for range b.N {
			for k := 0; k <= len(s.spans); k++ {
				for _, e := range s.piece(k) {
					if e.ModSeq > 1 {
						found++
					}
				}
			}
		}
		if found != 0 {
			b.Fatal(found)
		}
	})
}
