package guard

import (
	"container/list"
	"sync"
	"time"
)

// Cache remembers values for a while, and at most so many: at the bound the one
// goes that was not asked for longest.
type Cache[K comparable, V any] struct {
	max int

	mu     sync.Mutex // guards following
	values map[K]*list.Element
	order  *list.List // of *cached[K, V], the one used last in front
}

type cached[K comparable, V any] struct {
	key     K
	value   V
	expires time.Time
}

// NewCache returns a Cache of at most so many entries; with none it remembers nothing.
func NewCache[K comparable, V any](entries int) *Cache[K, V] {
	return &Cache[K, V]{max: entries, values: map[K]*list.Element{}, order: list.New()}
}

// Get returns what is remembered of key.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.values[key]
	if e == nil {
		return value, false
	}
	one := e.Value.(*cached[K, V])
	if !time.Now().Before(one.expires) {
		c.dropLocked(e)
		return value, false
	}
	c.order.MoveToFront(e)
	return one.value, true
}

// Put remembers value for so long, in place of what was known of key.
func (c *Cache[K, V]) Put(key K, value V, life time.Duration) {
	if c.max <= 0 || life <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	expires := time.Now().Add(life)
	if e := c.values[key]; e != nil {
		one := e.Value.(*cached[K, V])
		one.value, one.expires = value, expires
		c.order.MoveToFront(e)
		return
	}
	for len(c.values) >= c.max {
		c.dropLocked(c.order.Back())
	}
	c.values[key] = c.order.PushFront(&cached[K, V]{key, value, expires})
}

// Clear forgets everything.
func (c *Cache[K, V]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.values)
	c.order.Init()
}

// Len returns how many entries there are, those included that have expired and that
// nobody has asked for since.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.values)
}

func (c *Cache[K, V]) dropLocked(e *list.Element) {
	c.order.Remove(e)
	delete(c.values, e.Value.(*cached[K, V]).key)
}
