package schedule

import (
	"net/netip"
	"time"

	"postrider/internal/mail"
)

// Effect is what follows from a transaction that failed.
type Effect struct {
	// Private says that the trouble is the message's or the recipient's, so that the
	// recipients get a due time of their own. Else they stay ready, and the lane's
	// gates say when they are tried again.
	Private bool
	// SuspendFlow is for how long the lane's Order should pass over the flow; 0: not.
	SuspendFlow time.Duration
	// Opened says that the breaker has just opened.
	Opened bool
}

// Bounds of what a site asks for, and of what it gets unasked.
const (
	maxPause     = 30 * time.Minute
	pauseFirst   = 5 * time.Second
	pauseMost    = 5 * time.Minute
	suspendFirst = 5 * time.Minute
	suspendMost  = time.Hour
)

// Heard tells what came of trying a target.
func (l *Lane) Heard(now time.Time, h mail.Hearing) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	p := l.peerLocked(h.Target.Addr.Addr())
	if h.Connect {
		l.up = min(l.up+1, l.conns)
		l.mark = l.asked
		if p != nil {
			p.open++
			if p.sick == 0 {
				p.fails, p.out = 0, 0
			}
		}
		if !l.sick {
			l.wellLocked() // one address of several is enough
		}
		return
	}
	l.reasonLocked(at, h.Status, h.Class)
	switch {
	case h.Class == mail.ClassRate || h.Status.Code == 421:
		l.tooManyLocked(at, l.up+1)
	case h.Class == mail.ClassReputation: // it is about our address: another one of theirs says the same
	case p != nil:
		l.ejectLocked(p, at)
	}
	if l.failLocked(at, h.Target.Addr.Addr()) && h.Class == mail.ClassReputation && l.pair != nil {
		*l.pair = pair{until: l.retry, step: l.step, reason: l.reason}
	}
	if l.state == closed && h.Status.Code != 421 && 2*l.struck >= l.addresses {
		l.window.Shrink(l.conns)
	}
}

// tooManyLocked answers a site that asks for less.
func (l *Lane) tooManyLocked(at instant, inUse int) {
	l.busy = at
	if l.window.Size() > 1 {
		if l.up > 0 {
			l.window.Loss(inUse, l.conns)
		} else {
			l.window.Shrink(l.conns)
		}
		return
	}
	// Less than one connection is one with pauses.
	d := min(pauseFirst<<min(l.pauses, 6), pauseMost)
	l.pauses++
	l.pauseLocked(at, time.Duration(float64(d)*(0.75+0.5*l.s.o.Random())))
}

func (l *Lane) pauseLocked(at instant, d time.Duration) {
	l.pause = max(l.pause, at+instant(min(d, maxPause)))
}

// Success tells that the site took a message of a flow. It reports whether the lane
// may now open more than before, so that it should decide.
func (l *Lane) Success(now time.Time, flow uint32, addr netip.Addr, took time.Duration) (more bool) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	l.asked++ // so that a connection that has delivered is never taken for an idle one
	was, shut := l.window.Size(), l.state != closed
	l.answeredLocked(at)
	if l.slowerLocked(took) {
		l.window.Answer()
	} else {
		l.window.Success(l.conns, l.up)
	}
	s.sureLocked(l.site, took < slowTook)
	if p := l.peerLocked(addr); p != nil {
		p.fails, p.sick, p.out = 0, 0, 0
		p.tookLocked(took)
	}
	if len(l.strikes) > 0 {
		delete(l.strikes, flow)
	}
	if l.wider {
		l.wider = false
		return true
	}
	return shut || l.gate == GateWindow && l.window.Size() > was
}

// Trouble tells that a transaction failed for a reason of class; asked is for how
// long the reply wants to be left alone, 0 when it does not say.
func (l *Lane) Trouble(now time.Time, flow uint32, addr netip.Addr, class mail.Class, asked time.Duration) Effect {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	if !class.Site() {
		l.answeredLocked(at)
		l.window.Answer()
		return Effect{Private: true}
	}
	if l.state == opened { // of a connection that was under way; nothing new is in it
		return Effect{}
	}
	canary, first := l.state == halfOpen, l.failures == 0
	floor := l.window.Size() == 1
	l.reasonLocked(at, mail.Status{}, class)
	l.sick = true
	e := Effect{}
	switch class {
	case mail.ClassReputation:
		e.SuspendFlow = l.strikeLocked(at, flow, class, 0)
		e.Opened = l.state == closed && l.blockLocked(at, flow)
	case mail.ClassRate, mail.ClassConnection:
		e.Private = first && floor
		if l.state == closed {
			l.tooManyLocked(at, l.up)
		}
		if asked > 0 {
			if first && flow != 0 {
				e.SuspendFlow = l.strikeLocked(at, flow, class, asked)
			} else {
				l.pauseLocked(at, asked)
			}
		}
		e.Opened = l.failLocked(at, addr)
	default:
		e.Private = first
		if p := l.peerLocked(addr); p != nil {
			if p.sick = min(p.sick+1, sickPeer); p.sick == sickPeer {
				l.ejectLocked(p, at)
			}
		}
		e.Opened = l.failLocked(at, addr)
	}
	if canary {
		// The next canary is another message: this one may be what the site cannot bear.
		l.openBreakerLocked(at)
		e.Private, e.Opened = true, true
	}
	return e
}

// slowerLocked reports that the site takes much longer for a message than it did: more
// connections would only wait longer. What it usually takes is followed down at once
// and up slowly.
func (l *Lane) slowerLocked(took time.Duration) bool {
	sec := float32(took.Seconds())
	if l.usual == 0 {
		l.took, l.usual = sec, sec
		return false
	}
	l.took += (sec - l.took) / 8
	if l.took < l.usual {
		l.usual = l.took
	} else {
		l.usual += (l.took - l.usual) / 256
	}
	return l.took > slowerFactor*l.usual+slowerLeast && l.window.Size() > slowerWindow
}

// A lane stops growing when its site takes slowerFactor times as long as usual and
// slowerLeast seconds more; up to slowerWindow connections it grows nevertheless.
const (
	slowerFactor = 3
	slowerLeast  = 0.1
	slowerWindow = 4
)

// strike is a flow's suspension at the lane.
type strike struct {
	since, until instant
	class        mail.Class
	n            uint8
}

const maxStrikes = 1024

// strikeLocked suspends a flow and returns for how long.
func (l *Lane) strikeLocked(at instant, flow uint32, class mail.Class, asked time.Duration) time.Duration {
	if l.strikes == nil {
		l.strikes = map[uint32]strike{}
	}
	st, known := l.strikes[flow]
	if !known && len(l.strikes) >= maxStrikes {
		for f := range l.strikes { // any: a flow that is forgotten begins with a short suspension again
			delete(l.strikes, f)
			break
		}
	}
	if at < st.until { // replies of transactions that were under way
		return time.Duration(st.until - at)
	}
	d := min(suspendFirst<<min(st.n, 5), suspendMost)
	d = time.Duration(float64(d) * (0.75 + 0.5*l.s.o.Random()))
	if asked > 0 {
		d = min(asked, suspendMost)
	}
	l.strikes[flow] = strike{since: at, until: at + instant(d), class: class, n: st.n + 1}
	return d
}

func (l *Lane) reasonLocked(at instant, s mail.Status, class mail.Class) {
	text := append(l.reason.status.Text[:0:0], s.Text...)
	s.Text = text
	l.reason = reason{status: s, class: class, at: at}
}
