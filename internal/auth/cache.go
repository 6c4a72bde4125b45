package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
	"time"
)

// keyring makes the keys under which logins are remembered: HMAC-SHA-256 with a
// key that only this process has, so that its memory tells less than the users
// file does.
type keyring struct {
	secret [32]byte
	macs   sync.Pool // *macState
}

type macState struct {
	mac hash.Hash
	buf []byte
	sum [32]byte
}

func (k *keyring) open() {
	_, _ = rand.Read(k.secret[:]) // which never fails
	k.macs.New = func() any { return &macState{mac: hmac.New(sha256.New, k.secret[:])} }
}

// login is the key of a name, the stored form and a password.
func (k *keyring) login(name, stored string, plain []byte) [32]byte {
	s := k.macs.Get().(*macState)
	defer k.macs.Put(s)
	b := binary.AppendUvarint(s.buf[:0], uint64(len(name)))
	b = append(b, name...)
	b = binary.AppendUvarint(b, uint64(len(stored)))
	b = append(b, stored...)
	b = append(b, plain...)
	s.mac.Reset()
	s.mac.Write(b)
	clear(b)
	s.buf = b
	s.mac.Sum(s.sum[:0])
	return s.sum
}

// cache remembers keys for a time. It holds at most limit of them, in two halves:
// when the younger one is full the older one is dropped, and what is used moves to
// the younger. The zero cache with a limit is of use.
type cache struct {
	limit int

	mu         sync.Mutex // guards following
	young, old map[[32]byte]int64
}

// has reports whether key was added and its time is not over.
func (c *cache) has(key [32]byte, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.young[key]
	if !ok {
		if until, ok = c.old[key]; ok {
			delete(c.old, key)
			c.putLocked(key, until)
		}
	}
	return ok && now.UnixNano() < until
}

// add remembers key; a ttl of 0 or less does nothing.
func (c *cache) add(key [32]byte, now time.Time, ttl time.Duration) {
	if ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(key, now.Add(ttl).UnixNano())
}

func (c *cache) entries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}

func (c *cache) putLocked(key [32]byte, until int64) {
	if _, ok := c.young[key]; !ok && (c.young == nil || len(c.young) >= max(1, c.limit/2)) {
		c.old, c.young = c.young, make(map[[32]byte]int64)
	}
	c.young[key] = until
}
