//go:build !race

package maillog_test

import (
	"testing"
	"time"
)

// The race detector makes sync.Pool forget on purpose, so this runs without it.
func TestEventsDoNotAllocate(t *testing.T) {
	l := openDiscard(t)
	env, a := sampleAttempt()
	for range 20000 { // both buffers reach their size
		l.Accepted(env, time.Millisecond, time.Millisecond)
	}
	if n := testing.AllocsPerRun(5000, func() {
		l.Accepted(env, time.Millisecond, time.Millisecond)
		l.Delivered(a)
		l.Deferred(a)
	}); n > 0 {
		t.Errorf("an event allocates: %v allocations for three", n)
	}
}
