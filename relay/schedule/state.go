package schedule

import (
	"bytes"
	"net/netip"
	"time"

	"postrider/internal/mail"
)

// State tells how a lane stands, for operators.
type State struct {
	Key      Key
	Gate     Gate
	Since    time.Time   // it has stood at the gate since then; zero: at none
	Until    time.Time   // when the gate is looked at again; zero: when something happens
	Reason   mail.Status // what the site said last that was no success; zero: nothing
	Class    mail.Class
	ReasonAt time.Time

	Ready       int
	Connections int
	Up          int // of the connections: came up
	Window      int
	Most        int // bound of the window
	SiteHeld    int // connections of all lanes of the site
	Suspended   int // flows
	Ejected     []netip.Addr

	Waited [NumGates]time.Duration // how long it has stood at each gate since it came to be
}

// State tells how the lane stands.
func (l *Lane) State(now time.Time) State {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	when := func(i instant) time.Time {
		if i == 0 {
			return time.Time{}
		}
		return now.Add(time.Duration(i - at))
	}
	st := State{
		Key: l.key, Gate: l.gate, Reason: l.reason.status, Class: l.reason.class, ReasonAt: when(l.reason.at),
		Ready: l.ready, Connections: l.conns, Up: l.up, Window: l.window.Size(), Most: s.mostOfLocked(l), SiteHeld: l.site.held,
		Waited: l.waited,
	}
	st.Reason.Text = bytes.Clone(st.Reason.Text)
	if l.gate != GateNone {
		st.Since = when(l.since)
		st.Waited[l.gate] += time.Duration(at - l.since)
		if l.until > at {
			st.Until = when(l.until)
		}
	}
	for i := range l.peers {
		if at < l.peers[i].out {
			st.Ejected = append(st.Ejected, l.peers[i].addr)
		}
	}
	for _, k := range l.strikes {
		if at < k.until {
			st.Suspended++
		}
	}
	return st
}

func (s *Scheduler) mostOfLocked(l *Lane) int {
	if l.most > 0 {
		return l.most
	}
	return s.o.LaneConnections
}

// FlowState tells since when, until when and why a flow is suspended at a lane.
type FlowState struct {
	Since, Until time.Time
	Class        mail.Class
}

// Flow tells whether a flow is suspended at the lane.
func (l *Lane) Flow(now time.Time, flow uint32) (FlowState, bool) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	k, known := l.strikes[flow]
	if !known || at >= k.until {
		return FlowState{}, false
	}
	return FlowState{
		Since: now.Add(-time.Duration(at - k.since)), Until: now.Add(time.Duration(k.until - at)), Class: k.class,
	}, true
}

// Key returns the lane's names.
func (l *Lane) Key() Key { return l.key }

// Lanes returns all lanes, in no order.
func (s *Scheduler) Lanes() []*Lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	ls := make([]*Lane, 0, len(s.lanes))
	for _, l := range s.lanes {
		ls = append(ls, l)
	}
	return ls
}
