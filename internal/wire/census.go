package wire

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// Census counts open connections, in all and by client. Servers that share one
// share its counts.
type Census struct {
	total atomic.Int64 // written under mu

	mu sync.Mutex
	// guards following
	lastID  uint64
	clients map[netip.Addr]int // only clients with open connections
}

// NewCensus returns a census of nobody.
func NewCensus() *Census { return &Census{clients: map[netip.Addr]int{}} }

// Total returns the number of connections counted now.
func (c *Census) Total() int { return int(c.total.Load()) }

// Limits bound the connections of a Server.
type Limits struct {
	Total     int                   // all together; 0: by the descriptor limit (connectionShare); negative: none
	PerClient int                   // from one IPv4 address or one IPv6 /64; 0 or negative: none
	Exempt    func(netip.Addr) bool // clients that PerClient does not hold; nil: none
}

// enter counts a connection, or says which limit stands against it.
func (c *Census) enter(client netip.Addr, l Limits, fallback int) Reason {
	total := l.Total
	if total == 0 {
		total = fallback
	}
	key := clientKey(client)
	exempt := l.PerClient <= 0 || !client.IsValid() || l.Exempt != nil && l.Exempt(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	if total > 0 && c.Total() >= total {
		return ReasonTotal
	}
	if !exempt && c.clients[key] >= l.PerClient {
		return ReasonPerClient
	}
	c.total.Add(1)
	if client.IsValid() {
		c.clients[key]++
	}
	return ReasonNone
}

func (c *Census) leave(client netip.Addr) {
	key := clientKey(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.Add(-1)
	if !client.IsValid() {
		return
	}
	if n := c.clients[key]; n > 1 {
		c.clients[key] = n - 1
	} else {
		delete(c.clients, key)
	}
}

// clientKey is what counts as one client: an IPv6 host owns a whole /64.
func clientKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// descriptorShare is the fallback for Limits.Total.
func descriptorShare() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 1 << 23
	}
	return connectionShare(r.Cur)
}

// connectionShare is how many of the descriptors that the process may open clients
// may take, one each. A quarter is kept for deliveries and for the store, which has
// some hundreds of files open, but of a low limit 4096, or half of it.
func connectionShare(descriptors uint64) int {
	n := int(min(descriptors, 1<<24))
	kept := max(n/4, min(n/2, 4096))
	return max(n-kept, 16)
}

// nextID numbers connections, from 1.
func (c *Census) nextID() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	return c.lastID
}
