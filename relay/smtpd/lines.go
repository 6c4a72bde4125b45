package smtpd

import (
	"errors"
	"time"

	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// readLine returns the next command line without its CRLF; false means that there
// is none and what had to be said was said. The time to the whole line is one
// absolute span, so that sending octet by octet gains nothing.
func (e *engine) readLine() ([]byte, bool) {
	skipping := false
	verb := smtp.VerbUnknown
	for {
		if e.w.Draining() {
			e.stop(replyDrain, ruleDrain, wire.ReasonDrain)
			return nil, false
		}
		line, ok := e.w.Line()
		switch {
		case ok && (skipping || len(line)+2 > e.lim.ParamsBytes && len(line)+2 > e.longest(line)):
			if !skipping {
				verb, _ = smtp.ParseCommand(line)
			}
			e.waiting = time.Time{}
			e.tooLong(verb)
			return nil, false
		case ok:
			e.waiting = time.Time{}
			return line, true
		}
		if b := e.w.Buffered(); len(b) >= e.lim.ParamsBytes && len(b) >= e.longest(b) {
			if !skipping {
				verb, _ = smtp.ParseCommand(b)
			}
			skipping = true // drop it, but not a CR that LF may follow
			e.w.Discard(len(b) - 1)
		}
		if e.waiting.IsZero() {
			e.waiting = time.Now()
		}
		last := e.patience()
		if err := e.w.Fill(); err != nil {
			if !last && errors.Is(err, wire.ErrTimeout) {
				continue
			}
			e.lost(err)
			return nil, false
		}
		e.arrived = time.Now()
	}
}

// longest is how long a line may be that is too long for a command with parameters.
func (e *engine) longest(line []byte) int {
	if e.inLogin {
		return maxSASLLine
	}
	if verb, _ := smtp.ParseCommand(line); verb == smtp.VerbAuth && e.offersAuth() {
		return maxSASLLine
	}
	return e.lim.ParamsBytes
}

// patience sets how long the next read may wait for a command, and reports whether
// that is the last of it: a session looks again and again whether others need its
// place.
func (e *engine) patience() (last bool) {
	by, span := e.waiting.Add(e.lim.Command), e.lim.Command
	last = true
	if e.lim.Stress < span {
		if e.w.Crowded(e.lim.Connections) {
			span = e.lim.Stress
			by = e.waiting.Add(span)
		} else if look := time.Now().Add(e.lim.Stress); look.Before(by) {
			by, last = look, false
		}
	}
	e.w.ReadBy(by, span)
	return last
}

// tooLong answers a line that was read over. Behind a BDAT its chunk follows.
func (e *engine) tooLong(verb smtp.Verb) {
	e.arg = nil
	if e.inLogin || verb == smtp.VerbAuth && e.offersAuth() {
		e.verb = smtp.VerbAuth
		e.give(replySASLLong, ruleLine)
		return
	}
	e.verb = smtp.VerbUnknown
	if verb == smtp.VerbBdat {
		e.stopInChunk(replyLineLong, ruleLine)
		return
	}
	e.give(replyLineLong, ruleLine)
}

// lost ends the session after an error of Fill.
func (e *engine) lost(err error) {
	switch {
	case errors.Is(err, wire.ErrTimeout):
		e.stop(replyTimeout, ruleTimeout, wire.ReasonTimeout)
		e.linger = false // it does not read either, or has nothing to say
	case errors.Is(err, wire.ErrDraining):
		e.stop(replyDrain, ruleDrain, wire.ReasonDrain)
	default:
		e.ended = true
		e.w.SetReason(wire.ReasonLost)
	}
}
