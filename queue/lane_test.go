package queue

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A job wakes one waiter, the one that has waited longest; without a waiter
// OnReady is told. A waiter whose time ends at that moment passes the job on.
func TestOneWaiterWakes(t *testing.T) {
	var told atomic.Int64
	q := open(t, vfs.NewMem(), func(o *Options) { o.OnReady = func(*Lane) { told.Add(1) } })
	l := q.Lane("lane-a.example")
	got := make(chan *Job, 8)
	for range 4 {
		go func() { got <- l.Next(t.Context(), time.Minute, Lease{}, nil) }()
	}
	waiting := func() int {
		q.mu.Lock()
		defer q.mu.Unlock()
		n := 0
		for w := l.waiters.head; w != nil; w = w.next {
			n++
		}
		return n
	}
	until(t, "four wait", func() bool { return waiting() == 4 })
	for n := 3; n >= 0; n-- {
		put(t, q, "x", "u@a.example", "v@a.example")
		if j := <-got; j == nil || len(j.Recipients) != 2 {
			t.Fatalf("leased %+v", j)
		}
		if w := waiting(); w != n || told.Load() != 0 {
			t.Fatalf("%d wait, want %d; OnReady was told %d times", w, n, told.Load())
		}
	}
	put(t, q, "x", "u@a.example")
	if told.Load() != 1 || l.ReadyCount() != 1 {
		t.Errorf("OnReady was told %d times", told.Load())
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Rebind moves what waits with its domain, and wakes the new lane.
func TestRebind(t *testing.T) {
	var lane atomic.Pointer[string]
	first, second := "first", "second"
	lane.Store(&first)
	q := open(t, vfs.NewMem(), func(o *Options) { o.Bind = func(_, _ []byte) string { return *lane.Load() } })
	for range 3 {
		put(t, q, "x", "u@a.example")
	}
	lane.Store(&second)
	got := make(chan *Job)
	go func() { got <- q.Lane("second").Next(t.Context(), time.Minute, Lease{}, nil) }()
	q.Rebind()
	if j := <-got; j == nil {
		t.Fatal("nothing is in the new lane")
	}
	if a, b := q.Lane("first").Waiting(), q.Lane("second").Waiting(); a != 0 || b != 3 {
		t.Errorf("%d and %d wait", a, b)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
