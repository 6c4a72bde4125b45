package outbound

import (
	"sync"
	"time"
)

// families remembers for which sources IPv6 does not work although IPv4 does, as
// with a tunnel that is broken. What is wrong with a single target is not its
// business.
type families struct {
	mu  sync.Mutex // guards following
	bad map[string]*strikes
}

type strikes struct {
	count int // failures of IPv6 in a row, each beside a success of IPv4
	until time.Time
}

const (
	strikesOut     = 3
	shunTime       = 10 * time.Minute // then a single failure is enough for the next
	sourcesInSight = 256              // nothing is remembered for more
)

// shunV6 reports that IPv6 targets should come last.
func (f *families) shunV6(source string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bad == nil {
		return false
	}
	b := f.bad[source]
	return b != nil && b.count >= strikesOut && time.Now().Before(b.until)
}

// worked notes that a connection came up, by IPv6 or after IPv6 had failed.
func (f *families) worked(source string, v6 bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v6 {
		delete(f.bad, source)
		return
	}
	b := f.bad[source]
	if b == nil {
		if len(f.bad) >= sourcesInSight {
			return
		}
		if f.bad == nil {
			f.bad = map[string]*strikes{}
		}
		b = &strikes{}
		f.bad[source] = b
	}
	b.count++
	b.until = time.Now().Add(shunTime)
}
