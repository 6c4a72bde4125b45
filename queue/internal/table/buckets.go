package table

import (
	"runtime"
	"unsafe"

	"postrider/internal/invariants"
)

// Bucket is where recipients wait that have destination, flow and band in common.
// Its number, from 1 on, names it; 0 is none. It holds no pointer.
type Bucket struct {
	Ready   List   // its ready slots
	Dest    uint32 // number of the destination
	Flow    uint32 // number of the flow
	Waiting uint32 // slots in any state
	Uses    uint32 // of those who are about to put slots here

	prev, next         uint32 // ring of the lane's buckets with ready slots
	destPrev, destNext uint32 // buckets of the same destination
	chain              uint32 // next of the same hash, or next free one
	Band               uint8
	live               bool
}

const (
	bucketShift  = 10
	bucketsPage  = 1 << bucketShift
	bucketShards = 256
	chainLoad    = 2 // a shard is doubled when its chains are that long on average
)

type bucketPage [bucketsPage]Bucket

// Buckets owns buckets, in pages outside the collector's heap, and finds them by
// destination, flow and band.
type Buckets struct {
	maps  *mappings
	pages []*bucketPage
	free  uint32
	used  int
	hand  uint32
	shard [bucketShards]struct {
		heads []uint32
		n     int
	}
}

// NewBuckets returns an empty set.
func NewBuckets() *Buckets {
	b := &Buckets{maps: new(mappings)}
	runtime.AddCleanup(b, (*mappings).release, b.maps)
	return b
}

// At returns bucket i, which must be in use. The pointer stays valid.
func (b *Buckets) At(i uint32) *Bucket { return &b.pages[i>>bucketShift][i&(bucketsPage-1)] }

// Len returns the number of buckets in use.
func (b *Buckets) Len() int { return b.used }

// Bytes returns the memory that the pages and the index take.
func (b *Buckets) Bytes() int {
	n := len(b.pages) * int(unsafe.Sizeof(bucketPage{}))
	for k := range b.shard {
		n += 4 * len(b.shard[k].heads)
	}
	return n
}

func bucketHash(dest, flow uint32, band uint8) uint64 { return hash(dest, flow, uint16(band)) }

// Find returns the bucket of a destination, flow and band, or 0.
func (b *Buckets) Find(dest, flow uint32, band uint8) uint32 {
	h := bucketHash(dest, flow, band)
	sh := &b.shard[h%bucketShards]
	if len(sh.heads) == 0 {
		return 0
	}
	for i := sh.heads[h>>8&uint64(len(sh.heads)-1)]; i != 0; {
		k := b.At(i)
		if k.Dest == dest && k.Flow == flow && k.Band == band {
			return i
		}
		i = k.chain
	}
	return 0
}

// Alloc makes a bucket, which must not exist yet; 0 when there is no memory.
func (b *Buckets) Alloc(dest, flow uint32, band uint8) uint32 {
	if b.free == 0 && !b.grow() {
		return 0
	}
	h := bucketHash(dest, flow, band)
	sh := &b.shard[h%bucketShards]
	if sh.n >= chainLoad*len(sh.heads) {
		b.double(int(h % bucketShards))
	}
	i := b.free
	k := b.At(i)
	b.free = k.chain
	head := &sh.heads[h>>8&uint64(len(sh.heads)-1)]
	*k = Bucket{Dest: dest, Flow: flow, Band: band, chain: *head, live: true}
	*head = i
	sh.n++
	b.used++
	return i
}

func (b *Buckets) double(shard int) {
	sh := &b.shard[shard]
	old := sh.heads
	sh.heads = make([]uint32, max(1, 2*len(old)))
	for _, i := range old {
		for i != 0 {
			k := b.At(i)
			next := k.chain
			head := &sh.heads[bucketHash(k.Dest, k.Flow, k.Band)>>8&uint64(len(sh.heads)-1)]
			k.chain, *head = *head, i
			i = next
		}
	}
}

// Free gives bucket i back, which must be empty and in no list.
func (b *Buckets) Free(i uint32) {
	k := b.At(i)
	invariants.Check(k.Waiting == 0 && k.Uses == 0 && k.next == 0 && k.destNext == 0 && k.destPrev == 0, "a freed bucket is in use")
	h := bucketHash(k.Dest, k.Flow, k.Band)
	sh := &b.shard[h%bucketShards]
	p := &sh.heads[h>>8&uint64(len(sh.heads)-1)]
	for *p != i {
		p = &b.At(*p).chain
	}
	*p = k.chain
	sh.n--
	*k = Bucket{chain: b.free}
	b.free = i
	b.used--
}

// Unused moves a hand over the next n buckets and returns one on its way in which
// nothing waits or is about to; 0 when there is none.
func (b *Buckets) Unused(n int) uint32 {
	for range n {
		if b.hand++; int(b.hand>>bucketShift) >= len(b.pages) {
			b.hand = 0
			if len(b.pages) == 0 {
				return 0
			}
		}
		if k := b.At(b.hand); k.live && k.Waiting == 0 && k.Uses == 0 {
			return b.hand
		}
	}
	return 0
}

func (b *Buckets) grow() bool {
	p := mapPage[bucketPage](b.maps)
	if p == nil {
		return false
	}
	base := len(b.pages) << bucketShift
	b.pages = append(b.pages, p)
	for j := bucketsPage - 1; j >= 0; j-- {
		if i := uint32(base + j); i != 0 {
			p[j].chain = b.free
			b.free = i
		}
	}
	return true
}

// Ring is a ring of buckets, linked through them. A bucket is in one at most.
type Ring struct{ head uint32 }

// Head returns the bucket whose turn it is, or 0.
func (r *Ring) Head() uint32 { return r.head }

// Turn gives the turn to bucket i of r.
func (r *Ring) Turn(i uint32) { r.head = i }

// Next returns the bucket behind i in its ring.
func (b *Buckets) Next(i uint32) uint32 { return b.At(i).next }

// Push puts bucket i last.
func (r *Ring) Push(b *Buckets, i uint32) {
	k := b.At(i)
	invariants.Check(k.next == 0, "a bucket is in two rings")
	if r.head == 0 {
		k.prev, k.next, r.head = i, i, i
		return
	}
	h := b.At(r.head)
	k.prev, k.next = h.prev, r.head
	b.At(h.prev).next = i
	h.prev = i
}

// Remove takes bucket i out.
func (r *Ring) Remove(b *Buckets, i uint32) {
	k := b.At(i)
	if k.next == i {
		r.head = 0
	} else {
		b.At(k.prev).next, b.At(k.next).prev = k.next, k.prev
		if r.head == i {
			r.head = k.next
		}
	}
	k.prev, k.next = 0, 0
}

// Join links bucket i into the list of its destination, whose first bucket *first
// is.
func (b *Buckets) Join(first *uint32, i uint32) {
	k := b.At(i)
	k.destPrev, k.destNext = 0, *first
	if *first != 0 {
		b.At(*first).destPrev = i
	}
	*first = i
}

// Leave takes bucket i out of its destination's list.
func (b *Buckets) Leave(first *uint32, i uint32) {
	k := b.At(i)
	if k.destPrev == 0 {
		*first = k.destNext
	} else {
		b.At(k.destPrev).destNext = k.destNext
	}
	if k.destNext != 0 {
		b.At(k.destNext).destPrev = k.destPrev
	}
	k.destPrev, k.destNext = 0, 0
}

// NextOfDest returns the bucket behind i in its destination's list, or 0.
func (b *Buckets) NextOfDest(i uint32) uint32 { return b.At(i).destNext }
