package load

import (
	"context"
	"time"
)

// flight is one message on its way.
type flight struct {
	order      uint64
	seq        uint64
	size       int       // as Sizes.draw gives it
	recipients int       // of it
	due        time.Time // when it ought to have been begun the first time
	began      time.Time // this try
	retryAt    time.Time
	tries      int  // before this one
	warm       bool // due before the end of the warm-up

	taken   int                               // recipients accepted
	refused int                               // recipients refused; replies come in order, so these are of the first taken+refused
	settled int                               // LMTP: of so many recipients the reply to the text has come
	later   bool                              // a reply was 4xx
	end     int64                             // where in the outgoing stream it ends; 0: not yet appended
	reset   bool                              // RSET went before it
	open    [(maxRecipients + 63) / 64]uint64 // bit n: recipient n was accepted
}

// clear forgets how the try before went.
func (f *flight) clear() {
	f.taken, f.refused, f.settled, f.later, f.end, f.reset = 0, 0, 0, false, 0, false
	clear(f.open[:])
}

// replied takes the reply to RCPT for recipient n.
func (f *flight) replied(n int, code uint16, mail bool) {
	f.later = f.later || code/100 == 4
	if mail && code < 300 {
		f.taken++
		f.open[n/64] |= 1 << (n % 64)
	} else {
		f.refused++
	}
}

func (f *flight) isOpen(n int) bool { return f.open[n/64]&(1<<(n%64)) != 0 }

// shut makes recipient n one that was refused after all.
func (f *flight) shut(n int) {
	f.open[n/64] &^= 1 << (n % 64)
	f.taken--
	f.refused++
}

// maxAgain bounds the messages of a worker that wait to be offered again; beyond
// it they are refused.
const maxAgain = 1 << 16

// ahead reports whether the next message may share a write with the text of the
// one before.
func (w *worker) ahead() bool { return w.s.o.Pace.Closed() && w.s.o.Think == 0 }

// begin takes the next message into flight, once it is due; nil when there is
// none, or none yet and it may not wait.
func (w *worker) begin(ctx context.Context, mayWait bool) *flight {
	if w.ready {
		f := &w.flights[(w.from+w.on)%len(w.flights)]
		w.on, w.ready = w.on+1, false
		return f
	}
	for ctx.Err() == nil && !w.s.stopped.Load() {
		if !w.holds && !w.take() && len(w.again) == 0 {
			return nil
		}
		if w.ahead() && len(w.again) == 0 {
			return w.launch(w.free)
		}
		now := time.Now()
		due := w.held.due
		if len(w.again) > 0 {
			if f := &w.again[0]; !f.retryAt.After(now) {
				return w.relaunch(now)
			} else if !w.holds || f.retryAt.Before(due) {
				due = f.retryAt
			}
		}
		if w.holds && !w.held.due.After(now) {
			return w.launch(now)
		}
		if !mayWait || !w.wait(ctx, due.Sub(now)) {
			break
		}
	}
	return nil
}

// take takes a job from the schedule.
func (w *worker) take() bool {
	if w.held, w.holds = w.s.jobs.take(); w.holds && w.held.due.IsZero() {
		think := w.s.o.Think
		if !w.thought { // at a moment of their own, not all at once
			think = time.Duration(float64(think) * unit(draw(w.s.o.Seed, uint64(w.index), drawThink)))
		}
		w.thought = true
		w.held.due = w.free.Add(think)
	}
	return w.holds
}

// wait waits with the worker's timer.
func (w *worker) wait(ctx context.Context, d time.Duration) bool {
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	select {
	case <-w.timer.C:
		return true
	case <-ctx.Done():
		w.timer.Stop()
		return false
	}
}

// launch makes the held job a flight.
func (w *worker) launch(now time.Time) *flight {
	o := &w.s.o
	j := w.held
	w.holds = false
	f := w.place()
	f.order, f.due, f.began, f.tries = j.order, j.due, now, 0
	f.warm = f.due.Before(w.s.measured)
	if f.size = int(j.slot.bytes); f.size == 0 || o.Sizes.corpus != nil {
		f.size = o.Sizes.draw(draw(o.Seed, j.order, drawSize))
	}
	if f.recipients = int(j.slot.recipients); f.recipients == 0 {
		f.recipients = o.Recipients.draw(draw(o.Seed, j.order, drawRecipients))
	}
	if o.Users > 0 {
		f.recipients = min(f.recipients, o.Users)
	}
	f.seq = w.s.number(f)
	t := w.tallyOf(f)
	t.sent.Add(1)
	if !o.Pace.Closed() && now.Sub(f.due) > MissedAfter {
		t.missed.Add(1)
	}
	return f
}

// number gives a message its number: that of its first duty, if there is a ledger.
func (s *SMTP) number(f *flight) uint64 {
	l := s.o.Ledger
	if l == nil {
		return s.o.FirstSeq + f.order
	}
	if l.Issued() > maxDuties {
		s.stopped.Store(true)
	}
	return l.Issue(f.recipients)
}

// maxDuties leaves a ledger, which is good for 2^32, room for what is being begun.
const maxDuties = 1<<32 - 1<<26

// relaunch makes the first that waits to be offered again a flight.
func (w *worker) relaunch(now time.Time) *flight {
	f := w.place()
	*f = w.again[0]
	w.again = w.again[1:]
	f.began = now
	f.tries++
	f.clear()
	w.tallyOf(f).retried.Add(1)
	return f
}

// place returns the next place in the ring.
func (w *worker) place() *flight {
	f := &w.flights[(w.from+w.on)%len(w.flights)]
	w.on++
	f.clear()
	return f
}

func (w *worker) tallyOf(f *flight) *tally {
	if f.warm {
		return &w.warm
	}
	return &w.n
}
