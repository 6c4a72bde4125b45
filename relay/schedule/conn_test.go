package schedule

import (
	"net/netip"
	"time"

	"postrider/internal/mail"
)

// simConn is one connection.
type simConn struct {
	l       *simLane
	targets []mail.Target
	host    *simHost
	born    time.Time
}

// connLife is for how long a connection is used.
const connLife = 5 * time.Minute

func (c *simConn) open() {
	l := c.l
	var ts []mail.Target
	for _, h := range l.site.hosts {
		ts = append(ts, mail.Target{Addr: h.addr, Preference: 10})
	}
	c.targets = l.gates.Pick(l.w.clock(), ts, 0)
	c.try()
}

func (c *simConn) try() {
	l := c.l
	if len(c.targets) == 0 {
		c.end()
		return
	}
	target := c.targets[0]
	c.targets = c.targets[1:]
	for _, h := range l.site.hosts {
		if h.addr == target.Addr {
			l.site.dials++
			l.w.after(h.dial, func() { c.answer(h, target) })
			return
		}
	}
	l.w.t.Fatalf("unknown target %v", target)
}

// answer is the end of a dial.
func (c *simConn) answer(h *simHost, target mail.Target) {
	l, s := c.l, c.l.site
	switch {
	case h.dead:
		l.gates.Heard(l.w.clock(), mail.Hearing{Target: target, Status: dead, Class: mail.ClassConnection})
		c.try()
	case s.limit > 0 && s.open >= s.limit && !s.late:
		s.refused++
		l.gates.Heard(l.w.clock(), mail.Hearing{Target: target, Status: busy, Class: mail.ClassConnection})
		c.end()
	default:
		c.host, c.born = h, l.w.now
		s.open++
		h.open++
		h.most = max(h.most, h.open)
		l.gates.Heard(l.w.clock(), mail.Hearing{Target: target, Connect: true, Micros: h.dial.Microseconds()})
		c.next()
	}
}

func (c *simConn) next() {
	l := c.l
	if l.w.now.Sub(c.born) > connLife {
		c.end()
		return
	}
	m := l.lease()
	if m == nil {
		c.end()
		return
	}
	ok, wait := l.gates.Take(l.w.clock(), m.flow)
	if !ok {
		l.back(m)
		if wait > 0 {
			l.w.after(wait, c.next)
		} else {
			c.end()
		}
		return
	}
	if m.seen != nil {
		m.seen()
	}
	m.tries++
	l.site.started++
	began := l.w.now
	l.w.after(c.host.takes, func() { c.done(m, began) })
}

func (c *simConn) done(m *simMail, began time.Time) {
	l, s := c.l, c.l.site
	class := mail.ClassNone
	switch {
	case s.limit > 0 && s.open > s.limit && s.late:
		class = mail.ClassConnection
	case s.reply != nil:
		class = s.reply(m)
	}
	addr := c.host.addr.Addr()
	if c.host.dead {
		class = mail.ClassTimeout
	}
	if class == mail.ClassNone {
		l.order.Done(m.flow)
		s.delivered++
		s.byFlow[m.flow]++
		if l.gates.Success(l.w.clock(), m.flow, addr, l.w.now.Sub(began)) {
			l.wake()
		}
		c.next()
		return
	}
	e := l.gates.Trouble(l.w.clock(), m.flow, addr, class, 0)
	if e.SuspendFlow > 0 {
		l.order.Suspend(m.flow, l.w.clock().Add(e.SuspendFlow).UnixMilli())
	}
	if e.Private {
		s.deferred++
		l.order.Done(m.flow)
		wait := l.w.retry.Next(class, m.tries, 0, 0, l.w.random.Float64())
		m.bucket, m.band = m.bucket|3, BandRetry
		l.w.after(wait, func() {
			l.add(m)
			l.wake()
		})
	} else {
		l.back(m)
	}
	if class.Site() {
		c.end()
	} else {
		c.next()
	}
}

func (c *simConn) end() {
	l := c.l
	addr := netip.Addr{}
	if c.host != nil {
		addr = c.host.addr.Addr()
		c.host.open--
		l.site.open--
	}
	if other := l.gates.Closed(l.w.clock(), addr); other != nil {
		other.Tag.(*simLane).wake()
	}
	l.wake()
}
