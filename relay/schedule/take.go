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

// promiseLocked returns how long a connection of n has to wait for a token of an empty
// bucket. Each is given a time of its own, so that they do not all ask for the same
// one.
func (c *caps) promiseLocked(now time.Time, n int) time.Duration {
	wait := time.Duration(bucketWait(c.messages, now, c.messageRate))
	last := now.Add(wait)
	if next := c.promised.Add(c.messageRate.Interval); next.After(last) && !next.After(last.Add(time.Duration(n)*c.messageRate.Interval)) {
		last = next
	}
	c.promised = last
	return last.Sub(now)
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

// paceLocked takes a message's token from each bucket, or none and says how long
// to wait.
func (l *Lane) paceLocked(now time.Time) (gate Gate, wait time.Duration) {
	paces := [...]struct {
		c *caps
		g Gate
	}{{&l.caps, GateRate}, {&l.source.caps, GateSource}, {nil, GateProvider}}
	if l.provider != nil {
		paces[2].c = &l.provider.caps
	}
	for _, p := range paces {
		if p.c != nil && p.c.messageRate.Interval > 0 && p.c.messages.Tokens(now, p.c.messageRate) == 0 {
			if w := p.c.promiseLocked(now, l.conns); w > wait {
				gate, wait = p.g, w
			}
		}
	}
	if wait > 0 {
		return gate, wait
	}
	for _, p := range paces {
		if p.c != nil && p.c.messageRate.Interval > 0 {
			p.c.messages.Take(now, p.c.messageRate, 1)
		}
	}
	return GateNone, 0
}
