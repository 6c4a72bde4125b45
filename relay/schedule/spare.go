package schedule

import "time"

// spare keeps a lane from opening connections for nothing: what is ready may all be
// of senders that are suspended, which only the order knows. A connection that came
// up and found nothing shows that there were enough without it.
type spare struct {
	asked  uint32 // calls of Take
	mark   uint32 // of them when a connection last came up
	enough int    // connections for what can be taken; 0: not known
	run    int    // calls of Take since enough was set
	wider  bool   // enough has grown since a Success told
	barren instant
	vain   uint8 // times in a row that there was nothing at all
	ready  int   // when there was nothing
}

const (
	barrenFirst = time.Second
	barrenMost  = 5 * time.Second
)

// spareLocked looks at a connection that has just ended.
func (l *Lane) spareLocked(at instant, cameUp bool) {
	if !cameUp || l.asked != l.mark || l.ready == 0 {
		return
	}
	if l.state == closed {
		l.enough, l.run = max(l.conns, 1), 0
	}
	if l.conns > 0 {
		return
	}
	l.barren = at + instant(min(barrenFirst<<l.vain, barrenMost))
	l.vain = min(l.vain+1, 8)
	l.spare.ready = l.ready
}

// Hold tells that all that is ready is of senders that are suspended until a moment, so
// that there is nothing to decide before.
func (l *Lane) Hold(now time.Time, ready int, until time.Time) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	l.ready = ready
	l.unlistLocked()
	if l.state == closed {
		l.gateLocked(at, GateFlow, at+instant(until.Sub(now)))
	}
}

// Idle tells that nothing is ready, so that the lane waits for nothing: neither for a
// place nor, as far as the figures go, at a gate. A breaker stays as it is.
func (l *Lane) Idle(now time.Time) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	l.ready = 0
	l.unlistLocked()
	if l.gate != GateBreaker && l.gate != GateCanary {
		l.gateLocked(at, GateNone, 0)
	}
}

// barrenLocked reports that nothing can be taken, as far as is known: a moment ago
// there was nothing, and nothing has come since.
func (l *Lane) barrenLocked(at instant) bool {
	return l.conns == 0 && at < l.barren && l.ready <= l.spare.ready
}

// askedLocked notes that a connection has found something to send. When those that
// are open find a few messages each, more may, too.
func (l *Lane) askedLocked() {
	l.asked++
	l.vain, l.barren = 0, 0
	if l.enough == 0 {
		return
	}
	if l.run++; l.run < l.s.o.PerConnection*l.enough {
		return
	}
	l.run, l.wider = 0, true
	if l.enough *= 2; l.enough > l.window.Size() {
		l.enough = 0
	}
}
