package table

import (
	"encoding/binary"

	"postrider/internal/mail"
)

const (
	shards    = 256
	shardMin  = 64
	loadTimes = 4 // a shard is doubled when 3 of 4 places are taken
)

// Index finds a slot of a message by its id. It is split into shards, so that
// doubling one stops the owner for microseconds even at ten million messages.
type Index struct {
	shard [shards]struct {
		places []uint32 // slot numbers; linear probing, 0 is free
		n      int
	}
}

func hash(high, counter uint32, low uint16) uint64 {
	h := uint64(high)<<32 ^ uint64(counter) ^ uint64(low)<<40
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

func slotHash(s *Slot) uint64 { return hash(s.idHigh, s.counter, s.idLow) }

func idHash(id *mail.ID) uint64 {
	return hash(binary.BigEndian.Uint32(id[:4]), binary.BigEndian.Uint32(id[12:]), binary.BigEndian.Uint16(id[4:]))
}

// Find returns the slot that was put for id, or 0.
func (x *Index) Find(t *Table, id mail.ID) uint32 {
	h := idHash(&id)
	sh := &x.shard[h%shards]
	if len(sh.places) == 0 {
		return 0
	}
	mask := uint64(len(sh.places) - 1)
	for p := h >> 8 & mask; ; p = (p + 1) & mask {
		i := sh.places[p]
		if i == 0 || t.ID(i) == id {
			return i
		}
	}
}

// Put enters slot i for its message, in the place of the one that is there.
func (x *Index) Put(t *Table, i uint32) {
	s := t.At(i)
	h := slotHash(s)
	sh := &x.shard[h%shards]
	if (sh.n+1)*loadTimes > len(sh.places)*(loadTimes-1) {
		x.double(t, int(h%shards))
	}
	mask := uint64(len(sh.places) - 1)
	p := h >> 8 & mask
	for ; sh.places[p] != 0; p = (p + 1) & mask {
		if sameID(t.At(sh.places[p]), s) {
			sh.places[p] = i
			return
		}
	}
	sh.places[p] = i
	sh.n++
}

func sameID(a, b *Slot) bool {
	return a.counter == b.counter && a.idHigh == b.idHigh && a.idLow == b.idLow && a.origin == b.origin
}

func (x *Index) double(t *Table, shard int) {
	sh := &x.shard[shard]
	old := sh.places
	sh.places = make([]uint32, max(shardMin, 2*len(old)))
	mask := uint64(len(sh.places) - 1)
	for _, i := range old {
		if i == 0 {
			continue
		}
		p := slotHash(t.At(i)) >> 8 & mask
		for sh.places[p] != 0 {
			p = (p + 1) & mask
		}
		sh.places[p] = i
	}
}

// Delete removes the entry of slot i's message. Those behind it that would no
// longer be found move up, so that no tombstones pile up.
func (x *Index) Delete(t *Table, i uint32) {
	s := t.At(i)
	h := slotHash(s)
	sh := &x.shard[h%shards]
	if len(sh.places) == 0 {
		return
	}
	mask := uint64(len(sh.places) - 1)
	p := h >> 8 & mask
	for ; ; p = (p + 1) & mask {
		if sh.places[p] == 0 {
			return
		}
		if sameID(t.At(sh.places[p]), s) {
			break
		}
	}
	sh.n--
	hole := p
	for q := (p + 1) & mask; sh.places[q] != 0; q = (q + 1) & mask {
		home := slotHash(t.At(sh.places[q])) >> 8 & mask
		if (q-home)&mask >= (q-hole)&mask {
			sh.places[hole] = sh.places[q]
			hole = q
		}
	}
	sh.places[hole] = 0
}
