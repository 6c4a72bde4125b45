// Package table is the queue's memory of waiting recipients: one slot of 40
// bytes for each, in pages that hold no pointer and lie outside the collector's
// heap, so that it neither scans them nor lets the heap grow in proportion. Beside
// the slots there are an index from message id to slot, a timer wheel of due times,
// first in first out lists, all of which run through the slots' own links, and the
// buckets in which slots wait, made like the slots.
//
// Guarantees: a waiting recipient costs 40 bytes, and its message about 7 more
// in the index; every operation is O(1), but Index.Put, which now and then
// doubles one of 256 shards.
//
// # Concurrency
//
// Nothing here locks: the owner's mutex guards a Table and all that belongs to
// it.
package table

import (
	"encoding/binary"
	"runtime"

	"postrider/internal/invariants"
	"postrider/internal/mail"
)

// Slot is one waiting recipient. Its number, from 1 on, names it; 0 is none.
type Slot struct {
	idHigh     uint32 // upper 32 of the id's 48 bits of milliseconds
	counter    uint32
	idLow      uint16 // lower 16 bits of the milliseconds
	origin     uint16 // number of the id's node and incarnation
	Due        uint32 // in the owner's ticks
	Version    uint32
	Bucket     uint32 // number of the bucket in which it waits
	next, prev uint32 // within one list, or one bucket of the wheel
	// Link is the owner's: the number of a hot entry, or of the next slot in
	// the ring of those of the same message.
	Link     uint32
	Rcpt     uint16 // index in the envelope
	Attempts uint8  // stops at 255
	bits     uint8  // state below, flags above
}

// Flag is one of a slot's marks.
type Flag uint8

// The flags of a slot.
const (
	Hot         Flag = 1 << 4 // Link names a hot entry
	DropPending Flag = 1 << 5 // an operator wants it dropped when its lease ends
	Warned      Flag = 1 << 6 // its sender was told of the delay
	Mark        Flag = 1 << 7 // the owner's own, in each state another

	stateMask = 0x0f
)

// State returns the number that SetState stored, 0 to 15.
func (s *Slot) State() uint8 { return s.bits & stateMask }

// SetState stores a number from 0 to 15.
func (s *Slot) SetState(st uint8) { s.bits = s.bits&^stateMask | st&stateMask }

// IDMilli returns the moment in the id of the slot's message, in Unix
// milliseconds.
func (s *Slot) IDMilli() int64 { return int64(s.idHigh)<<16 | int64(s.idLow) }

// Has reports whether f is set.
func (s *Slot) Has(f Flag) bool { return s.bits&uint8(f) != 0 }

// Set sets f or clears it.
func (s *Slot) Set(f Flag, on bool) {
	s.bits &^= uint8(f)
	if on {
		s.bits |= uint8(f)
	}
}

const (
	pageShift = 12
	pageSlots = 1 << pageShift
	// MaxSlots bounds the table.
	MaxSlots = 1<<32 - 2*pageSlots
)

type page [pageSlots]Slot

type origin [6]byte // bytes 6 to 11 of an id: node and incarnation

// Table owns the pages. Their memory is unmapped when the Table is collected.
type Table struct {
	maps    *mappings
	pages   []*page
	free    uint32 // first free slot, linked by next
	used    int
	origins []origin
	numbers map[origin]uint16
}

// New returns an empty table.
func New() *Table {
	t := &Table{maps: new(mappings), numbers: make(map[origin]uint16)}
	runtime.AddCleanup(t, (*mappings).release, t.maps)
	return t
}

// At returns slot i, which must have come from Alloc. The pointer stays valid
// for the table's life.
func (t *Table) At(i uint32) *Slot { return &t.pages[i>>pageShift][i&(pageSlots-1)] }

// Len returns the number of slots in use.
func (t *Table) Len() int { return t.used }

// Bytes returns the memory that the pages take.
func (t *Table) Bytes() int { return len(t.pages) * pageSlots * 40 }

// Alloc returns a zeroed slot that bears id, or 0 when the table is full: of
// slots, or of the 65,536 different incarnations it can tell apart.
func (t *Table) Alloc(id mail.ID) uint32 {
	o, ok := t.origin(id)
	if !ok {
		return 0
	}
	if t.free == 0 && !t.grow() {
		return 0
	}
	i := t.free
	s := t.At(i)
	t.free = s.next
	*s = Slot{
		idHigh: binary.BigEndian.Uint32(id[:4]), idLow: binary.BigEndian.Uint16(id[4:]),
		counter: binary.BigEndian.Uint32(id[12:]), origin: o,
	}
	t.used++
	return i
}

// Free gives slot i back. It must be in no list, wheel or index.
func (t *Table) Free(i uint32) {
	s := t.At(i)
	invariants.Check(s.next == 0 && s.prev == 0, "a freed slot is in a list")
	*s = Slot{next: t.free}
	t.free = i
	t.used--
}

func (t *Table) grow() bool {
	base := len(t.pages) << pageShift
	if base >= MaxSlots {
		return false
	}
	p := mapPage[page](t.maps)
	if p == nil {
		return false
	}
	t.pages = append(t.pages, p)
	for j := pageSlots - 1; j >= 0; j-- {
		if i := uint32(base + j); i != 0 {
			p[j].next = t.free
			t.free = i
		}
	}
	return true
}

func (t *Table) origin(id mail.ID) (uint16, bool) {
	o := origin(id[6:12])
	if n := len(t.origins); n > 0 && t.origins[n-1] == o {
		return uint16(n - 1), true
	}
	if n, ok := t.numbers[o]; ok {
		return n, true
	}
	n := len(t.origins)
	if n > 0xffff {
		return 0, false
	}
	t.origins = append(t.origins, o)
	t.numbers[o] = uint16(n)
	return uint16(n), true
}

// ID returns the message id that slot i bears.
func (t *Table) ID(i uint32) mail.ID {
	s := t.At(i)
	var id mail.ID
	binary.BigEndian.PutUint32(id[:4], s.idHigh)
	binary.BigEndian.PutUint16(id[4:], s.idLow)
	copy(id[6:12], t.origins[s.origin][:])
	binary.BigEndian.PutUint32(id[12:], s.counter)
	return id
}

// Scan calls f for the slots in use of one page, from 0 on, until the page does
// not exist, which it reports. A slot in use has a state other than 0.
func (t *Table) Scan(page int, f func(i uint32, s *Slot)) bool {
	if page >= len(t.pages) {
		return false
	}
	p := t.pages[page]
	for j := range p {
		if p[j].State() != 0 {
			f(uint32(page<<pageShift+j), &p[j])
		}
	}
	return true
}
