package relay

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/schedule"
	"postrider/relay/site"
)

// A connection is added to a lane for every jobsPerConnection ready recipients that
// no connection waits for: a pipelining connection carries that many at once, so
// fewer would leave it idle and more would only add connections.
const jobsPerConnection = 8

// lane is the recipients that leave by one source to one site, and the
// connections to it. How many connections there may be, and when, is for its
// gates to say (relay/schedule); in which order its messages leave, for its Order.
// While no gate is open nothing is written for what waits.
type lane struct {
	e     *Engine
	q     *queue.Lane
	to    *destination   // when it was made; a login or TLS policy may have changed since
	gates *schedule.Lane // nil: no server stands behind it
	site  *metrics.Site

	broken    atomic.Bool  // the breaker was open when note looked last
	failures  atomic.Int32 // connections in a row that did not come up
	oneDomain atomic.Bool  // the site has refused recipients of several domains in one transaction

	mu          sync.Mutex // guards following
	connections int        // goroutines in run
	probing     bool       // the order was told that the site is being tried out
	dnsUntil    time.Time  // the site's addresses are not asked for before
	dnsSince    time.Time  // they are not known since; meaningful while dnsFailures > 0
	dnsFailures int        // in a row
	said        kept       // the last reply that told of the site's trouble
	saidAt      time.Time
	alarm       *time.Timer
	alarmAt     time.Time
}

// wake opens the connections that the lane's work calls for and its gates allow.
// It never blocks.
func (l *lane) wake() {
	if l.to.resolves || l.e.transport(l.to.hop.Kind) == nil {
		return
	}
	ready, opens := l.q.Look()
	if ready == 0 {
		if l.gates != nil {
			l.gates.Idle(l.e.o.Clock())
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.e.pull.Err() != nil: // under the lock, for Drain
		return
	case !opens.IsZero() && l.gates != nil:
		l.gates.Hold(l.e.o.Clock(), ready, opens)
		l.setAlarmLocked(opens)
		return
	case l.to.hop.Kind == mail.HopLocal:
		l.startLocked(min(ready, localWorkers-l.connections))
		return
	case l.gates == nil:
		if l.connections == 0 {
			l.startLocked(1)
		}
		return
	}
	if now := l.e.o.Clock(); now.Before(l.dnsUntil) {
		l.setAlarmLocked(l.dnsUntil)
		return
	}
	d := l.gates.Decide(l.e.o.Clock(), ready)
	if d.Open > 0 && d.Probe != l.probing {
		l.probing = d.Probe
		l.probe(d.Probe)
	}
	l.startLocked(d.Open)
	switch {
	case !d.Until.IsZero():
		l.setAlarmLocked(d.Until)
	case d.Open == 0 && d.Gate == schedule.GateNone && l.connections == 0:
		// Something is ready and no gate is shut, yet no connection took it: what is
		// ready is of senders that are suspended here.
		l.setAlarmLocked(l.e.o.Clock().Add(flowCheck))
	}
}

func (l *lane) startLocked(n int) {
	for range n {
		l.connections++
		l.e.connections.Add(1)
		go l.run()
	}
}

// setAlarmLocked makes the lane look again at the time given, or earlier if it is
// to look earlier already.
func (l *lane) setAlarmLocked(at time.Time) {
	if l.alarm != nil && !l.alarmAt.IsZero() && !at.Before(l.alarmAt) {
		return
	}
	wait := max(at.Sub(l.e.o.Clock()), time.Millisecond)
	l.alarmAt = at
	if l.alarm == nil {
		l.alarm = time.AfterFunc(wait, l.ring)
		return
	}
	l.alarm.Reset(wait)
}

// flowCheck is how often a lane looks whether a suspended sender's mail may go.
const flowCheck = 5 * time.Second

// probe tells the lane's order whether the site is being tried out.
func (l *lane) probe(on bool) {
	l.q.With(func(o queue.Order) {
		if p, ok := o.(interface{ Probe(on bool) }); ok {
			p.Probe(on)
		}
	})
}

// ring is the alarm.
func (l *lane) ring() {
	l.mu.Lock()
	l.alarmAt = time.Time{}
	l.mu.Unlock()
	l.wake()
}

// run is the life of one connection.
func (l *lane) run() {
	defer l.e.connections.Done()
	src := &source{l: l}
	var err error
	if t := l.e.transport(l.to.hop.Kind); t != nil {
		err = l.serve(t, src)
	}
	src.release()
	l.mu.Lock()
	l.connections--
	l.mu.Unlock()
	if l.gates != nil {
		switch {
		case isNoDNS(err):
			l.waitForDNS(statusOf(err))
		case err != nil && !src.heard:
			l.failed(err)
		}
		l.countFailures(err)
		if next := l.gates.Closed(l.e.o.Clock(), src.addr); next != nil {
			if other, ok := next.Tag.(*lane); ok && other != l {
				other.wake()
			}
		}
		l.note(l.e.o.Clock(), err) // a canary that did not get through
	}
	if l.gates == nil && !src.took {
		l.pause() // what is ready cannot be leased now: the spool is short of room
		return
	}
	l.wake()
}

// pause has the lane look again after a while.
func (l *lane) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.e.pull.Err() == nil {
		l.setAlarmLocked(l.e.o.Clock().Add(flowCheck))
	}
}

// serve makes one connection and lets it work.
func (l *lane) serve(t Transport, src *source) error {
	start := l.e.o.Clock()
	eg, st := l.egress()
	if !st.IsZero() {
		return &routeError{st}
	}
	src.lease = queue.Lease{MaxRecipients: eg.MaxRecipients, MixDomains: eg.Hop.Kind != mail.HopMX || l.e.mixes(l.to.provider)}
	if eg.Hop.Kind == mail.HopMX {
		src.dns = max(0, l.e.o.Clock().Sub(start))
	}
	if l.gates != nil {
		eg.Heard = src.hear
	}
	return t.Serve(l.e.work, l.e.pull.Done(), eg, src)
}

// egress says how the next connection is made. A status is why none can be.
func (l *lane) egress() (*mail.Egress, mail.Status) {
	e := l.e
	rules, to := e.rules.Load(), e.destination(l.q.Key())
	caps := e.capsOf(rules, to)
	eg := &mail.Egress{
		Hop: to.hop, Site: l.q.Key(), MaxMessages: caps.MessagesPerConnection,
		MaxRecipients: cmp.Or(caps.RecipientsPerTransaction, e.o.RecipientsPerTransaction),
	}
	src := rules.Routes.Source(to.source)
	if src != nil {
		eg.Source = src.SourceHost
	}
	if to.plan != nil {
		eg.Login, eg.TLS = to.plan.Login, rules.Routes.TLS(nil, to.plan)
		if to.waived {
			eg.TLS = mail.TLSPolicy{}
		}
	}
	if to.hop.Kind != mail.HopMX {
		return eg, mail.Status{}
	}
	s := e.dir.Site(to.site)
	if s == nil {
		e.rebindSoon() // it is forgotten with the last of its domains: they are to be looked up
		return nil, statusUnresolved
	}
	eg.Site, eg.TLS = s.Key, s.TLS
	ctx, cancel := context.WithTimeout(e.work, targetsPatience) // a place for a connection is held meanwhile
	defer cancel()
	defer context.AfterFunc(e.pull, cancel)()
	targets, st := site.Targets(ctx, e.o.Resolver, s, e.siteOptions(), nil)
	if !st.IsZero() {
		return nil, st
	}
	if src != nil {
		targets = slices.DeleteFunc(targets, func(t mail.Target) bool { return !src.Reaches(t.Addr.Addr()) })
	}
	if len(targets) == 0 {
		return nil, statusUnreachable
	}
	l.mu.Lock()
	l.dnsFailures, l.dnsUntil = 0, time.Time{}
	l.mu.Unlock()
	eg.Targets = l.gates.Pick(e.o.Clock(), targets, len(targets))
	return eg, mail.Status{}
}

var (
	statusUnresolved  = mail.NewStatus(451, 4, 4, 3, "the mail exchangers of the domain are being looked up")
	statusUnreachable = mail.NewStatus(451, 4, 4, 4, "no address of the mail exchangers can be reached from the source of this mail")
)

// targetsPatience is how long a connection waits for the addresses of its site.
const targetsPatience = 5 * time.Second

// The waits of a lane whose addresses DNS does not tell: the first, and the longest
// after doubling.
const (
	firstDNSWait   = 30 * time.Second
	longestDNSWait = 30 * time.Minute
)

// waitForDNS leaves the lane alone for a while: the trouble is not the site's, so its
// gates are not told.
func (l *lane) waitForDNS(st mail.Status) {
	now := l.e.o.Clock()
	l.hearTrouble(kept{status: st, class: mail.ClassDNS}, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.dnsUntil) {
		return // connections side by side tell of one failure
	}
	wait := min(firstDNSWait<<min(l.dnsFailures, 10), longestDNSWait)
	if l.dnsFailures == 0 {
		l.dnsSince = now
	}
	l.dnsFailures++
	l.dnsUntil = now.Add(time.Duration(float64(wait) * (0.75 + 0.5*l.e.random())))
}

// countFailures lets fallbacks take over from a lane that was found shut as often as
// the first of them has patience.
func (l *lane) countFailures(err error) {
	if err == nil {
		l.failures.Store(0)
		return
	}
	if n := l.failures.Add(1); l.broken.Load() && l.e.rules.Load().Routes.HasFallback() {
		l.e.failing(l.q.Key(), int(n))
	}
}

// failed tells the gates of a connection that could not even be tried; of the
// others they have heard.
func (l *lane) failed(err error) {
	st := statusOf(err)
	v := l.e.judgeReply(l, st, true)
	now := l.e.o.Clock()
	l.hearTrouble(kept{status: st, class: v.Class}, now)
	l.gates.Heard(now, mail.Hearing{Status: st, Class: v.Class})
	l.note(now, err)
}

// note tells when the lane's breaker has opened or closed since it was last asked.
func (l *lane) note(now time.Time, cause error) {
	s := l.gates.State(now)
	open := s.Gate == schedule.GateBreaker
	if open && s.Class == mail.ClassReputation {
		until := now.Add(leastRest)
		if s.Until.After(until) {
			until = s.Until
		}
		l.e.rest(l.to.source, l.to.site, l.to.provider, until)
	}
	if open == l.broken.Load() || !open && s.Gate == schedule.GateCanary || !l.broken.CompareAndSwap(!open, open) {
		return
	}
	said := l.lastSaid(&s)
	c := maillog.SiteChange{
		Site: l.to.site, Source: l.to.source, Provider: l.to.provider,
		Gate: schedule.GateBreaker.String(), Class: said.class, Status: said.status, Remote: mail.Remote{Host: said.host}, Ready: l.q.ReadyCount(),
	}
	if !open {
		l.e.o.Log.Resumed(&c)
		return
	}
	c.Until = s.Until
	l.e.o.Log.Suspended(&c)
	if l.e.o.Observe != nil {
		l.e.o.Observe.LanePaused(l.q.Key(), said.status, s.Until.Sub(now), cause)
	}
}

// siteName is the lane's site as the log names it.
func (l *lane) siteName() string { return cmp.Or(l.to.site, l.q.Key()) }

// suspendedFlow tells that one sender's mail to this site waits for a while.
func (l *lane) suspendedFlow(flow string, class mail.Class, st mail.Status, remote *mail.Remote, until time.Time) {
	l.e.o.Log.Suspended(&maillog.SiteChange{
		Site: l.to.site, Source: l.to.source, Provider: l.to.provider, Flow: flow,
		Gate: schedule.GateFlow.String(), Class: class, Status: st, Remote: *remote, Until: until,
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setAlarmLocked(until)
}

// stop ends the alarm for good.
func (l *lane) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alarm != nil {
		l.alarm.Stop()
	}
}

// routeError is a next hop that could not even be tried.
type routeError struct{ status mail.Status }

// isNoDNS reports a next hop whose addresses are not known now.
func isNoDNS(err error) bool {
	var r *routeError
	return errors.As(err, &r) && r.status.Enhanced == mail.Enhanced{Class: 4, Subject: 4, Detail: 3}
}

func (e *routeError) Error() string           { return e.status.String() }
func (e *routeError) MailStatus() mail.Status { return e.status }

// handOver is the transport of the hops that are no server: what it is given
// has ended as far as the wire goes, and settling records what it came to.
type handOver struct{ e *Engine }

var handedOver = mail.NewStatus(250, 2, 0, 0, "done")

func (h handOver) Serve(ctx context.Context, _ <-chan struct{}, eg *mail.Egress, src mail.Source) error {
	outcome := handedOver
	if eg.Hop.Kind == mail.HopReject { // what DNS says, or a reload sent mail that was accepted before down this road
		if outcome = h.e.destination(eg.Site).refusal; outcome.IsZero() {
			outcome = statusRouteReject
		}
	}
	for {
		d := src.Next(ctx, 0)
		if d == nil {
			return nil
		}
		d.SetRest(outcome)
		src.Done(d)
	}
}
