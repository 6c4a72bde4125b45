// Package guard stands between the mail server and a user database that lies over
// a network. It bounds how many ask at once and how long each may wait, stops
// asking a server that fails (so that a dead one costs a session microseconds
// and not seconds), and remembers for a short while what was found.
//
// Guarantees:
//
//   - No trouble of the server, of the network or of this package ever looks like
//     a user who does not exist or a wrong password: it is an error, which is
//     temporary to the caller.
//   - A call ends within Limits.Timeout, whatever the server does, as long as the
//     function under it obeys its context.
//   - Only what was found is remembered. A user who was just made is known at once;
//     one who was changed or removed, after Options.TTL at the latest.
//
// # Concurrency
//
// All types are safe for concurrent use, and start no goroutine. No lock is held
// while a function of the caller runs.
package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Why a Gate did not ask.
var (
	ErrDown = errors.New("server failed before and is not asked for now")
	ErrBusy = errors.New("too many ask the server at once")
)

// Limits are those of a Gate.
type Limits struct {
	Timeout    time.Duration // of a call, with the wait for its turn; 0: 5 s
	Concurrent int           // calls at once; 0: 16
	Failures   int           // in a row, after which the server is left alone; 0: 3
	Wait       time.Duration // how long at first, doubled by each try that fails; 0: 1 s
	MaxWait    time.Duration // and at most; 0: 30 s
}

func (l Limits) filled() Limits {
	if l.Timeout <= 0 {
		l.Timeout = 5 * time.Second
	}
	if l.Concurrent <= 0 {
		l.Concurrent = 16
	}
	if l.Failures <= 0 {
		l.Failures = 3
	}
	if l.Wait <= 0 {
		l.Wait = time.Second
	}
	if l.MaxWait <= 0 {
		l.MaxWait = 30 * time.Second
	}
	l.MaxWait = max(l.MaxWait, l.Wait)
	return l
}

// Gate lets calls through to a server while it copes.
type Gate struct {
	l     Limits
	turns chan struct{}

	mu       sync.Mutex // guards following
	failures int        // in a row
	wait     time.Duration
	until    time.Time // not before then, when failures reached the limit
	trying   bool      // a trial is under way
}

// NewGate returns a Gate that is open.
func NewGate(l Limits) *Gate {
	l = l.filled()
	return &Gate{l: l, turns: make(chan struct{}, l.Concurrent)}
}

// Do calls f when the server is worth asking, and returns what it returned. An
// error of f is a failure of the server; what the server says of the matter itself
// must not be one. ErrDown and ErrBusy say that f was not called.
func (g *Gate) Do(ctx context.Context, f func(ctx context.Context) error) error {
	if !g.open() { // before anything that waits
		return ErrDown
	}
	inner, cancel := context.WithTimeout(ctx, g.l.Timeout)
	defer cancel()
	select {
	case g.turns <- struct{}{}:
	case <-inner.Done():
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return ErrBusy
	}
	defer func() { <-g.turns }()
	if inner.Err() != nil && ctx.Err() == nil { // the turn came at the last moment, which says nothing about the server
		return ErrBusy
	}
	trial, ok := g.enter()
	if !ok {
		return ErrDown
	}
	var err error
	counts := false // as long as f has not returned, nothing is known
	defer func() { g.leave(err, trial, counts) }()
	err = f(inner)
	counts = err == nil || ctx.Err() == nil // a caller who went away says nothing about the server
	if err != nil && ctx.Err() == nil && inner.Err() != nil {
		return fmt.Errorf("no answer within %v: %w", g.l.Timeout, err)
	}
	return err
}

// Down reports whether calls are refused for now.
func (g *Gate) Down() bool { return !g.open() }

func (g *Gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.openLocked(time.Now())
}

func (g *Gate) openLocked(now time.Time) bool {
	return g.failures < g.l.Failures || !g.trying && !now.Before(g.until)
}

// enter is open for the one who calls next. A server that failed gets a single call,
// the trial, which finds out for all.
func (g *Gate) enter() (trial, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.openLocked(time.Now()) {
		return false, false
	}
	if g.failures >= g.l.Failures {
		g.trying, trial = true, true
	}
	return trial, true
}

// leave learns from a call, unless it says nothing.
func (g *Gate) leave(err error, trial, counts bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if trial {
		g.trying = false
	}
	if !counts {
		return
	}
	if err == nil {
		g.failures, g.wait = 0, 0
		return
	}
	if g.failures < g.l.Failures {
		g.failures++
	}
	if g.failures == g.l.Failures {
		now := time.Now()
		if now.Before(g.until) { // calls that were under way when it failed say it once
			return
		}
		g.wait = min(max(2*g.wait, g.l.Wait), g.l.MaxWait)
		g.until = now.Add(g.wait)
	}
}
