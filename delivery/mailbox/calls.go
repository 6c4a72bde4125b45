package mailbox

import (
	"sync"
	"sync/atomic"
)

// calls counts what is under way, so that Close can wait for it.
type calls struct {
	n    atomic.Int64 // those under way; closing is added while Close waits or has ended
	idle chan struct{}
}

const closing = 1 << 40

func (c *calls) init() { c.idle = make(chan struct{}, 1) }

// enter reports false when the store is closing.
func (c *calls) enter() bool {
	if c.n.Add(1) > closing {
		c.leave()
		return false
	}
	return true
}

func (c *calls) leave() {
	if c.n.Add(-1) == closing {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// close refuses more and waits for those that are there.
func (c *calls) close() {
	for n := c.n.Add(closing); n > closing; n = c.n.Load() {
		<-c.idle
	}
}

// claims are keys that somebody works on, one at a time for each key.
type claims[K comparable] struct {
	mu sync.Mutex
	// guards following
	held map[K]chan struct{} // nil channel: nobody waits
}

// claim waits until nobody holds k and takes it; done ends the waiting.
func (c *claims[K]) claim(k K, done <-chan struct{}) bool {
	for {
		c.mu.Lock()
		wait, held := c.held[k]
		if !held {
			if c.held == nil {
				c.held = make(map[K]chan struct{})
			}
			c.held[k] = nil
			c.mu.Unlock()
			return true
		}
		if wait == nil {
			wait = make(chan struct{})
			c.held[k] = wait
		}
		c.mu.Unlock()
		select {
		case <-wait:
		case <-done:
			return false
		}
	}
}

func (c *claims[K]) release(k K) {
	c.mu.Lock()
	wait := c.held[k]
	delete(c.held, k)
	c.mu.Unlock()
	if wait != nil {
		close(wait)
	}
}
