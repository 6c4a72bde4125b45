package outbound

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"postrider/internal/mail"
)

// tries is how far a Serve has come with its targets.
type tries struct {
	list  []mail.Target
	only  [1]mail.Target // the list of a next hop that has a name of its own
	tried [targetsSeen]bool
	up    [targetsSeen]bool // came to be ready, at some time

	most      int    // addresses to dial
	addresses int    // that were dialled
	sessions  int    // that stood and came to nothing
	kept      *Error // the most telling reason
	failedV6  bool   // an address of IPv6 could not be connected to

	// While a delivery looks for a server that has what it needs:
	asking     bool
	asked      [targetsSeen]bool // their hosts lack it
	preference uint16            // of the first of them
}

// targetsSeen is where a list of targets is cut.
const targetsSeen = 64

func (r *tries) begin(eg *mail.Egress, most int) {
	r.most = most
	if r.list = eg.Targets; len(r.list) > len(r.tried) {
		r.list = r.list[:len(r.tried)]
	}
	if eg.Hop.Kind == mail.HopMX {
		return
	}
	host := eg.Hop.Address
	if eg.Hop.Network != "unix" {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	r.only[0] = mail.Target{Host: strings.TrimSuffix(host, ".")}
	r.list = r.only[:]
}

// next returns which target comes next, -1 when there is none. While IPv6 is out
// of use an address of IPv4 goes before it, but never one of a worse preference.
func (r *tries) next(shunV6 bool) int {
	for i := range r.list {
		if r.tried[i] {
			continue
		}
		if shunV6 && isV6(&r.list[i]) {
			if j := r.other(i); j >= 0 {
				return j
			}
		}
		return i
	}
	return -1
}

// other returns the first target that is left of the other family than i's and
// of the same preference, or -1.
func (r *tries) other(i int) int {
	for j := range r.list {
		if !r.tried[j] && r.list[j].Preference == r.list[i].Preference && isV6(&r.list[j]) != isV6(&r.list[i]) {
			return j
		}
	}
	return -1
}

func isV6(t *mail.Target) bool { return t.Addr.Addr().Is6() && !t.Addr.Addr().Is4In6() }

// others reports that there are targets at other hosts which may have what host
// lacks.
func (r *tries) others(host string) bool {
	if r.addresses >= r.most {
		return false
	}
	for i := range r.list {
		if r.list[i].Host != host && !r.asked[i] && (!r.tried[i] || r.up[i]) {
			return true
		}
	}
	return false
}

// askOn makes the targets of other hosts those that come next: a delivery needs
// what t's host lacks.
func (r *tries) askOn(t *mail.Target) {
	if !r.asking {
		r.asking, r.preference = true, t.Preference
	}
	for i := range r.list {
		r.asked[i] = r.asked[i] || r.list[i].Host == t.Host
		r.tried[i] = r.asked[i] || r.tried[i] && !r.up[i]
	}
	r.kept = nil
}

// askNoMore begins with another delivery.
func (r *tries) askNoMore() {
	if r.asking {
		r.asking, r.asked = false, [targetsSeen]bool{}
	}
}

// keep notes why a target would not do. Of several reasons one that a server
// gave tells more than one of ours.
func (r *tries) keep(err *Error) {
	if r.kept == nil || !r.kept.Said || err.Said {
		r.kept = err
	}
}

// reach tries the targets in turn until a connection is ready for transactions.
func (s *session) reach(ctx context.Context) error {
	r := &s.tries
	for r.addresses < r.most && r.sessions < s.t.o.Sessions && ctx.Err() == nil {
		i := r.next(s.t.families.shunV6(s.eg.Source.Name))
		if i < 0 {
			break
		}
		up, more := s.try(ctx, i)
		if up {
			return nil
		}
		if !more {
			break
		}
	}
	if r.kept == nil { // nothing was tried
		r.kept = &Error{Phase: PhaseConnect, Status: statusNoTarget, Class: mail.ClassDNS}
	}
	return r.kept
}

// try makes a connection to target i, or to the one that it is raced with. more
// says that the targets behind it are worth a try.
func (s *session) try(ctx context.Context, i int) (up, more bool) {
	r := &s.tries
	won, lost := s.dial(ctx, i)
	if ctx.Err() != nil {
		if won.conn != nil {
			_ = won.conn.Close() // it has not been used
		}
		return false, false
	}
	for _, d := range [...]dialled{lost, won} {
		if d.began.IsZero() || d.conn != nil {
			continue
		}
		if d.err != nil || d.began.Before(won.began) {
			r.failedV6 = r.failedV6 || isV6(&r.list[d.at])
		}
		if d.err != nil { // else it was only slower
			err := &Error{Phase: PhaseConnect, Err: d.err}
			err.Status, err.Class = judgeDial(d.err)
			s.judged(&r.list[d.at], err, 0)
		}
	}
	if won.conn == nil {
		return false, true
	}
	target := &r.list[won.at]
	if v6 := isV6(target); v6 || r.failedV6 {
		s.t.families.worked(s.eg.Source.Name, v6)
	}
	may := s.eg.TLS.Level == mail.TLSMay && !s.implicitTLS()
	s.inClear = may && s.t.broken.has(target.Host)
	greeted, err := s.opened(ctx, won)
	if err != nil && may && errors.Is(err.Err, errHandshake) && ctx.Err() == nil {
		// In clear, but never on a connection that a handshake was tried on.
		s.inClear = true
		if won = s.dialOne(ctx, won.at); won.err != nil {
			err.Err = errors.Join(err.Err, won.err)
		} else if greeted, err = s.opened(ctx, won); err == nil {
			s.t.broken.add(target.Host, s.t.o.BrokenTLS)
		}
	}
	switch {
	case ctx.Err() != nil:
		s.hangUp()
		return false, false
	case err != nil:
		r.sessions++
		s.judged(target, err, 0)
		// RFC 5321 section 4.2.1: 4yz is for now; who is told to come back later
		// and goes next door has not come back later.
		// A wrong password is no better elsewhere, and servers count those.
		return false, !(err.Said && err.Status.Code < 500) && err.Phase != PhaseAuth
	}
	r.up[won.at] = true
	if s.state != nil {
		s.t.broken.remove(target.Host)
	}
	s.judged(target, nil, greeted.Sub(won.began))
	return true, false
}

// opened opens a connection that was dialled; with an error it is closed.
func (s *session) opened(ctx context.Context, d dialled) (greeted time.Time, err *Error) {
	s.attach(d.conn, &s.tries.list[d.at])
	if greeted, err = s.open(ctx); err != nil {
		s.hangUp()
	}
	s.connect = time.Since(d.began) - s.handshakeTook
	return greeted, err
}

// judged tells of what came of a target. That one which a held delivery is taken to
// is ready, too, is not told: whoever counts connections counts one for a Serve.
func (s *session) judged(t *mail.Target, err *Error, greeting time.Duration) {
	h := mail.Hearing{Target: *t, Connect: err == nil, Micros: greeting.Microseconds()}
	if err != nil {
		s.tries.keep(err)
		h.Status, h.Class = err.Status, err.Class
	}
	if s.eg.Heard != nil && (err != nil || s.held == nil) {
		s.eg.Heard(h)
	}
}
