package search

import (
	"hash/maphash"
	"slices"

	"postrider/delivery/mailbox"
)

// Algorithm is a way to find threads.
type Algorithm uint8

// The algorithms of RFC 5256 section 3.
const (
	OrderedSubject Algorithm = iota
	References
)

// Thread puts the messages that f stands for into threads.
func (a Algorithm) Thread(scope *Scope, f *Found) (*Threads, error) {
	t := &Threads{index: make([]uint32, 0, f.Count), sent: make([]int64, f.Count)}
	f.Each(func(i uint32) { t.index = append(t.index, i) })
	t.first, t.next = make([]int32, f.Count), make([]int32, f.Count)
	for i := range t.first {
		t.first[i], t.next[i] = none, none
	}
	b := &threader{Threads: t, seed: maphash.MakeSeed(), subjects: make([]uint64, f.Count)}
	if a == References {
		b.kin = newKinship(f.Count)
		b.replies = make([]bool, f.Count)
	}
	if err := visitFound(scope, f, true, b.visit); err != nil {
		return nil, err
	}
	if a == OrderedSubject {
		b.bySubject()
		return t, nil
	}
	b.byReferences()
	return t, nil
}

// threader collects what threads are made of. Subjects and message ids are compared by
// their hashes, whose seed nobody can guess.
type threader struct {
	*Threads
	seed     maphash.Seed
	values   values
	subjects []uint64 // base subjects; 0: empty
	replies  []bool
	kin      *kinship // nil: not asked for
	scratch  []byte
	list     []int32
}

func (b *threader) visit(c *candidate, m *mailbox.Meta, it *mailbox.Items) error {
	subject, reply := b.values.subject(it)
	if len(subject) > 0 {
		b.scratch = appendFold(b.scratch[:0], subject)
		b.subjects[c.place] = max(maphash.Bytes(b.seed, b.scratch), 1)
	}
	b.sent[c.place] = b.values.sent(m, it)
	if b.kin != nil {
		b.replies[c.place] = reply
		b.relate(int32(c.place), it)
	}
	return nil
}

// bySubject makes a thread of all messages with one base subject: the first is the
// parent of the others.
func (b *threader) bySubject() {
	places := make([]int32, len(b.index))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortFunc(places, b.order)
	root := make(map[uint64]int32)
	for _, n := range places {
		if _, known := root[b.subjects[n]]; !known {
			root[b.subjects[n]] = n
			b.roots = append(b.roots, n)
		}
	}
	for _, n := range slices.Backward(places) {
		if r := root[b.subjects[n]]; r != n {
			b.adopt(r, n)
		}
	}
}
