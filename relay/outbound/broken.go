package outbound

import (
	"sync"
	"time"
)

// brokenHosts remembers with which hosts no handshake succeeds, so that mail
// which may go in clear does not pay for a connection that fails each time. It
// never holds for a policy that demands encryption.
type brokenHosts struct {
	mu    sync.Mutex // guards following
	until map[string]time.Time
}

// brokenKept is how many hosts are remembered; of more, some are forgotten, which
// costs them one more connection.
const brokenKept = 4096

func (b *brokenHosts) has(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.until[host]
	if ok && !time.Now().Before(until) {
		delete(b.until, host)
		return false
	}
	return ok
}

func (b *brokenHosts) add(host string, forTime time.Duration) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = map[string]time.Time{}
	}
	if len(b.until) >= brokenKept {
		b.makeRoomLocked(now)
	}
	b.until[host] = now.Add(forTime)
}

// makeRoomLocked forgets what is over, and if nothing is, some at random.
func (b *brokenHosts) makeRoomLocked(now time.Time) {
	for host, until := range b.until {
		if !now.Before(until) {
			delete(b.until, host)
		}
	}
	for host := range b.until {
		if len(b.until) < brokenKept*3/4 {
			return
		}
		delete(b.until, host)
	}
}

func (b *brokenHosts) remove(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.until, host)
}
