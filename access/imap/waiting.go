package imap

import (
	"errors"
	"time"

	"postrider/internal/wire"
)

// wait reads more input. Within says that a command has begun. false means that the
// session has ended or parked.
func (s *session) wait(within bool, grace *bool) bool {
	now := time.Now()
	if s.heard.IsZero() {
		s.heard = now
	}
	if within && s.part.IsZero() {
		s.part = now
	}
	last := s.patience(now, *grace && !within)
	err := s.w.Fill()
	switch {
	case err == nil, errors.Is(err, wire.ErrWoken):
		return true
	case last || !errors.Is(err, wire.ErrTimeout):
		s.lost(err)
		return false
	case *grace && !within:
		*grace = false
		s.patience(now, false)
		s.shed()
		s.parked = s.w.Park(s)
		return !s.parked
	}
	return true
}

// shed lets go, before the session parks, of what a command has left: its slices, which
// would keep a buffer of the pool alive, and lists that have grown.
func (s *session) shed() {
	const small = 64
	s.cmd = command{}
	if cap(s.set.Ranges) > small {
		s.set.Ranges = nil
	}
	if cap(s.ranges) > small {
		s.ranges = nil
	}
}

// patience sets how long the next read may wait, and reports whether that is the last
// of it. Who is not logged in looks again and again whether others need the place. With
// grace it is no longer than it takes to park.
func (s *session) patience(now time.Time, grace bool) (last bool) {
	by, span := s.heard.Add(s.lim.Idle), s.lim.Idle
	last = true
	switch {
	case s.account == nil:
		by, span = s.began.Add(s.lim.Login), s.lim.Login
		if s.lim.Stress < span {
			if s.w.Crowded(s.lim.Connections) {
				span = s.lim.Stress
				by = s.heard.Add(span)
			} else if look := now.Add(s.lim.Stress); look.Before(by) {
				by, last = look, false
			}
		}
	case !s.part.IsZero():
		by, span = s.part.Add(s.lim.Command), s.lim.Command
	}
	if grace {
		if park := now.Add(s.lim.Park); park.Before(by) {
			by, last = park, false
		}
	}
	s.w.ReadBy(by, span)
	return last
}

// lost ends the session after an error of Fill.
func (s *session) lost(err error) {
	switch {
	case errors.Is(err, wire.ErrTimeout):
		s.stop(byeTimeout, wire.ReasonTimeout)
	case errors.Is(err, wire.ErrDraining):
		s.stop(byeDrain, wire.ReasonDrain)
	default:
		s.ended = true
		s.w.SetReason(wire.ReasonLost)
	}
}
