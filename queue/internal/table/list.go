package table

import "postrider/internal/invariants"

// List is a first in first out list of slots, linked through them. A slot is in
// one list or one wheel at most.
type List struct {
	head, tail uint32
	n          uint32
}

// Len returns the number of slots in l.
func (l *List) Len() int { return int(l.n) }

// Front returns the first slot, or 0.
func (l *List) Front() uint32 { return l.head }

// Next returns the slot behind i in its list, or 0.
func (t *Table) Next(i uint32) uint32 { return t.At(i).next }

// PushBack appends slot i.
func (l *List) PushBack(t *Table, i uint32) {
	s := t.At(i)
	invariants.Check(s.next == 0 && s.prev == 0, "a slot is in two lists")
	s.prev = l.tail
	if l.tail == 0 {
		l.head = i
	} else {
		t.At(l.tail).next = i
	}
	l.tail = i
	l.n++
}

// PushFront puts slot i before all others.
func (l *List) PushFront(t *Table, i uint32) {
	s := t.At(i)
	invariants.Check(s.next == 0 && s.prev == 0, "a slot is in two lists")
	s.next = l.head
	if l.head == 0 {
		l.tail = i
	} else {
		t.At(l.head).prev = i
	}
	l.head = i
	l.n++
}

// Remove takes slot i out of l, in which it must be.
func (l *List) Remove(t *Table, i uint32) {
	s := t.At(i)
	if s.prev == 0 {
		invariants.Check(l.head == i, "a slot is not in the list it leaves")
		l.head = s.next
	} else {
		t.At(s.prev).next = s.next
	}
	if s.next == 0 {
		invariants.Check(l.tail == i, "a slot is not in the list it leaves")
		l.tail = s.prev
	} else {
		t.At(s.next).prev = s.prev
	}
	s.next, s.prev = 0, 0
	l.n--
}
