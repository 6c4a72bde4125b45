package schedule

import "time"

// Gate is what keeps a lane from opening another connection, or a connection from
// its next transaction. Every wait has one.
type Gate uint8

// The gates, in the order in which a lane meets them.
const (
	GateNone     Gate = iota
	GateFlow          // the sender is suspended at this site
	GateBreaker       // the site failed, and is left alone for a while
	GateCanary        // one message is trying out whether the site is back
	GateRate          // so many connections or messages a second, or the site asked for a pause
	GateWindow        // as many connections are open as the site copes with
	GateSource        // the source's bound
	GateProvider      // the provider's bound
	GateGlobal        // the bound of all connections, or the site's share of them

	NumGates = iota
)

// String is the gate's word in states, metrics and logs; "" for none.
func (g Gate) String() string {
	switch g {
	case GateNone:
		return ""
	case GateFlow:
		return "flow"
	case GateBreaker:
		return "breaker"
	case GateCanary:
		return "canary"
	case GateRate:
		return "rate"
	case GateWindow:
		return "window"
	case GateSource:
		return "source"
	case GateProvider:
		return "provider"
	case GateGlobal:
		return "global"
	}
	return "unknown"
}

// instant is a moment on the scheduler's own clock: monotonic nanoseconds that
// begin at firstInstant, so that 0 is never.
type instant time.Duration

const firstInstant = instant(24 * time.Hour)

// leap is how far the time may go back without being taken for a clock that was
// put back: calls from many goroutines come a little out of order.
const leap = instant(time.Second)

// atLocked turns the caller's time into ours. What a time with a monotonic reading
// says is the difference by that; when a caller has only a wall clock that is put
// back, ours goes on from where it was, so that nothing stays shut for the hours
// that the clock lost.
func (s *Scheduler) atLocked(now time.Time) instant {
	if s.start.IsZero() {
		s.start = now
	}
	s.wall = now
	at := firstInstant + instant(now.Sub(s.start)) + s.shift
	if at < s.last {
		if s.last-at > leap {
			s.shift += s.last - at
		}
		at = s.last
	}
	s.last = at
	return at
}

// moment is an instant as the buckets want it.
func moment(at instant) time.Time { return time.Unix(0, int64(at)) }

// gateLocked notes at which gate the lane stands, and counts the time that it
// stood at the last.
func (l *Lane) gateLocked(at instant, g Gate, until instant) {
	l.until = until
	if l.gate == g {
		return
	}
	if l.gate != GateNone {
		l.s.waited[l.gate] += time.Duration(at - l.since)
		l.waited[l.gate] += time.Duration(at - l.since)
	}
	l.gate, l.since = g, at
}

// Waited returns how long lanes have stood at each gate, all together.
func (s *Scheduler) Waited(now time.Time) [NumGates]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	w := s.waited
	for _, l := range s.lanes {
		if l.gate != GateNone {
			w[l.gate] += time.Duration(at - l.since)
		}
	}
	return w
}
