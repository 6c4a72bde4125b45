package relay

import (
	"time"

	"postrider/internal/mail"
	"postrider/relay/schedule"
)

// Wait is what a recipient that has not ended waits for.
type Wait struct {
	Site   string
	Source string
	Gate   schedule.Gate // of its lane
	DNS    bool          // its domain's mail exchangers are not known
	Route  bool          // nothing here can deliver by its route
	Dials  bool          // the first connection is being made
	Flow   string        // whose mail it is
	// FlowUntil is when its flow, which is suspended at the site, may go; zero: it is
	// not.
	FlowUntil time.Time
	Since     time.Time // the gate has been shut since then; zero: not known, or it is open
	Until     time.Time // when that is looked at again; zero: at an event
	Reason    mail.Status
	Class     mail.Class
	Remote    string // who gave the reason; "": nobody but us
	Ahead     int    // recipients that are ready in its lane, it among them
}

// Why tells, for a recipient that waits, what its lane waits for. domain is the
// recipient's.
func (e *Engine) Why(laneKey, domain string) Wait {
	now := e.o.Clock()
	e.mu.Lock()
	l, to := e.lanes[laneKey], e.dests[laneKey]
	e.mu.Unlock()
	if to == nil {
		return Wait{Site: laneKey}
	}
	w := Wait{Site: to.site, Source: to.source}
	switch {
	case to.resolves:
		a := e.dir.Find([]byte(domain))
		w.DNS, w.Since, w.Until, w.Reason, w.Class = true, a.Since, a.Next, a.Status, mail.ClassDNS
	case e.transport(to.hop.Kind) == nil:
		w.Route, w.Reason = true, statusNoRouteYet
	case l != nil && l.gates != nil && l.noDNS(&w, now):
	case l != nil && l.gates != nil:
		s := l.gates.State(now)
		w.Gate, w.Since, w.Until = s.Gate, s.Since, s.Until
		if !s.ReasonAt.IsZero() {
			said := l.lastSaid(&s)
			w.Reason, w.Class, w.Remote = said.status, said.class, said.host
		}
		w.Ahead = s.Ready
		w.Dials = s.Gate == schedule.GateNone && s.Connections > 0 && s.Up == 0
	}
	return w
}

// noDNS fills w in when the lane waits for the addresses of its site.
func (l *lane) noDNS(w *Wait, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.dnsUntil) {
		return false
	}
	w.DNS, w.Since, w.Until, w.Reason, w.Class = true, l.dnsSince, l.dnsUntil, l.said.status, mail.ClassDNS
	return true
}

// Split parts a status that the queue keeps into the reply, the host that gave it
// and what it means.
func (e *Engine) Split(s mail.Status) (reply mail.Status, host string, class mail.Class) {
	k := e.kept(s)
	return k.status, k.host, k.class
}

// LaneState tells how a lane stands, for operators.
type LaneState struct {
	Key         string
	Site        string
	Source      string
	Provider    string
	Ready       int
	Waiting     int
	Connections int
	Most        int           // bound of the connections
	Window      int           // of connections that the site is known to bear
	Gate        schedule.Gate // what holds what is ready
	Since       time.Time
	PausedUntil time.Time // the gate is a shut breaker; zero: it is not
	Reason      mail.Status
	Class       mail.Class
	PerSecond   float64                          // recipients delivered a second, lately
	Resolves    bool                             // it is where mail waits for DNS
	Waited      [schedule.NumGates]time.Duration // how long each gate has held it
}

// Lanes tells how every lane stands.
func (e *Engine) Lanes() []LaneState {
	now := e.o.Clock()
	e.mu.Lock()
	lanes := make([]*lane, 0, len(e.lanes))
	for _, l := range e.lanes {
		lanes = append(lanes, l)
	}
	e.mu.Unlock()
	states := make([]LaneState, 0, len(lanes))
	for _, l := range lanes {
		s := LaneState{
			Key: l.q.Key(), Site: l.siteName(), Source: l.to.source, Provider: l.to.provider,
			Ready: l.q.ReadyCount(), Waiting: l.q.Waiting(), Resolves: l.to.resolves, PerSecond: l.site.PerSecond(),
		}
		l.mu.Lock()
		s.Connections = l.connections
		l.mu.Unlock()
		switch {
		case l.gates != nil:
			g := l.gates.State(now)
			s.Gate, s.Since, s.Most, s.Window, s.Waited = g.Gate, g.Since, g.Most, g.Window, g.Waited
			if g.Gate == schedule.GateBreaker {
				said := l.lastSaid(&g)
				s.PausedUntil, s.Reason, s.Class = g.Until, said.status, said.class
			}
		case l.to.resolves && s.Waiting > 0:
			s.Reason, s.Class = statusNoDNS, mail.ClassDNS
		}
		states = append(states, s)
	}
	return states
}
