package outbound

import (
	"sync"
	"time"
)

// lives learns how many messages a host takes on one connection, of hosts that say
// so by closing it: one that closes twice after the same number is not asked for
// more, which spares it a refusal and the message behind it a detour. What is
// learned is forgotten after a day, since hosts change.
type lives struct {
	mu    sync.Mutex // guards following
	hosts map[string]life
}

type life struct {
	messages int // that were taken before the host closed
	times    int // in a row
	until    time.Time
}

const (
	lifeSure = 2 // times after which it is believed
	lifeTime = 24 * time.Hour
	// livesKept is how many hosts are remembered; of more, some are forgotten, and
	// learned again.
	livesKept = 4096
)

// of returns the messages that a host takes on one connection; 0: not known.
func (l *lives) of(host string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.hosts[host]
	switch {
	case !ok || h.times < lifeSure:
		return 0
	case !time.Now().Before(h.until):
		delete(l.hosts, host)
		return 0
	}
	return h.messages
}

// ended notes that a host closed a connection after it had taken so many messages.
func (l *lives) ended(host string, messages int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hosts == nil {
		l.hosts = make(map[string]life)
	}
	h, ok := l.hosts[host]
	if !ok {
		for name := range l.hosts { // some at random
			if len(l.hosts) < livesKept {
				break
			}
			delete(l.hosts, name)
		}
	}
	if h.messages != messages {
		h = life{messages: messages}
	}
	h.times++
	h.until = time.Now().Add(lifeTime)
	l.hosts[host] = h
}
