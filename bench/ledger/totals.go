package ledger

import "postrider/bench/result"

// Duty is recipient N of message Seq.
type Duty struct {
	Seq uint64
	N   int
}

// Totals sums the account up when the load has ended and what is delivered has
// been: every line, exact. Queued is how many duties still wait, as the server
// says; more than can still wait, such as its own reports, are left out, so that
// accepted = once + duplicated + bounced + queued + lost always holds. A duty that
// was both delivered and bounced counts as delivered.
func (l *Ledger) Totals(queued int64) result.Ledger {
	t := result.Ledger{
		Duties:       l.Issued(),
		Copies:       l.beyond.Load(),
		Strange:      l.strange.Load(),
		OutOfOrder:   l.disorder.Load(),
		DelayNotices: l.notices.Load(),
	}
	for d := range uint64(t.Duties) {
		add(&t, l.state(d))
	}
	missing := t.Accepted - t.Once - t.Duplicated - t.Bounced
	t.Queued = min(max(0, queued), missing)
	t.Lost = missing - t.Queued
	return t
}

// add counts one duty.
func add(t *result.Ledger, s uint16) {
	count := int64(s >> countShift)
	switch End(s & endMask) {
	case Accepted:
		t.Accepted++
		switch {
		case count == 1:
			t.Once++
		case count > 1:
			t.Duplicated++
		case s&bounced != 0:
			t.Bounced++
		}
	case Refused:
		t.Refused++
		if count > 0 {
			t.Phantom++
		}
	case Unknown:
		t.Unknown++
		if count > 0 {
			t.UnknownDelivered++
		}
	case Unsent:
		t.Unsent++
		if count > 0 {
			t.Phantom++
		}
	}
	t.Copies += max(0, count-1)
	for _, c := range []struct {
		bit uint16
		n   *int64
	}{{corrupted, &t.Corrupted}, {afterBounce, &t.AfterBounce}, {falseBounce, &t.FalseBounces}} {
		if s&c.bit != 0 {
			*c.n++
		}
	}
}

// Missing returns the first duties, at most so many, that were accepted and
// neither delivered nor bounced: what a report of a loss names.
func (l *Ledger) Missing(most int) []Duty {
	return l.find(most, func(s uint16) bool { return isAccepted(s) == 1 && isEnded(s) == 0 })
}

// Repeated returns the first duties, at most so many, that were delivered more
// than once.
func (l *Ledger) Repeated(most int) []Duty {
	return l.find(most, func(s uint16) bool { return s>>countShift > 1 })
}

// Damaged returns the first duties, at most so many, of which a delivery had
// another body than was sent.
func (l *Ledger) Damaged(most int) []Duty {
	return l.find(most, func(s uint16) bool { return s&corrupted != 0 })
}

// Phantoms returns the first duties, at most so many, that were delivered although
// they had been refused or never sent.
func (l *Ledger) Phantoms(most int) []Duty {
	return l.find(most, func(s uint16) bool {
		e := End(s & endMask)
		return s>>countShift > 0 && (e == Refused || e == Unsent)
	})
}

func (l *Ledger) find(most int, is func(uint16) bool) (found []Duty) {
	var seq uint64
	for d := range l.next.Load() {
		s := l.state(d)
		if s&begins != 0 {
			seq = d
		}
		if is(s) {
			if len(found) >= most {
				break
			}
			found = append(found, Duty{Seq: seq, N: int(d - seq)})
		}
	}
	return found
}
