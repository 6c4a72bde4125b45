package imap

import (
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Sessions counts the sessions of each user by address, so that one program gone wild
// cannot take all places, and has long searches take turns. The nil *Sessions counts
// nothing and refuses nobody.
type Sessions struct {
	turns chan struct{} // one for each long search that may work

	mu sync.Mutex
	// guards following
	open map[whence]int
}

// whence is a user and the address, or the /64 of it, that he comes from.
type whence struct {
	user string
	from netip.Addr
}

// NewSessions returns a count of nobody.
func NewSessions() *Sessions {
	// Half of the processors are always left for what takes no time.
	return &Sessions{open: map[whence]int{}, turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// takeTurn waits for a turn, at most so long, and reports whether it got one; giveTurn
// gives it back.
func (n *Sessions) takeTurn(wait time.Duration) bool {
	if n == nil {
		return true
	}
	select {
	case n.turns <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case n.turns <- struct{}{}:
		return true
	case <-t.C:
		return false
	}
}

func (n *Sessions) giveTurn() {
	if n != nil {
		<-n.turns
	}
}

func from(user string, a netip.Addr) whence {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	return whence{user, a}
}

// enter counts a session unless there are limit of them; negative: no limit. What it
// grants is given back with leave.
func (n *Sessions) enter(user string, a netip.Addr, limit int) bool {
	if n == nil {
		return true
	}
	w := from(user, a)
	n.mu.Lock()
	defer n.mu.Unlock()
	if limit >= 0 && n.open[w] >= limit {
		return false
	}
	n.open[w]++
	return true
}

func (n *Sessions) leave(user string, a netip.Addr) {
	if n == nil {
		return
	}
	w := from(user, a)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open[w]--; n.open[w] <= 0 {
		delete(n.open, w)
	}
}
