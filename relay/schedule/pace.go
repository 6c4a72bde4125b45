package schedule

import "time"

// pace is a message rate and the gate as which it stands in the way.
type pace struct {
	c    *caps
	gate Gate
}

// pacesLocked returns the rates that messages of the lane keep to.
func (l *Lane) pacesLocked() [3]pace {
	p := [3]pace{{&l.caps, GateRate}, {&l.source.caps, GateSource}}
	if l.provider != nil {
		p[2] = pace{&l.provider.caps, GateProvider}
	}
	for i := range p {
		if p[i].c != nil && p[i].c.messageRate.Interval <= 0 {
			p[i].c = nil
		}
	}
	return p
}

// emptyLocked returns how long until each message bucket has a token again, and for
// which that is longest.
func (l *Lane) emptyLocked(now time.Time) (gate Gate, wait time.Duration) {
	for _, p := range l.pacesLocked() {
		if p.c == nil || p.c.messages.Tokens(now, p.c.messageRate) > 0 {
			continue
		}
		if w := time.Duration(bucketWait(p.c.messages, now, p.c.messageRate)); w > wait {
			gate, wait = p.gate, w
		}
	}
	return gate, wait
}

// paceLocked takes a message's token from each bucket, or none and says how long
// to wait.
func (l *Lane) paceLocked(now time.Time) (gate Gate, wait time.Duration) {
	paces := l.pacesLocked()
	for _, p := range paces {
		if p.c == nil || p.c.messages.Tokens(now, p.c.messageRate) > 0 {
			continue
		}
		if w := p.c.promiseLocked(now, l.conns); w > wait {
			gate, wait = p.gate, w
		}
	}
	if wait > 0 {
		return gate, wait
	}
	for _, p := range paces {
		if p.c != nil {
			p.c.messages.Take(now, p.c.messageRate, 1)
		}
	}
	return GateNone, 0
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
