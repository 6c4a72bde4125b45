// Package bufpool hands out byte buffers by size class: one bytebufferpool for
// each power of two from 1 KiB to 1 MiB, so that a small request never gets, and
// never pins, a big buffer.
//
// Guarantees: Get returns an empty buffer whose capacity is at least what was
// asked for; what lies beyond the classes is allocated, and dropped by Put.
// Under the build tag "invariants" Put overwrites the buffer, so that a use
// after release is seen.
//
// # Concurrency
//
// Get and Put may be called from anywhere. The pools are the package's only
// state; they hold nothing but spare memory.
package bufpool

import (
	"math/bits"

	"github.com/valyala/bytebufferpool"

	"postrider/internal/invariants"
)

const (
	minShift = 10 // 1 KiB
	maxShift = 20 // 1 MiB

	// MaxBytes is the largest capacity that is kept for reuse.
	MaxBytes = 1 << maxShift
)

var pools [maxShift - minShift + 1]bytebufferpool.Pool

// Get returns a buffer of length 0 and a capacity of at least n bytes. Whoever
// gets it gives it back with Put, once, and does not touch it afterwards.
func Get(n int) *bytebufferpool.ByteBuffer {
	if n > MaxBytes {
		return &bytebufferpool.ByteBuffer{B: make([]byte, 0, n)}
	}
	c := class(n)
	b := pools[c].Get()
	if size := 1 << (c + minShift); cap(b.B) < size {
		b.B = make([]byte, 0, size)
	}
	return b
}

// Put gives b back; nil is allowed. A buffer whose capacity is no class's, such
// as one that append has grown, is left to the collector.
func Put(b *bytebufferpool.ByteBuffer) {
	if b == nil {
		return
	}
	size := cap(b.B)
	if invariants.Enabled {
		invariants.Mangle(b.B)
	}
	if size < 1<<minShift || size > MaxBytes || size&(size-1) != 0 {
		return
	}
	// The pool tunes itself by the length it sees on Put. Showing it the
	// capacity keeps it from dropping this class's buffers as outsized.
	b.B = b.B[:size]
	pools[class(size)].Put(b)
}

// Class returns the capacity of the buffers that Get(n) hands out.
func Class(n int) int {
	if n > MaxBytes {
		return n
	}
	return 1 << (class(n) + minShift)
}

// class returns the smallest class that holds n bytes.
func class(n int) int {
	if n <= 1<<minShift {
		return 0
	}
	return bits.Len(uint(n-1)) - minShift
}
