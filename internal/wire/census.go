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
	Total     int                   // all together; 0: half of the descriptor limit; negative: none
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

// descriptorShare is the fallback for Limits.Total: half of the descriptors that
// the process may open, since deliveries and the store need the rest.
func descriptorShare() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur > 1<<24 {
		return 1 << 23
	}
	return max(int(r.Cur/2), 16)
}

// nextID numbers connections, from 1.
func (c *Census) nextID() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	return c.lastID
}
