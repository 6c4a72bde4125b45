package table

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestBucketIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Bucket{}); n != 52 {
		t.Errorf("a bucket takes %d bytes", n)
	}
}

// TestBucketsFollowAMap makes, finds and frees buckets at random and compares with a
// map; the hand finds every unused one, and never one in use.
func TestBucketsFollowAMap(t *testing.T) {
	type key struct {
		dest, flow uint32
		band       uint8
	}
	rng := rand.New(rand.NewPCG(5, 6))
	b := NewBuckets()
	want := map[key]uint32{}
	first := make([]uint32, 50)
	for n := range 60_000 {
		k := key{rng.Uint32N(50), rng.Uint32N(60), uint8(rng.IntN(4))}
		if got := b.Find(k.dest, k.flow, k.band); got != want[k] {
			t.Fatalf("step %d: found %d, want %d", n, got, want[k])
		}
		if want[k] == 0 {
			i := b.Alloc(k.dest, k.flow, k.band)
			b.Join(&first[k.dest], i)
			b.At(i).Waiting = rng.Uint32N(2)
			want[k] = i
		}
		if i := b.Unused(8); i != 0 {
			u := b.At(i)
			k := key{u.Dest, u.Flow, u.Band}
			if want[k] != i || u.Waiting != 0 {
				t.Fatalf("step %d: bucket %d is not unused", n, i)
			}
			b.Leave(&first[k.dest], i)
			b.Free(i)
			delete(want, k)
		}
		if rng.IntN(4) == 0 {
			if i := want[k]; i != 0 {
				b.At(i).Waiting = 0
			}
		}
	}
	n := 0
	for d, i := range first {
		for ; i != 0; i = b.NextOfDest(i) {
			if int(b.At(i).Dest) != d {
				t.Errorf("bucket %d is in the list of %d", i, d)
			}
			n++
		}
	}
	if n != len(want) || b.Len() != n {
		t.Errorf("%d in lists, %d counted, want %d", n, b.Len(), len(want))
	}
	for _, i := range want {
		b.At(i).Waiting = 0
	}
	for b.Len() > 0 {
		if i := b.Unused(bucketsPage); i != 0 {
			b.Leave(&first[b.At(i).Dest], i)
			b.Free(i)
		}
	}
}

// A ring is gone round in the order of its pushes, whoever leaves.
func TestRing(t *testing.T) {
	b, r := NewBuckets(), Ring{}
	var all []uint32
	for k := range uint32(5) {
		all = append(all, b.Alloc(k, 0, 0))
		r.Push(b, all[k])
	}
	r.Remove(b, all[0])
	r.Remove(b, all[3])
	r.Push(b, all[0])
	for _, want := range []int{1, 2, 4, 0, 1} {
		if got := r.Head(); got != all[want] {
			t.Errorf("%d has its turn, want %d", got, all[want])
		}
		r.Turn(b.Next(r.Head()))
	}
	for _, k := range []int{2, 1, 4, 0} {
		r.Remove(b, all[k])
	}
	if r.Head() != 0 {
		t.Error("the ring is not empty")
	}
}
