// Package ledger accounts for every duty of a measurement: a duty is one recipient
// of one message, and it must be delivered or bounced exactly once.
//
// The generator asks for numbers (Issue) and says how each duty left it (End); the
// sink says what arrived (Delivered) and what was given back (Bounced). Totals then
// tells lost, duplicated, phantom, corrupted and unknown duties apart, and Missing
// names those that are lost. A message's number is the number of its first duty,
// so that recipient n of message seq is duty seq+n and an address alone,
// r<seq>.<n>@domain, says which it is. The header X-Bench (see Header) names the
// run and carries what the receiving end measures with.
//
// # Guarantees
//
// A duty costs two bytes, and what is not yet issued costs nothing. Counts are
// exact up to 2^32 duties a run. What a peer says is never believed: a number that
// was not issued, or that lies beyond the recipients of its message, is counted as
// strange and changes nothing else.
//
// # Concurrency
//
// A Ledger is safe for concurrent use and has no lock: each change of a duty is a
// compare-and-swap of its word. Live counts (Owed, Accepted, Ended) are atomics
// beside it and agree with Totals when nothing is in motion.
package ledger

import "sync/atomic"

// End is how a duty left the generator.
type End uint8

// The ends. Unknown is the honest third state: the connection failed after the end
// of the text was written, so that nobody knows who answers for the message.
const (
	Unsent End = iota
	Accepted
	Refused
	Unknown
)

// The state of a duty, 16 bits.
const (
	endMask     = 3      // an End
	begins      = 1 << 2 // it is the first of its message
	bounced     = 1 << 3 // a DSN gave it back
	corrupted   = 1 << 4 // a delivery of it had another body than was sent
	afterBounce = 1 << 5 // it was delivered although it had been bounced
	falseBounce = 1 << 6 // it was bounced although it had been delivered
	delivery    = 1 << 8 // the unit of the count of deliveries, the upper byte
	countShift  = 8
	countMax    = 255
)

const (
	pageBits   = 16
	pageDuties = 1 << pageBits
	pages      = 1 << (32 - pageBits)
)

// page holds the states of pageDuties duties, two in a word.
type page [pageDuties / 2]atomic.Uint32

// Ledger is the account of one run.
type Ledger struct {
	run   uint64
	next  atomic.Uint64 // the number of the next duty
	pages [pages]atomic.Pointer[page]
	order workers

	accepted, ended, deliveries, notices atomic.Int64
	beyond                               atomic.Int64 // deliveries that the count of a duty can't hold
	strange, disorder                    atomic.Int64
}

// New returns an empty account of a run.
func New(run uint64) *Ledger { return &Ledger{run: run} }

// Run returns the number of the run, as X-Bench states it.
func (l *Ledger) Run() uint64 { return l.run }

// Issue reserves the duties of a message with so many recipients, at least one,
// and returns its number. The duties are Unsent until End says something else. It
// panics when a run has more than 2^32 duties.
func (l *Ledger) Issue(recipients int) (seq uint64) {
	n := uint64(max(1, recipients))
	seq = l.next.Add(n) - n
	if seq+n > pages*pageDuties {
		panic("ledger: more than 2^32 duties in a run")
	}
	for p := seq >> pageBits; p <= (seq+n-1)>>pageBits; p++ {
		if l.pages[p].Load() == nil {
			l.pages[p].CompareAndSwap(nil, new(page))
		}
	}
	l.change(seq, func(s uint16) uint16 { return s | begins })
	return seq
}

// End says how duty n of message seq left the generator. A later End replaces an
// earlier one.
func (l *Ledger) End(seq uint64, n int, e End) {
	if d, known := l.duty(seq, n); known {
		l.change(d, func(s uint16) uint16 { return s&^endMask | uint16(e)&endMask })
	}
}

// Delivered counts a completed delivery; whole is false when the body was not the
// one that was sent. It reports whether it was the first, and whether the duty is
// one that was issued; one that was not is counted as strange.
func (l *Ledger) Delivered(seq uint64, n int, whole bool) (first, known bool) {
	d, known := l.duty(seq, n)
	if !known {
		l.strange.Add(1)
		return false, false
	}
	l.deliveries.Add(1)
	old := l.change(d, func(s uint16) uint16 {
		if !whole {
			s |= corrupted
		}
		if s&bounced != 0 {
			s |= afterBounce
		}
		if s>>countShift < countMax {
			s += delivery
		}
		return s
	})
	if old>>countShift == countMax {
		l.beyond.Add(1)
	}
	return old>>countShift == 0, true
}

// Bounced says that a DSN gave a duty back. It reports whether the duty is one
// that was issued; one that was not is counted as strange.
func (l *Ledger) Bounced(seq uint64, n int) (known bool) {
	d, known := l.duty(seq, n)
	if !known {
		l.strange.Add(1)
		return false
	}
	l.change(d, func(s uint16) uint16 {
		if s>>countShift > 0 {
			s |= falseBounce
		}
		return s | bounced
	})
	return true
}

// Delayed counts a DSN that says that a duty has to wait. It reports whether the
// duty is one that was issued; one that was not is counted as strange.
func (l *Ledger) Delayed(seq uint64, n int) (known bool) {
	if _, known = l.duty(seq, n); known {
		l.notices.Add(1)
	} else {
		l.strange.Add(1)
	}
	return known
}

// Strange counts recipients or texts that name no duty of this run.
func (l *Ledger) Strange(n int64) { l.strange.Add(n) }

// Issued returns how many duties have been handed out.
func (l *Ledger) Issued() int64 { return int64(l.next.Load()) }

// Accepted returns how many duties the server has accepted.
func (l *Ledger) Accepted() int64 { return l.accepted.Load() }

// Ended returns how many accepted duties have been delivered or bounced.
func (l *Ledger) Ended() int64 { return l.ended.Load() }

// Owed returns how many accepted duties were neither delivered nor bounced.
func (l *Ledger) Owed() int64 { return l.accepted.Load() - l.ended.Load() }

// Deliveries returns how many deliveries were counted, repeated ones included.
func (l *Ledger) Deliveries() int64 { return l.deliveries.Load() }

// duty returns the number of a duty, and false when there is none: the message
// was not issued, or it has no so many recipients.
func (l *Ledger) duty(seq uint64, n int) (d uint64, known bool) {
	issued := l.next.Load()
	if n < 0 || seq >= issued || uint64(n) >= issued-seq || l.state(seq)&begins == 0 {
		return 0, false
	}
	for d = seq + 1; d <= seq+uint64(n); d++ {
		if l.state(d)&begins != 0 { // the next message
			return 0, false
		}
	}
	return seq + uint64(n), true
}

// state returns what is known of an issued duty.
func (l *Ledger) state(d uint64) uint16 {
	p := l.pages[d>>pageBits].Load()
	if p == nil { // Issue has taken the number and not yet made the page
		return 0
	}
	return uint16(p[d%pageDuties/2].Load() >> (d % 2 * 16))
}

// change replaces the state of an issued duty, keeps the live counts, and returns
// what it was.
func (l *Ledger) change(d uint64, to func(uint16) uint16) (old uint16) {
	word := &l.pages[d>>pageBits].Load()[d%pageDuties/2]
	shift := d % 2 * 16
	for {
		w := word.Load()
		old = uint16(w >> shift)
		now := to(old)
		if now == old {
			return old
		}
		if word.CompareAndSwap(w, w&^(0xffff<<shift)|uint32(now)<<shift) {
			if n := isAccepted(now) - isAccepted(old); n != 0 {
				l.accepted.Add(n)
			}
			if n := isEnded(now) - isEnded(old); n != 0 {
				l.ended.Add(n)
			}
			return old
		}
	}
}

func isAccepted(s uint16) int64 {
	if End(s&endMask) == Accepted {
		return 1
	}
	return 0
}

// isEnded is 1 for an accepted duty that was delivered or bounced.
func isEnded(s uint16) int64 {
	if s>>countShift > 0 || s&bounced != 0 {
		return isAccepted(s)
	}
	return 0
}
