package dns

import (
	"errors"
	"sync"
	"time"
)

// key is a question. Questions past the cache are shared only with their like; no
// answer is stored under their keys.
type key struct {
	name  string // canonical
	kind  uint16
	fresh bool
}

// cache holds answers until they expire. At its bounds the one goes that was not
// used for longest.
type cache struct {
	maxEntries int
	maxBytes   int64

	mu    *sync.Mutex // guards following
	all   map[key]*entry
	ends  *entry // ring: next is the one used last, prev the one to go first
	bytes int64
}

type entry struct {
	key        key
	answer     *answer
	bytes      int64
	next, prev *entry
}

func newCache(entries int, bytes int64) cache {
	ends := &entry{}
	ends.next, ends.prev = ends, ends
	return cache{maxEntries: entries, maxBytes: bytes, mu: new(sync.Mutex), all: map[key]*entry{}, ends: ends}
}

// get returns the answer, nil when there is none that is still good.
func (c *cache) get(k key, now time.Time) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.all[k]
	if e == nil {
		return nil
	}
	if !now.Before(e.answer.expires) {
		c.dropLocked(e)
		return nil
	}
	if c.ends.next != e {
		e.unlink()
		c.linkLocked(e)
	}
	return e.answer
}

// put stores an answer in place of an earlier one. A failure does not replace what
// is still good.
func (c *cache) put(k key, a *answer, now time.Time) {
	e := &entry{key: k, answer: a, bytes: a.bytes() + int64(len(k.name))}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.all[k]; old != nil {
		if errors.Is(a.err, ErrTemporary) && now.Before(old.answer.expires) {
			return
		}
		c.dropLocked(old)
	}
	c.all[k] = e
	c.bytes += e.bytes
	c.linkLocked(e)
	for len(c.all) > c.maxEntries || c.bytes > c.maxBytes && len(c.all) > 1 {
		c.dropLocked(c.ends.prev)
	}
}

func (c *cache) linkLocked(e *entry) {
	e.prev, e.next = c.ends, c.ends.next
	e.prev.next, e.next.prev = e, e
}

func (c *cache) dropLocked(e *entry) {
	e.unlink()
	delete(c.all, e.key)
	c.bytes -= e.bytes
}

func (e *entry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}

// size returns how much the cache holds.
func (c *cache) size() (entries int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all), c.bytes
}
