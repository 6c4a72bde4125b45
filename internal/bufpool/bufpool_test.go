package bufpool

import (
	"testing"

	"postrider/internal/invariants"
)

func TestGetHasTheCapacityAsked(t *testing.T) {
	for _, n := range []int{0, 1, 1023, 1024, 1025, 4096, 5000, MaxBytes - 1, MaxBytes, MaxBytes + 1} {
		b := Get(n)
		if len(b.B) != 0 || cap(b.B) < n {
			t.Errorf("Get(%d): len %d, cap %d", n, len(b.B), cap(b.B))
		}
		if n <= MaxBytes && n > 1024 && cap(b.B) >= 2*n {
			t.Errorf("Get(%d) pins %d bytes", n, cap(b.B))
		}
		Put(b)
	}
	Put(nil)
}

func TestPutMangles(t *testing.T) {
	b := Get(10)
	b.B = append(b.B, "text"...)
	kept := b.B
	Put(b)
	if invariants.Enabled && kept[0] == 't' {
		t.Error("the released buffer still holds its text")
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	// More rounds than the pool needs to tune itself (42,000 calls).
	for range 100_000 {
		b := Get(5000)
		b.B = append(b.B, 1)
		Put(b)
	}
	if n := testing.AllocsPerRun(1000, func() { Put(Get(5000)) }); n > 0.1 {
		t.Errorf("%v allocations a buffer", n)
	}
}
