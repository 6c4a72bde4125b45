package auth

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limiter counts failures by address, network, account, and by account and address
// where the account logged in from before.
type limiter struct {
	seed maphash.Seed

	mu        sync.Mutex // guards following
	o         Limits
	addresses table[netip.Prefix]
	networks  table[netip.Prefix]
	accounts  table[uint64]
	known     table[pair]
	delayed   int
}

// pair is an account and an address. Accounts are kept as digests: a collision
// costs a failure too many, and an adversary does not know the seed.
type pair struct {
	account uint64
	address netip.Prefix
}

func newLimiter(o Limits) *limiter {
	l := &limiter{seed: maphash.MakeSeed(), o: o}
	l.addresses.limit, l.networks.limit, l.accounts.limit, l.known.limit = o.Entries, o.Entries, o.Entries, o.Entries
	return l
}

func (l *limiter) reload(o Limits) {
	l.mu.Lock()
	l.o = o
	l.mu.Unlock()
}

// address is what one customer holds: an IPv4 address, an IPv6 /64.
func address(a netip.Addr) netip.Prefix { return prefix(a, 32, 64) }

// network is what a neighbourhood holds.
func network(a netip.Addr) netip.Prefix { return prefix(a, 24, 48) }

func prefix(a netip.Addr, bits4, bits6 int) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address, as of a Unix socket: one peer
	}
	return p
}

// allow reports whether one more guess may be looked at. Without a name, as of a
// token that alone says whose it is, there is no account that it could count for.
func (l *limiter) allow(client netip.Addr, name string, now time.Time) bool {
	account := maphash.String(l.seed, name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.known.get(pair{account, address(client)}); ok {
		return used(at, now, l.o.PerKnown) < l.o.PerKnown.burst()
	}
	a, _ := l.addresses.get(address(client))
	n, _ := l.networks.get(network(client))
	c, _ := l.accounts.get(account)
	return used(a, now, l.o.PerAddress) < l.o.PerAddress.burst() &&
		used(n, now, l.o.PerNetwork) < l.o.PerNetwork.burst() &&
		(name == "" || used(c, now, l.o.PerAccount) < l.o.PerAccount.burst())
}

// knows reports whether the account logged in from the address before.
func (l *limiter) knows(client netip.Addr, name string) bool {
	account := maphash.String(l.seed, name)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.known.get(pair{account, address(client)})
	return ok
}

// success makes the address one that the account is known from.
func (l *limiter) success(client netip.Addr, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known.put(pair{maphash.String(l.seed, name), address(client)}, time.Time{})
}

// failure counts one and says how long to hold the answer back. A repeated guess
// is none that could find the account's password, so that only its address has to
// bear it: a program that has an old password does not lock the account.
func (l *limiter) failure(client netip.Addr, name string, repeated bool, now time.Time) time.Duration {
	account := maphash.String(l.seed, name)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := pair{account, address(client)}
	if at, ok := l.known.get(p); ok {
		at = take(at, now, l.o.PerKnown)
		l.known.put(p, at)
		return l.delayLocked(used(at, now, l.o.PerKnown))
	}
	a, _ := l.addresses.get(address(client))
	a = take(a, now, l.o.PerAddress)
	l.addresses.put(address(client), a)
	n, _ := l.networks.get(network(client))
	l.networks.put(network(client), take(n, now, l.o.PerNetwork))
	c, _ := l.accounts.get(account)
	if !repeated && name != "" {
		c = take(c, now, l.o.PerAccount)
		l.accounts.put(account, c)
	}
	return l.delayLocked(max(used(a, now, l.o.PerAddress), used(c, now, l.o.PerAccount)))
}

// delayLocked is the delay after so many failures.
func (l *limiter) delayLocked(failures int) time.Duration {
	const free = 2 // a typing error or two
	if failures <= free || l.o.Delay <= 0 {
		return 0
	}
	d := l.o.Delay
	for i := free + 1; i < failures && d < l.o.MaxDelay; i++ {
		d *= 2
	}
	return min(d, l.o.MaxDelay)
}

// hold reserves a place among the answers that are held back.
func (l *limiter) hold() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.delayed >= l.o.Delayed {
		return false
	}
	l.delayed++
	return true
}

func (l *limiter) release() {
	l.mu.Lock()
	l.delayed--
	l.mu.Unlock()
}

func (l *limiter) stats() (delayed, watched int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delayed, l.addresses.len() + l.networks.len() + l.accounts.len() + l.known.len()
}
