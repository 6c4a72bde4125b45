package bounce

import (
	"hash/maphash"
	"sync"
	"time"
)

// GuardOptions bound the notices that leave.
type GuardOptions struct {
	PerVictim int // to one address in an hour; 0: any number
	All       int // in an hour; 0: 20,000
	Entries   int // addresses that are remembered at a time; 0: 10,000
}

// Guard keeps a sender's address that somebody else uses, or that a program
// floods with, from being buried in notices, and the system from being their
// source. It remembers a bounded number of addresses; when there are more, some
// are forgotten, and what leaves in all is still bounded.
type Guard struct {
	o    GuardOptions
	seed maphash.Seed

	mu sync.Mutex // guards following
	// Each value is the moment, in Unix nanoseconds, at which what was let through
	// so far is paid off (the generic cell rate algorithm).
	all  int64
	each map[uint64]int64
}

// NewGuard returns a Guard that has let nothing through.
func NewGuard(o GuardOptions) *Guard {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.All, 20_000)
	def(&o.Entries, 10_000)
	return &Guard{o: o, seed: maphash.MakeSeed(), each: make(map[uint64]int64)}
}

// Allow reports whether one more notice may go to that address now, and counts
// it when it may. The case of letters makes no other address.
func (g *Guard) Allow(now time.Time, victim []byte) bool {
	key := g.key(victim)
	at := now.UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	all, ok := spend(g.all, at, g.o.All)
	if !ok {
		return false
	}
	if g.o.PerVictim <= 0 {
		g.all = all
		return true
	}
	one, ok := spend(g.each[key], at, g.o.PerVictim)
	if !ok {
		return false
	}
	if _, known := g.each[key]; !known && len(g.each) >= g.o.Entries {
		g.forgetLocked(at)
	}
	g.all, g.each[key] = all, one
	return true
}

// spend counts one against a bound per hour, all of which may come at once.
func spend(paid, now int64, perHour int) (int64, bool) {
	step := int64(time.Hour) / int64(perHour)
	paid = max(paid, now) + step
	if paid > now+2*int64(time.Hour) { // the clock was set back: start over
		paid = now + step
	}
	return paid, paid-now <= step*int64(perHour)
}

// forgetLocked makes room: what is paid off goes, and if that is not enough a
// quarter of the rest.
func (g *Guard) forgetLocked(now int64) {
	for k, paid := range g.each {
		if paid <= now {
			delete(g.each, k)
		}
	}
	drop := len(g.each) - g.o.Entries*3/4
	for k := range g.each {
		if drop <= 0 {
			return
		}
		delete(g.each, k)
		drop--
	}
}

// key is the address in lower case, hashed.
func (g *Guard) key(victim []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(g.seed)
	for _, c := range victim {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		_ = h.WriteByte(c) // it never fails
	}
	return h.Sum64()
}

// Len returns how many addresses are remembered.
func (g *Guard) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.each)
}
