package imap

import (
	"errors"
	"time"

	"postrider/access/imapwire"
	"postrider/internal/wire"
)

// idling is a session in IDLE (RFC 2177).
type idling struct {
	stop    func()    // ends the watch; nil: nothing is selected
	until   time.Time // when the client has been silent for too long
	still   time.Time // when the next sign of life is due
	calm    bool      // the session has waited long enough to park
	resumed bool      // it was parked, and has not looked yet what ended that
}

// startIdle does IDLE. The session goes on in idleOn.
func (s *session) startIdle(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	s.w.AddString("+ idling\r\n")
	now := time.Now()
	s.idle = &idling{until: now.Add(s.lim.Idle), still: now.Add(s.lim.StillHere)}
	s.m.Idling.Add(1)
	if s.sel != nil {
		s.idle.stop = s.sel.box.Watch(s.w.Wake)
	}
	return reply{}
}

// endIdle stops watching.
func (s *session) endIdle() {
	i := s.idle
	if i == nil {
		return
	}
	s.idle = nil
	s.m.Idling.Add(-1)
	if i.stop != nil {
		i.stop()
	}
}

// idleOn waits for DONE, and tells of what happens meanwhile.
func (s *session) idleOn() {
	for !s.ended && !s.parked && s.idle != nil {
		s.news(true)
		if s.ended {
			return
		}
		if s.done() {
			return
		}
		s.idleWait()
	}
}

// done looks for the line that ends IDLE.
func (s *session) done() bool {
	line, found := s.w.Line()
	if !found && len(s.w.Buffered()) <= maxTag {
		return false
	}
	s.endIdle()
	s.heard = time.Time{}
	r := ok("IDLE completed")
	if !found || !imapwire.Is(line, "DONE") {
		r = bad("DONE was expected")
	}
	s.answer(&r)
	return true
}

// idleWait waits for input, a change or a moment, and parks when there is none for long.
func (s *session) idleWait() {
	i := s.idle
	if s.w.Draining() {
		s.stop(byeDrain, wire.ReasonDrain)
		return
	}
	if i.calm && !i.resumed && s.idlePark() {
		return
	}
	i.resumed = false
	by := i.until
	if i.still.Before(by) {
		by = i.still
	}
	if park := time.Now().Add(s.lim.Park); !i.calm && park.Before(by) {
		by = park
	}
	s.w.ReadBy(by, s.lim.Idle)
	switch err := s.w.Fill(); {
	case err == nil:
		i.calm = false
	case errors.Is(err, wire.ErrWoken):
		s.m.Woken.Add(1)
	case errors.Is(err, wire.ErrTimeout):
		s.idleMoment(time.Now())
	default:
		s.lost(err)
	}
}

// idleMoment does what is due when a deadline has passed.
func (s *session) idleMoment(now time.Time) {
	i := s.idle
	i.calm = true
	const early = time.Second // deadlines may be that much too early
	switch {
	case !now.Add(early).Before(i.until):
		s.stop(byeTimeout, wire.ReasonTimeout)
	case !now.Add(early).Before(i.still):
		s.w.AddString("* OK Still here\r\n")
		i.still = now.Add(s.lim.StillHere)
	}
}

// idlePark parks the session.
func (s *session) idlePark() bool {
	i := s.idle
	by := i.until
	if i.still.Before(by) {
		by = i.still
	}
	s.w.ReadBy(by, s.lim.Idle)
	s.shed()
	s.parked = s.w.Park(s)
	return s.parked
}
