package limit

import (
	"net/netip"
	"sync"
)

// Keyed counts what each of many peers holds at the moment, connections above
// all, and refuses beyond a bound. A peer that holds nothing has no entry, so
// the table is never larger than what is held; MaxKeys bounds it nevertheless.
type Keyed struct {
	mu   sync.Mutex
	held map[netip.Prefix]int // guarded by mu
	keys int                  // immutable: bound on the entries
}

// NewKeyed returns an empty table of at most maxKeys peers; at that bound a new
// peer is refused, since forgetting one that holds something would let it start
// over. maxKeys 0 means 1,000,000.
func NewKeyed(maxKeys int) *Keyed {
	if maxKeys <= 0 {
		maxKeys = 1_000_000
	}
	return &Keyed{held: make(map[netip.Prefix]int), keys: maxKeys}
}

// Key is the peer that an address stands for: itself in IPv4, its /64 in IPv6,
// which one customer holds whole. IPv4 written as IPv6 is IPv4.
func Key(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // the zero address: all such peers share one entry
		return netip.Prefix{}
	}
	return p
}

// Acquire counts one more for a's peer unless it holds most already, or the
// table is full. What it grants is given back with Release.
func (k *Keyed) Acquire(a netip.Addr, most int) bool {
	key := Key(a)
	k.mu.Lock()
	defer k.mu.Unlock()
	n, known := k.held[key]
	if n >= most || !known && len(k.held) >= k.keys {
		return false
	}
	k.held[key] = n + 1
	return true
}

// Release gives back one that Acquire granted.
func (k *Keyed) Release(a netip.Addr) {
	key := Key(a)
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.held[key]; n > 1 {
		k.held[key] = n - 1
	} else {
		delete(k.held, key)
	}
}

// Held returns what a's peer holds.
func (k *Keyed) Held(a netip.Addr) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held[Key(a)]
}

// Peers returns how many peers hold something.
func (k *Keyed) Peers() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.held)
}
