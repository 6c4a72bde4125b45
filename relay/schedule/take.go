package schedule

import "time"

// Take asks for the next transaction of a connection. When it may not be begun, wait
// says after which time to ask again; 0 means that the connection shall end.
func (l *Lane) Take(now time.Time, flow uint32) (ok bool, wait time.Duration) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	l.askedLocked()
	l.adoptLocked(at)
	switch l.state {
	case opened:
		return false, 0
	case halfOpen:
		if l.out {
			return false, 0
		}
	case closed:
		if l.conns-l.leaving > l.window.Size() || s.yieldsLocked(l.site) {
			l.leaveLocked(min(l.leaving+1, l.conns))
			return false, 0
		}
	}
	gate, wait := GateRate, time.Duration(l.pause-at)
	if wait <= 0 {
		gate, wait = l.paceLocked(moment(at))
	}
	if wait > 0 {
		l.gateLocked(at, gate, at+instant(wait))
		if wait > longestHold {
			l.enough, l.run = max(l.conns-l.leaving-1, 1), 0
			l.leaveLocked(min(l.leaving+1, l.conns))
			return false, 0
		}
		return false, wait
	}
	l.out = l.state == halfOpen
	return true, 0
}

// longestHold is for how long a connection is kept that may send nothing: the place
// is of more use to others, and the peer would end it soon.
const longestHold = 10 * time.Second

// leaveLocked sets how many of the lane's connections were told to end.
func (l *Lane) leaveLocked(n int) {
	l.s.leaving += n - l.leaving
	l.site.leaving += n - l.leaving
	l.leaving = n
}
