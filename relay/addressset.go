package relay

import (
	"bytes"
	"hash/maphash"

	"postrider/internal/mail"
)

// addressSet finds a canonical address again among the recipients of a transaction:
// by comparing while there are few, by a table of hashes from then on, since a
// thousand recipients compared in pairs would cost half a million comparisons.
type addressSet struct {
	seed  maphash.Seed
	table []uint16 // 1-based recipient numbers, open addressing; empty while few
}

const fewRecipients = 8

func (a *addressSet) reset() { a.table = a.table[:0] }

// add reports whether address is new among list, and notes it as the next one.
func (a *addressSet) add(list []mail.Recipient, address []byte) bool {
	if len(list) < fewRecipients {
		for i := range list {
			if bytes.Equal(list[i].Address, address) {
				return false
			}
		}
		return true
	}
	if 2*(len(list)+1) > len(a.table) {
		a.grow(list)
	}
	slot := a.find(list, address)
	if a.table[slot] != 0 {
		return false
	}
	a.table[slot] = uint16(len(list) + 1)
	return true
}

// find returns the slot that holds address, or the empty one where it belongs.
func (a *addressSet) find(list []mail.Recipient, address []byte) int {
	mask := len(a.table) - 1
	slot := int(maphash.Bytes(a.seed, address)) & mask
	for a.table[slot] != 0 && !bytes.Equal(list[a.table[slot]-1].Address, address) {
		slot = (slot + 1) & mask
	}
	return slot
}

func (a *addressSet) grow(list []mail.Recipient) {
	if a.seed == (maphash.Seed{}) {
		a.seed = maphash.MakeSeed() // the hashes of a stranger's addresses must not be his to choose
	}
	size := 64
	for size < 4*(len(list)+1) {
		size *= 2
	}
	a.table = make([]uint16, size)
	for i := range list {
		a.table[a.find(list, list[i].Address)] = uint16(i + 1)
	}
}
