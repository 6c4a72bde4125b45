package limit

import "time"

// Window is how many deliveries may be under way to one destination. It opens
// while they succeed and closes when the destination shows that it is
// overloaded: by successes it grows by one for each full window of them (so its
// growth a second does not depend on how wide it is), by a failure it halves.
// After a halving further failures are those of deliveries that were already
// under way, so no second one counts until a window's worth of results has come
// in. Enough failures in a row with no success between them close it for a
// while.
//
// A Window is not safe for concurrent use.
type Window struct {
	c      WindowConfig
	size   int
	credit int // successes since the window last grew
	grace  int // results to come that started before the last halving
	row    int // failures without a success between them
	until  time.Time
}

// WindowConfig bounds a window.
type WindowConfig struct {
	Start int           // 0: 5
	Most  int           // 0: 20
	Dead  int           // failures in a row that close it; 0: never
	Pause time.Duration // for how long it is closed then
}

// NewWindow returns a window at its start size.
func NewWindow(c WindowConfig) *Window {
	if c.Most <= 0 {
		c.Most = 20
	}
	if c.Start <= 0 {
		c.Start = 5
	}
	c.Start = min(c.Start, c.Most)
	return &Window{c: c, size: c.Start}
}

// Size is how many may be under way at now: 0 while closed, at least 1 else.
func (w *Window) Size(now time.Time) int {
	if now.Before(w.until) {
		return 0
	}
	return w.size
}

// OpensAt returns when a closed window opens; the zero time when it is open.
func (w *Window) OpensAt(now time.Time) time.Time {
	if now.Before(w.until) {
		return w.until
	}
	return time.Time{}
}

// Success counts a delivery that the destination took.
func (w *Window) Success() {
	w.row = 0
	w.grace = max(0, w.grace-1)
	w.credit++
	if w.credit >= w.size {
		w.credit = 0
		w.size = min(w.size+1, w.c.Most)
	}
}

// Failure counts a delivery that failed for a reason that belongs to the
// destination (a connection refused, a 421), not to the message.
func (w *Window) Failure(now time.Time) {
	w.credit = 0
	w.row++
	if w.c.Dead > 0 && w.row >= w.c.Dead {
		w.row, w.grace = 0, 0
		w.size = 1
		w.until = now.Add(w.c.Pause)
		return
	}
	if w.grace > 0 {
		w.grace--
		return
	}
	w.grace = w.size - 1
	w.size = max(1, w.size/2)
}
