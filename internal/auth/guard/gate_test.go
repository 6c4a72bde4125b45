package guard

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errServer = errors.New("server failed")

func fails(context.Context) error    { return errServer }
func copes(context.Context) error    { return nil }
func silent(c context.Context) error { <-c.Done(); return c.Err() }

func want(t *testing.T, g *Gate, f func(context.Context) error, err error) {
	t.Helper()
	if got := g.Do(t.Context(), f); !errors.Is(got, err) {
		t.Fatalf("got %v, want %v", got, err)
	}
}

// A server that fails is left alone for longer and longer, a single call finds out
// whether it is back, and one success ends it.
func TestFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Failures: 3, Wait: time.Second, MaxWait: 3 * time.Second})
		want(t, g, fails, errServer)
		want(t, g, fails, errServer)
		want(t, g, copes, nil) // not in a row
		for range 3 {
			want(t, g, fails, errServer)
		}
		for _, wait := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
			time.Sleep(wait - 1)
			want(t, g, copes, ErrDown)
			time.Sleep(time.Nanosecond)
			want(t, g, fails, errServer)
			want(t, g, copes, ErrDown)
		}
		time.Sleep(3 * time.Second)
		hold, done := make(chan struct{}), make(chan error)
		go func() { done <- g.Do(t.Context(), func(context.Context) error { <-hold; return nil }) }()
		synctest.Wait()
		want(t, g, copes, ErrDown) // the trial is under way
		close(hold)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want(t, g, copes, nil)
		if g.Down() {
			t.Error("down after a success")
		}
	})
}

// A silent server holds each caller for Timeout at most, and after the failures
// nobody any more, those included who waited for their turn.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Timeout: 5 * time.Second, Concurrent: 3, Failures: 3})
		start := time.Now()
		var all sync.WaitGroup
		asked, refused := 0, 0
		var mu sync.Mutex
		for range 50 {
			all.Go(func() {
				err := g.Do(t.Context(), silent)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, context.DeadlineExceeded):
					asked++
				case errors.Is(err, ErrDown), errors.Is(err, ErrBusy):
					refused++
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		// Two more may have got a turn between the first failure and the third.
		if took := time.Since(start); took != 5*time.Second || asked < 3 || asked > 5 || asked+refused != 50 {
			t.Errorf("after %v: %d asked, %d refused", took, asked, refused)
		}
		start = time.Now()
		want(t, g, silent, ErrDown)
		if time.Since(start) != 0 {
			t.Error("a call waited for a server that is down")
		}
	})
}

// Callers who go away say nothing about the server, and an abandoned trial is
// followed by another.
func TestCallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Failures: 2})
		gone := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := g.Do(ctx, silent); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
		}
		for range 10 {
			gone()
		}
		want(t, g, copes, nil)
		want(t, g, fails, errServer)
		want(t, g, fails, errServer)
		want(t, g, copes, ErrDown)
		time.Sleep(time.Second)
		gone()
		want(t, g, copes, nil)
	})
}

// A function that panics leaves its turn and its trial to others.
func TestPanic(t *testing.T) {
	g := NewGate(Limits{Concurrent: 1, Failures: 1, Wait: time.Nanosecond, MaxWait: time.Nanosecond})
	want(t, g, fails, errServer)
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic came through")
				}
			}()
			_ = g.Do(t.Context(), func(context.Context) error { panic("f") })
		}()
	}
	want(t, g, copes, nil)
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string, int](3)
		for i, k := range []string{"a", "b", "c"} {
			c.Put(k, i, time.Minute)
		}
		c.Get("a")
		c.Put("d", 3, 2*time.Minute) // in place of b, which was not asked for longest
		for k, known := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
			if _, ok := c.Get(k); ok != known {
				t.Errorf("%s: known %v", k, ok)
			}
		}
		c.Put("a", 7, 2*time.Minute)
		time.Sleep(time.Minute)
		if v, ok := c.Get("a"); !ok || v != 7 {
			t.Errorf("a: %d, %v", v, ok)
		}
		if _, ok := c.Get("c"); ok || c.Len() != 2 {
			t.Errorf("c outlived its time; %d are left", c.Len())
		}
		c.Clear()
		if _, ok := c.Get("a"); ok || c.Len() != 0 {
			t.Error("something was left")
		}
		none := NewCache[int, int](0)
		none.Put(1, 1, time.Hour)
		if _, ok := none.Get(1); ok {
			t.Error("a cache of nothing remembers")
		}
	})
}
