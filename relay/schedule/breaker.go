package schedule

import (
	"net/netip"
	"time"

	"postrider/internal/mail"
)

// The states of a breaker.
const (
	closed   = iota // open to mail
	opened          // shut until retry
	halfOpen        // one message tries it
)

// breaker is what a lane knows of failures since its site last took something.
type breaker struct {
	state uint8
	step  uint8 // intervals in a row
	out   bool  // half open: the canary is under way
	sick  bool  // a transaction failed, not just a connection
	retry instant
	again instant // when it closed the last time

	failures int
	cohort   float32 // each failure counts for its part of the connections
	struck   int     // addresses that failed
	streak   uint32  // number of this row of failures, for the peers' marks
	flows    [blockFlows - 1]uint32
	blocked  int // of flows: those that were told that we are blocked
}

// blockFlows is how many senders must be refused as blocked before it is the source
// that is, and not one of them.
const blockFlows = 3

// interval returns how long a breaker stays open after its step-th failure in a
// row.
func interval(step uint8) time.Duration {
	switch step {
	case 0, 1:
		return 30 * time.Second
	case 2:
		return time.Minute
	case 3:
		return 2 * time.Minute
	case 4:
		return 5 * time.Minute
	case 5:
		return 15 * time.Minute
	}
	return 30 * time.Minute
}

const (
	lastStep = 6
	// A breaker that opens again so soon goes on with the next interval.
	relapse = instant(2 * time.Minute)
	// leastJitter is what a jittered interval is at least of the whole.
	leastJitter = 0.1
)

// pairKey names what a reputation is tied to.
type pairKey struct{ source, provider string }

// pair tells the lanes of a source and a provider that the source is blocked there.
type pair struct {
	until  instant
	step   uint8
	reason reason
}

func (s *Scheduler) pairLocked(k Key) *pair {
	key := pairKey{k.Source, k.Provider}
	p := s.pairs[key]
	if p == nil {
		p = &pair{}
		s.pairs[key] = p
	}
	return p
}

// adoptLocked opens the breaker when another lane of the provider has found out
// that the source is blocked.
func (l *Lane) adoptLocked(at instant) {
	if l.pair == nil || at >= l.pair.until || l.state != closed {
		return
	}
	l.state, l.step, l.retry = opened, l.pair.step, l.pair.until
	l.out, l.reason = false, l.pair.reason
	l.gateLocked(at, GateBreaker, l.retry)
	l.leaveLocked(l.conns)
	l.window.Restart()
}

// openBreakerLocked leaves the site alone for the next interval, all of it spread,
// so that the lanes that failed together do not come back together.
func (l *Lane) openBreakerLocked(at instant) {
	if l.state == closed && (l.again == 0 || at-l.again > relapse) {
		l.step = 0
	}
	l.step = min(l.step+1, lastStep)
	whole := float64(interval(l.step))
	l.state, l.out = opened, false
	l.retry = at + instant(whole*(leastJitter+(1-leastJitter)*l.s.o.Random()))
	l.leaveLocked(l.conns)
	l.window.Restart()
	l.wellLocked()
	l.gateLocked(at, GateBreaker, l.retry)
}

// wellLocked ends a row of failures.
func (l *Lane) wellLocked() {
	l.failures, l.cohort, l.struck, l.blocked, l.sick = 0, 0, 0, 0, false
	l.streak++
}

// answeredLocked notes that the site works.
func (l *Lane) answeredLocked(at instant) {
	l.wellLocked()
	l.pauses = 0
	l.site.good = at
	if l.state == halfOpen {
		l.state, l.out, l.again = closed, false, at
		l.gateLocked(at, GateNone, 0)
	}
}

// failLocked counts a failure of an address, zero for the site as a whole, and opens
// the breaker after a cohort of them: as many as there are connections, and of two
// addresses if the site has two. It reports whether the breaker has opened.
func (l *Lane) failLocked(at instant, addr netip.Addr) bool {
	l.failures++
	l.cohort += 1 / float32(max(l.conns, 1))
	if p := l.peerLocked(addr); p == nil {
		l.struck = max(l.struck, l.addresses)
	} else if p.streak != l.streak+1 {
		p.streak = l.streak + 1 // 0 is a peer that has never failed
		l.struck++
	}
	// A sum of thirds may end a little below one.
	if l.state != closed || l.failures < 2 || l.cohort < 0.999 || l.struck < min(l.addresses, 2) {
		return false
	}
	l.openBreakerLocked(at)
	return true
}

// blockLocked counts a refusal of a flow as blocked, and opens the breaker when it
// was not the only one. It reports whether that has happened.
func (l *Lane) blockLocked(at instant, flow uint32) bool {
	for _, f := range l.flows[:l.blocked] {
		if f == flow {
			return false
		}
	}
	if l.blocked < len(l.flows) {
		l.flows[l.blocked] = flow
		l.blocked++
		return false
	}
	l.openBreakerLocked(at)
	if l.pair != nil {
		*l.pair = pair{until: l.retry, step: l.step, reason: l.reason}
	}
	return true
}

// reason is why a lane stands as it does.
type reason struct {
	status mail.Status // the text is our own
	class  mail.Class
	at     instant
}
