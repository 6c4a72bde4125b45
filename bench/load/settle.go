package load

import (
	"time"

	"postrider/bench/ledger"
)

// over ends the first flight by the reply to its text, or to DATA.
func (w *worker) over(f *flight, code uint16) {
	now := time.Now()
	f.later = f.later || code/100 == 4
	t := w.tallyOf(f)
	switch {
	case code < 300 && f.taken > 0:
		w.account(f, ledger.Accepted)
		t.accepted.Add(1)
		t.acceptedD.Add(int64(f.taken))
		t.refusedD.Add(int64(f.recipients - f.taken))
		t.bytes.Add(int64(w.text.size(f.size)))
		w.recorder.record(now.Sub(f.due), now.Sub(f.began), f.warm)
		if w.s.o.Acked != nil {
			w.s.o.Acked(Ack{Worker: w.index, Seq: f.seq, Taken: f.taken, Refused: f.refused, ID: lastWord(w.answer.Text)})
		}
	case f.later && w.postpone(f, now):
	default:
		w.refuse(f)
	}
	w.free = now
	w.drop()
}

// account tells the ledger how each duty of f has ended. All that were not refused
// end as e, except those that an LMTP server has already taken.
func (w *worker) account(f *flight, e ledger.End) {
	l := w.s.o.Ledger
	if l == nil {
		return
	}
	for n := range f.recipients {
		switch {
		case n < f.taken+f.refused && !f.isOpen(n):
			l.End(f.seq, n, ledger.Refused)
		case n < f.settled:
			l.End(f.seq, n, ledger.Accepted)
		default:
			l.End(f.seq, n, e)
		}
	}
}

// refuse counts f as refused.
func (w *worker) refuse(f *flight) {
	w.account(f, ledger.Refused)
	t := w.tallyOf(f)
	t.refused.Add(1)
	t.refusedD.Add(int64(f.recipients))
}

// unsend counts f as unsent.
func (w *worker) unsend(f *flight) {
	w.account(f, ledger.Unsent)
	t := w.tallyOf(f)
	t.refusedD.Add(int64(f.refused))
	t.unsent.Add(1)
	t.unsentD.Add(int64(f.recipients - f.refused))
}

// lose counts f as unknown, but for the recipients of which the server has spoken.
func (w *worker) lose(f *flight) {
	w.account(f, ledger.Unknown)
	taken := int64(0)
	for n := range f.settled {
		if f.isOpen(n) {
			taken++
		}
	}
	t := w.tallyOf(f)
	t.acceptedD.Add(taken)
	t.refusedD.Add(int64(f.refused))
	t.unknown.Add(1)
	t.unknownD.Add(int64(f.recipients-f.refused) - taken)
}

// postpone keeps f to be offered again, unless it has had its tries.
func (w *worker) postpone(f *flight, now time.Time) bool {
	if f.tries+1 >= w.s.o.Tries || len(w.again) >= maxAgain || w.leaving || w.s.stopped.Load() {
		return false
	}
	f.retryAt = now.Add(w.s.o.RetryAfter)
	w.again = append(w.again, *f)
	return true
}

// drop frees the place of the first flight.
func (w *worker) drop() {
	w.from = (w.from + 1) % len(w.flights)
	w.on--
}

// abandon ends what a failed connection left in the air.
func (w *worker) abandon() {
	for w.on > 0 {
		f := &w.flights[w.from]
		switch {
		case f.end > 0 && w.c.Sent() >= f.end:
			w.lose(f)
		case w.postpone(f, time.Now()):
		default:
			w.unsend(f)
		}
		w.drop()
	}
}

// leave ends what a worker that stops still has.
func (w *worker) leave() {
	w.leaving = true
	if w.ready {
		w.on, w.ready = w.on+1, false
	}
	w.abandon()
	for i := range w.again {
		if f := &w.again[i]; f.later {
			w.refuse(f)
		} else {
			w.unsend(f)
		}
	}
	w.again = nil
	if w.holds && !w.s.o.Pace.Closed() && w.held.due.Before(time.Now()) {
		t := &w.n
		if w.held.due.Before(w.s.measured) {
			t = &w.warm
		}
		t.missed.Add(1)
		t.abandoned.Add(1)
	}
}
