package auth

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	errLine   = errors.New("too many logins wait to be checked")
	errClosed = errors.New("the server ends")
)

// hasher computes slow hashes on a fixed number of goroutines, equal ones once.
// Those of users from addresses that they logged in from before come first, so that
// a flood of guesses does not make them wait; otherwise first come first served.
type hasher struct {
	most    int
	workers sync.WaitGroup

	mu      sync.Mutex // guards following
	wake    *sync.Cond
	known   line
	others  line
	flights map[[32]byte]*flight // in line or under way
	closed  bool
	done    uint64 // flights that were computed
}

// line is what waits: flights[first:].
type line struct {
	flights []*flight
	first   int
}

func (l *line) len() int { return len(l.flights) - l.first }

// pop takes the first flight out; nil: none waits.
func (l *line) pop() *flight {
	if l.len() == 0 {
		return nil
	}
	f := l.flights[l.first]
	l.flights[l.first] = nil
	if l.first++; l.first*2 > len(l.flights) {
		n := copy(l.flights, l.flights[l.first:])
		clear(l.flights[n:])
		l.flights, l.first = l.flights[:n], 0
	}
	return f
}

// flight is one computation and those who wait for it.
type flight struct {
	key     [32]byte
	run     func() (bool, error)
	done    chan struct{} // closed when the result is there
	fits    bool          // guarded by done
	err     error         // guarded by done
	waiting int           // guarded by hasher.mu
}

func newHasher(cores, most int) *hasher {
	h := &hasher{most: most, flights: make(map[[32]byte]*flight)}
	h.wake = sync.NewCond(&h.mu)
	for range cores {
		h.workers.Go(h.work)
	}
	return h
}

// do returns what run returns, once its turn has come. run is not called when
// another with the same key is under way: that one's result is returned, unless it
// was refused by limits that are not this caller's.
func (h *hasher) do(ctx context.Context, key [32]byte, known bool, run func() (bool, error)) (bool, error) {
	for {
		f, joined, err := h.enter(key, known, run)
		if err != nil {
			return false, err
		}
		select {
		case <-f.done:
			if joined && errors.Is(f.err, ErrThrottled) {
				continue
			}
			return f.fits, f.err
		case <-ctx.Done():
			h.leave(f)
			return false, ctx.Err()
		}
	}
}

func (h *hasher) enter(key [32]byte, known bool, run func() (bool, error)) (f *flight, joined bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false, errClosed
	}
	if f = h.flights[key]; f != nil {
		f.waiting++
		return f, true, nil
	}
	to := &h.others
	if known {
		to = &h.known
	}
	if to.len() >= h.most {
		return nil, false, errLine
	}
	f = &flight{key: key, run: run, done: make(chan struct{}), waiting: 1}
	h.flights[key] = f
	to.flights = append(to.flights, f)
	h.wake.Signal()
	return f, false, nil
}

func (h *hasher) leave(f *flight) {
	h.mu.Lock()
	f.waiting--
	h.mu.Unlock()
}

// next waits for a flight that somebody still waits for; nil: the end.
func (h *hasher) next() *flight {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for {
			f := h.known.pop()
			if f == nil {
				f = h.others.pop()
			}
			if f == nil {
				break
			}
			if f.waiting > 0 && !h.closed {
				return f
			}
			f.err = errClosed
			delete(h.flights, f.key)
			close(f.done)
		}
		if h.closed {
			return nil
		}
		h.wake.Wait()
	}
}

// work computes flights until the end. While more wait it rests for a part of the time
// that each took: a hash fills a core and the memory's lines, and what else the
// server does needs its share of both.
func (h *hasher) work() {
	for f := h.next(); f != nil; f = h.next() {
		began := time.Now()
		f.fits, f.err = f.run()
		took := time.Since(began)
		h.mu.Lock()
		delete(h.flights, f.key)
		h.done++
		more := h.known.len()+h.others.len() > 0 && !h.closed
		h.mu.Unlock()
		close(f.done)
		if more {
			time.Sleep(min(took/restShare, mostRest))
		}
	}
}

// restShare and mostRest bound a rest. Measured with a thousand users who log in at
// once beside mail at two fifths of the ceiling, on two cores: without rests 74 % of
// the mail was relayed meanwhile, with them all of it, at 12.4 instead of 15.7 logins/s.
const (
	restShare = 3
	mostRest  = 50 * time.Millisecond // what took longer waited for somebody else
)

func (h *hasher) stats() (waiting int, done uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known.len() + h.others.len(), h.done
}

func (h *hasher) close() {
	h.mu.Lock()
	h.closed = true
	h.wake.Broadcast()
	h.mu.Unlock()
	h.workers.Wait()
}
