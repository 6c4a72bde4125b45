package search

import (
	"bytes"
	"hash/maphash"

	"postrider/delivery/mailbox"
)

// mostReferences is how many of a message's references count, the newest.
const mostReferences = 100

// kinship is who answers whom, by message ids.
type kinship struct {
	ids    map[uint64]int32 // by their hashes
	most   int              // kin that there may be
	parent []int32
	since  []int32 // when the parent was set
	node   []int32 // the message with this id
	jump   []int32 // see top
	clock  int32
}

func newKinship(messages int) *kinship {
	// Few messages refer to many that are not here: what is beyond is forgotten.
	return &kinship{ids: make(map[uint64]int32, messages), most: 2*messages + 1000}
}

// add makes a new one.
func (k *kinship) add() int32 {
	k.parent, k.since, k.node = append(k.parent, none), append(k.since, 0), append(k.node, none)
	return int32(len(k.parent) - 1)
}

// find returns the one with an id, or none.
func (k *kinship) find(id uint64) int32 {
	n, ok := k.ids[id]
	if !ok {
		if len(k.parent) >= k.most {
			return none
		}
		n = k.add()
		k.ids[id] = n
	}
	return n
}

// set sets the parent of n.
func (k *kinship) set(n, parent int32) {
	k.clock++
	k.parent[n], k.since[n] = parent, k.clock
}

// relate notes what a message says of its kin (RFC 5256 section 3, step 1 of
// REFERENCES).
func (b *threader) relate(place int32, it *mailbox.Items) {
	k := b.kin
	before := none
	refs := it.References
	if len(refs) == 0 {
		refs = it.InReplyTo
	}
	for refs = lastFields(refs, mostReferences); len(refs) > 0; {
		id, rest, _ := bytes.Cut(refs, []byte(" "))
		if refs = rest; len(id) == 0 {
			continue
		}
		n := k.find(b.idHash(id))
		if n == none {
			continue
		}
		if before != none && n != before && k.parent[n] == none {
			k.set(n, before)
		}
		before = n
	}
	self := none
	if len(it.MessageID) > 0 {
		self = k.find(b.idHash(it.MessageID))
	}
	if self == none || k.node[self] != none { // another message has this id
		self = k.add()
	}
	k.node[self] = place
	if before == self {
		before = none
	}
	k.set(self, before) // what others said of it does not count any more
}

// lastFields returns the last n of the fields in p, between which are single spaces.
func lastFields(p []byte, n int) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == ' ' {
			if n--; n == 0 {
				return p[i+1:]
			}
		}
	}
	return p
}

// idHash returns the hash of a message id, whose local part may be quoted or not.
func (b *threader) idHash(id []byte) uint64 {
	if bytes.IndexByte(id, '"') >= 0 {
		b.scratch = b.scratch[:0]
		for i := 0; i < len(id); i++ {
			if id[i] == '\\' && i+1 < len(id) {
				i++
			} else if id[i] == '"' {
				continue
			}
			b.scratch = append(b.scratch, id[i])
		}
		id = b.scratch
	}
	return maphash.Bytes(b.seed, id)
}

// cut takes apart what goes round in circles: the newest link of each goes, the one
// that should not have been made.
func (k *kinship) cut() {
	walk := make([]int32, len(k.parent)) // in which each was met
	for start := range k.parent {
		mark := int32(start) + 1
		n := int32(start)
		for n != none && walk[n] == 0 {
			walk[n] = mark
			n = k.parent[n]
		}
		if n == none || walk[n] != mark {
			continue
		}
		newest := n
		for m := k.parent[n]; m != n; m = k.parent[m] {
			if k.since[m] > k.since[newest] {
				newest = m
			}
		}
		k.parent[newest] = none
	}
}

// top returns the nearest one above n that is a message, or else the highest.
func (k *kinship) top(n int32) int32 {
	end := n
	for k.node[end] == none && k.jump[end] == none && k.parent[end] != none {
		end = k.parent[end]
	}
	if k.node[end] == none && k.jump[end] != none {
		end = k.jump[end]
	}
	for n != end && k.node[n] == none && k.jump[n] == none {
		k.jump[n] = end
		n = k.parent[n]
	}
	return end
}
