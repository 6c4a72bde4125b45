package app

import "testing"

// Memory is given back when little happens and much is spare, and the runtime tells
// both.
func TestCalm(t *testing.T) {
	for _, c := range []struct {
		allocated, spare uint64
		want             bool
	}{
		{0, spareMost + 1, true},
		{calmBytes, spareMost + 1, true},
		{calmBytes + 1, spareMost + 1, false},
		{0, spareMost, false},
	} {
		if got := calm(room{allocated: 5}, room{allocated: 5 + c.allocated, spare: c.spare}); got != c.want {
			t.Errorf("%d allocated, %d spare: %v", c.allocated, c.spare, got)
		}
	}
	before := readRoom()
	kept := make([][]byte, 0, 100)
	for range cap(kept) {
		kept = append(kept, make([]byte, 64<<10))
	}
	now := readRoom()
	if grown := now.allocated - before.allocated; grown < 100*64<<10 || before.spare > 1<<40 || now.spare > 1<<40 {
		t.Errorf("%d allocated, then %d more: %+v", len(kept)*64<<10, grown, now)
	}
}
