package search

import "slices"

// byReferences makes threads of the kinship (RFC 5256 section 3, steps 2 to 6 of
// REFERENCES).
func (b *threader) byReferences() {
	b.plant()
	for n := len(b.index); n < len(b.first); n++ {
		b.list = b.sortChildren(int32(n), b.list)
	}
	slices.SortFunc(b.roots, b.order)
	b.mergeSubjects()
	for n := range b.first {
		b.list = b.sortChildren(int32(n), b.list)
	}
	slices.SortFunc(b.roots, b.order)
	b.kin = nil
}

// plant makes the forest: those that are no messages go, and their children move up,
// except that they stay together where they would become roots.
func (b *threader) plant() {
	k := b.kin
	k.cut()
	k.jump = make([]int32, len(k.parent))
	for i := range k.jump {
		k.jump[i] = none
	}
	dummies := make(map[int32]int32)
	for n, place := range k.node {
		if place == none {
			continue
		}
		up := k.parent[n]
		if up == none {
			b.roots = append(b.roots, place)
			continue
		}
		if up = k.top(up); k.node[up] != none {
			b.adopt(k.node[up], place)
			continue
		}
		d, ok := dummies[up]
		if !ok {
			d = b.grow()
			dummies[up] = d
			b.roots = append(b.roots, d)
		}
		b.adopt(d, place)
	}
	for i, n := range b.roots { // one child needs nobody to hold it
		if c := b.first[n]; b.dummy(n) && b.next[c] == none {
			b.roots[i] = c
		}
	}
}

// mergeSubjects brings threads with one base subject together (step 5).
func (b *threader) mergeSubjects() {
	table := make(map[uint64]int, len(b.roots)) // subject to place in roots
	for i, n := range b.roots {
		s := b.subjects[b.face(n)]
		if s == 0 {
			continue
		}
		at, ok := table[s]
		if !ok || b.better(n, b.roots[at]) {
			table[s] = i
		}
	}
	for i, n := range b.roots {
		s := b.subjects[b.face(n)]
		if s == 0 || table[s] == i {
			continue
		}
		at := table[s]
		b.merge(n, at)
		b.roots[i] = none
	}
	b.roots = slices.DeleteFunc(b.roots, func(n int32) bool { return n == none })
}

// better reports that n should stand for its subject rather than have.
func (b *threader) better(n, have int32) bool {
	if b.dummy(have) {
		return false
	}
	return b.dummy(n) || b.replies[have] && !b.replies[n]
}

// merge brings the root n into the thread whose root is at a place.
func (b *threader) merge(n int32, at int) {
	have := b.roots[at]
	switch {
	case b.dummy(have) && b.dummy(n):
		for c := b.first[n]; c != none; {
			next := b.next[c]
			b.adopt(have, c)
			c = next
		}
		b.first[n] = none
	case b.dummy(have), b.replies[n] && !b.replies[have]:
		b.adopt(have, n)
	default:
		d := b.grow()
		b.adopt(d, n)
		b.adopt(d, have)
		b.roots[at] = d
	}
}
