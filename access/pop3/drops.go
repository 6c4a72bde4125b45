package pop3

import (
	"sync"
	"time"
)

// Drops knows which maildrops are open and when their users logged in last. The
// nil *Drops knows nothing and refuses nobody.
type Drops struct {
	mu sync.Mutex
	// guards following
	open map[string]int
	last map[string]time.Time // of those who logged in within the delay, and some more
	trim int                  // size of last at which those are looked for
}

// NewDrops returns a Drops of which none is open.
func NewDrops() *Drops {
	return &Drops{open: map[string]int{}, last: map[string]time.Time{}, trim: minTrim}
}

const minTrim = 1024

// enter notes that user begins a session at now, or returns the reply that says why
// not. What it grants is given back with leave.
func (d *Drops) enter(user string, exclusive bool, delay time.Duration, now time.Time) (refusal string) {
	if d == nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if exclusive && d.open[user] > 0 {
		return replyInUse
	}
	if delay > 0 {
		if last, ok := d.last[user]; ok && now.Sub(last) < delay {
			return replyDelay
		}
		d.last[user] = now
		d.trimLocked(delay, now)
	}
	d.open[user]++
	return ""
}

// trimLocked forgets who logged in long ago, each time that the table has doubled.
func (d *Drops) trimLocked(delay time.Duration, now time.Time) {
	if len(d.last) < d.trim {
		return
	}
	for user, last := range d.last {
		if now.Sub(last) >= delay {
			delete(d.last, user)
		}
	}
	d.trim = max(minTrim, 2*len(d.last))
}

func (d *Drops) leave(user string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.open[user]; n > 1 {
		d.open[user] = n - 1
	} else {
		delete(d.open, user)
	}
}
