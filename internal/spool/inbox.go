package spool

import "sync"

// inbox is where others leave work for the commit goroutine: a linked list of
// writes in the order of their Append, and marks. Nobody waits on it for longer
// than the few instructions under its lock.
type inbox struct {
	wake chan struct{} // one place; filled when the commit goroutine sleeps and has to look

	mu sync.Mutex
	// guards following
	first, last *Write
	urgent      bool   // the list holds a write that is not lazy
	asleep      bool   // the commit goroutine waits on wake
	low         uint64 // as asked for by Advance
	logged      LSN
	synced      LSN
	retire      bool // a released generation lost its last pin
	closing     bool
	err         error // the helper's
}

// put appends w; false when the spool takes no more.
func (in *inbox) put(w *Write) bool {
	in.mu.Lock()
	if in.closing {
		in.mu.Unlock()
		return false
	}
	empty := in.first == nil
	if empty {
		in.first = w
	} else {
		in.last.next = w
	}
	in.last = w
	// A lazy write wakes the sleeper only to have its timer started.
	wake := empty
	if !w.Lazy {
		wake = !in.urgent
		in.urgent = true
	}
	in.unlockAndWake(wake)
	return true
}

// unlockAndWake releases mu and, if asked to, wakes the commit goroutine.
func (in *inbox) unlockAndWake(wake bool) {
	wake = wake && in.asleep
	if wake {
		in.asleep = false
	}
	in.mu.Unlock()
	if wake {
		select {
		case in.wake <- struct{}{}:
		default: // a wake-up is under way already
		}
	}
}

func (in *inbox) advance(low uint64) {
	in.mu.Lock()
	higher := low > in.low
	if higher {
		in.low = low
	}
	in.unlockAndWake(higher)
}

func (in *inbox) setLogged(l LSN) {
	in.mu.Lock()
	if l.Compare(in.logged) > 0 {
		in.logged = l
	}
	in.mu.Unlock()
}

func (in *inbox) setSynced(l LSN) {
	in.mu.Lock()
	in.synced = l
	in.mu.Unlock()
}

func (in *inbox) askRetire() {
	in.mu.Lock()
	in.retire = true
	in.unlockAndWake(true)
}

func (in *inbox) close() {
	in.mu.Lock()
	in.closing = true
	in.unlockAndWake(true)
}

// fail is how the helper reports its error.
func (in *inbox) fail(err error) {
	in.mu.Lock()
	in.err = err
	in.unlockAndWake(true)
}
