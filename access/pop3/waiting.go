package pop3

import (
	"errors"
	"time"

	"postrider/internal/wire"
)

// readLine returns the next line of at most limit octets without its CRLF; false
// means that there is none and what had to be said was said, or that the session has
// parked. The time to the whole line is one absolute span, so that sending octet by
// octet gains nothing.
func (s *session) readLine(limit int, mayPark bool) ([]byte, bool) {
	skipping, grace := false, mayPark
	for {
		if s.w.Draining() {
			s.stop(replyDrain, wire.ReasonDrain)
			return nil, false
		}
		if line, ok := s.w.Line(); ok {
			s.waiting = time.Time{}
			if skipping || len(line)+2 > limit {
				s.fail(replyLong)
				return nil, false
			}
			return line, true
		}
		if b := s.w.Buffered(); len(b) >= limit {
			skipping = true // drop it, but not a CR that LF may follow
			s.w.Discard(len(b) - 1)
		}
		if s.waiting.IsZero() {
			s.waiting = time.Now()
		}
		last := s.patience(grace)
		err := s.w.Fill()
		switch {
		case err == nil:
		case last || !errors.Is(err, wire.ErrTimeout):
			s.lost(err)
			return nil, false
		case grace && !skipping:
			grace = false
			s.patience(false)
			if s.parked = s.w.Park(s); s.parked {
				return nil, false
			}
		}
	}
}

// patience sets how long the next read may wait, and reports whether that is the
// last of it. Who is not logged in looks again and again whether others need the
// place; who is has the time that RFC 1939 section 3 grants. With grace it is no
// longer than it takes to park.
func (s *session) patience(grace bool) (last bool) {
	by, span := s.waiting.Add(s.lim.Command), s.lim.Command
	last = true
	if s.drop == nil {
		by, span = s.began.Add(s.lim.Login), s.lim.Login
		if s.lim.Stress < span {
			if s.w.Crowded(s.lim.Connections) {
				span = s.lim.Stress
				by = s.waiting.Add(span)
			} else if look := time.Now().Add(s.lim.Stress); look.Before(by) {
				by, last = look, false
			}
		}
	}
	if grace {
		if park := time.Now().Add(s.lim.Park); park.Before(by) {
			by, last = park, false
		}
	}
	s.w.ReadBy(by, span)
	return last
}

// lost ends the session after an error of Fill. A client that let the time pass in
// TRANSACTION gets no reply (RFC 1939 section 3) that it could take for that of its
// next command, and nothing is removed.
func (s *session) lost(err error) {
	switch {
	case errors.Is(err, wire.ErrTimeout):
		s.ended = true
		s.w.SetReason(wire.ReasonTimeout)
		if s.drop == nil {
			s.w.AddString(replyTimeout)
		}
	case errors.Is(err, wire.ErrDraining):
		s.stop(replyDrain, wire.ReasonDrain)
	default:
		s.ended = true
		s.w.SetReason(wire.ReasonLost)
	}
}
