package schedule

import (
	"net/netip"
	"time"

	"postrider/internal/limit"
)

// Lane is the gates between one source and one site.
type Lane struct {
	// Tag is the owner's; the scheduler does not look at it.
	Tag any

	s   *Scheduler
	key Key

	// Guarded by Scheduler.mu.
	caps
	site     *site
	provider *group // nil: none
	source   *group
	pair     *pair // nil: no provider
	window   limit.Window

	ready   int
	conns   int // open or being opened
	up      int // of those: came up
	leaving int // of those: were told to end
	rested  instant

	gate   Gate
	since  instant
	until  instant
	waited [NumGates]time.Duration // at each gate before this one

	breaker
	pause  instant // the site asked for one until then
	pauses uint8   // in a row
	took   float32 // seconds of a message, smoothed
	usual  float32 // the same, over long
	busy   instant // it last asked for less

	peers     []peer
	addresses int // of the site, as last seen
	strikes   map[uint32]strike
	reason    reason
	spare

	list       *laneList // of lanes that wait for a place; nil: in none
	next, prev *Lane
}

// Decision says how many connections to open now; they are counted as opened, so
// that each must end in a call of Closed.
type Decision struct {
	Open  int
	Gate  Gate      // what stands in the way of more; GateNone: there is no need for more
	Since time.Time // it has since then
	Until time.Time // look again then; zero: something will happen that tells
	// Probe says that the connection tries out whether the site is back: the lane's
	// Order should prefer who waits in front of a screen.
	Probe bool
}

// placeWait is how long a lane waits for a place before it looks again by itself.
const placeWait = 10 * time.Second

// Decide says what a lane that has ready recipients should open.
func (l *Lane) Decide(now time.Time, ready int) Decision {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	l.ready = ready
	if rest := time.Duration(at - l.rested); l.conns == 0 && l.rested != 0 && rest >= limit.IdleWindow {
		l.window.Idle(rest)
		l.rested = at
	}
	d := Decision{}
	var list *laneList
	gate, until := GateNone, instant(0)
	if ready > 0 {
		gate, until = l.shutLocked(at)
		if gate == GateNone && l.barrenLocked(at) {
			gate, until = GateFlow, l.barren
		}
		for gate == GateNone && l.wantsLocked() {
			if gate, until, list = l.placeLocked(at); gate == GateNone {
				l.openLocked(at)
				d.Open++
			}
		}
		if gate == GateNone && l.crampedLocked() {
			gate = GateWindow
			if l.state == halfOpen {
				gate = GateCanary
			}
		}
	}
	if l.list != list {
		l.unlistLocked()
		l.listLocked(list)
	}
	l.gateLocked(at, gate, until)
	d.Gate, d.Probe = gate, l.state == halfOpen
	if gate != GateNone {
		d.Since = now.Add(-time.Duration(at - l.since))
	}
	if until > at {
		d.Until = now.Add(time.Duration(until - at))
	}
	return d
}

// shutLocked returns the gate that lets nothing through at all.
func (l *Lane) shutLocked(at instant) (Gate, instant) {
	l.adoptLocked(at)
	if l.state == opened {
		if at < l.retry {
			return GateBreaker, l.retry
		}
		l.state, l.out = halfOpen, false
		l.leaveLocked(l.conns)
	}
	if at < l.pause {
		return GateRate, l.pause
	}
	return GateNone, 0
}

// wantsLocked reports that the lane's work calls for another connection, and that
// the window has room for it.
func (l *Lane) wantsLocked() bool {
	if l.state == halfOpen {
		return l.conns-l.leaving < 1
	}
	open := l.conns - l.leaving
	return open < l.neededLocked() && l.conns < l.window.Size()
}

// neededLocked is how many connections the work calls for.
func (l *Lane) neededLocked() int {
	n := 1 + (l.ready-1)/l.s.o.PerConnection
	if l.enough > 0 {
		n = min(n, l.enough)
	}
	return n
}

// crampedLocked reports that the lane would open more if its window let it.
func (l *Lane) crampedLocked() bool {
	return l.conns-l.leaving < l.neededLocked() || l.state == halfOpen
}

// placeLocked says which bound stands in the way of one more connection, until
// when, and in which line to wait for it.
func (l *Lane) placeLocked(at instant) (Gate, instant, *laneList) {
	now := moment(at)
	if l.connects.Tokens(now, l.connectRate) == 0 {
		return GateRate, at + bucketWait(l.connects, now, l.connectRate), nil
	}
	look := at + instant(placeWait)
	for i, g := range [...]*group{l.source, l.provider} {
		if g == nil {
			continue
		}
		gate := GateSource + Gate(i)
		if g.most > 0 && g.conns >= g.most {
			return gate, look, &g.waiting
		}
		if g.connects.Tokens(now, g.connectRate) == 0 {
			return gate, at + bucketWait(g.connects, now, g.connectRate), nil
		}
	}
	// A connection that may not send is none too few: with others open, or a while to
	// go, it would only wait.
	if gate, wait := l.emptyLocked(now); wait > connectAhead || wait > 0 && l.conns > 0 {
		return gate, at + instant(wait), nil
	}
	if !l.s.roomLocked(l.site, at) {
		return GateGlobal, look, &l.site.waiting
	}
	return GateNone, 0, nil
}

// connectAhead is how long before it may send a connection is opened.
const connectAhead = 200 * time.Millisecond

// bucketWait is how long until a bucket has a token.
func bucketWait(b limit.Bucket, now time.Time, r limit.Rate) instant {
	wait, _ := b.Take(now, r, 1) // of a copy
	return instant(wait)
}

// openLocked counts a connection that placeLocked has let through.
func (l *Lane) openLocked(at instant) {
	now := moment(at)
	l.connects.Take(now, l.connectRate, 1)
	l.conns++
	for _, g := range [...]*group{l.source, l.provider} {
		if g != nil {
			g.conns++
			g.connects.Take(now, g.connectRate, 1)
		}
	}
	l.s.holdLocked(l.site, at, 1)
}

// Closed tells that a connection which Decide has let open has ended; addr is the
// address that it was up with, zero when it never came up. It returns a lane that
// waited for the place, nil when there is none: its owner should let it decide, before
// the one that has given the place up.
func (l *Lane) Closed(now time.Time, addr netip.Addr) *Lane {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	if l.conns == 0 {
		return nil
	}
	l.conns--
	l.spareLocked(at, addr.IsValid())
	l.leaveLocked(max(l.leaving-1, 0))
	if addr.IsValid() {
		l.up = max(l.up-1, 0)
		if p := l.peerLocked(addr); p != nil {
			p.open = max(p.open-1, 0)
		}
	}
	if l.conns == 0 {
		l.rested, l.up = at, 0
		l.leaveLocked(0)
	}
	for _, g := range [...]*group{l.source, l.provider} {
		if g != nil {
			g.conns--
		}
	}
	s.holdLocked(l.site, at, -1)
	if l.state == halfOpen && l.conns-l.leaving <= 0 {
		l.out = false
		if l.failures > 0 { // the canary never got through
			l.openBreakerLocked(at)
		}
	}
	return s.nextLocked(l, at)
}
