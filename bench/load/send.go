package load

import (
	"context"
	"time"
)

// sendJoined sends with PIPELINING: in the closed loop the text of one message and
// the commands of the next share a write. left is how many messages the connection
// may still carry, below 0 any number.
func (w *worker) sendJoined(ctx context.Context, left int) (more bool, err error) {
	var next *flight // whose commands are on their way
	for {
		f := next
		if f == nil {
			if left == 0 {
				return true, nil
			}
			if f = w.begin(ctx, true); f == nil {
				return false, nil
			}
			left--
			w.envelope(f)
			w.c.Data()
			if err := w.c.Flush(); err != nil {
				return true, err
			}
		}
		open, err := w.readToData(f)
		if err != nil {
			return true, err
		}
		if open {
			if err := w.appendText(f); err != nil {
				return true, err
			}
		} else {
			w.over(f, 554)
			w.c.Rset() // whatever it was that DATA was refused for
		}
		next = nil
		if left != 0 && w.ahead() {
			if next = w.begin(ctx, false); next != nil {
				left--
				w.envelope(next)
				w.c.Data()
			}
		}
		if err := w.c.Flush(); err != nil {
			return true, err
		}
		if open {
			err = w.readEnd(f)
		} else {
			_, err = w.read() // to RSET
		}
		if err != nil {
			return true, err
		}
		if next != nil {
			if next.began = w.free; next.tries == 0 {
				next.due = w.free
			}
		}
	}
}

// appendText appends the text of f, or a lone dot when nobody is to get it, which
// a server that says 354 all the same must be sent (RFC 2920 section 3.1).
func (w *worker) appendText(f *flight) error {
	if f.taken > 0 {
		m := w.text
		m.make(f.seq, f.size, f.due, time.Now())
		if err := w.c.Chunk(m.head); err != nil {
			return err
		}
		for _, p := range m.pieces {
			var err error
			if m.dots {
				_, err = w.c.Text(p, true)
			} else {
				err = w.c.Chunk(p) // no line begins with a dot: nothing to stuff
			}
			if err != nil {
				return err
			}
		}
	}
	w.c.Dot(true)
	f.end = w.c.End()
	return nil
}

// sendStrictly waits for each reply before it says the next thing.
func (w *worker) sendStrictly(ctx context.Context, left int) (more bool, err error) {
	for ; left != 0; left-- {
		f := w.begin(ctx, true)
		if f == nil {
			return false, nil
		}
		if err := w.sendOneStrictly(f); err != nil {
			return true, err
		}
	}
	return true, nil
}

func (w *worker) sendOneStrictly(f *flight) error {
	ask := func() (uint16, error) {
		if err := w.c.Flush(); err != nil {
			return 0, err
		}
		return w.read()
	}
	refuse := func() error {
		w.over(f, 554)
		w.c.Rset()
		_, err := ask()
		return err
	}
	w.c.Raw(w.head)
	code, err := ask()
	if err != nil {
		return err
	}
	if code >= 300 {
		f.later = code/100 == 4
		return refuse()
	}
	for n := range f.recipients {
		w.rcpt(f, n)
		code, err := ask()
		if err != nil {
			return err
		}
		f.replied(n, code, true)
	}
	if f.taken == 0 {
		return refuse()
	}
	w.c.Data()
	if code, err = ask(); err != nil {
		return err
	}
	if code != 354 {
		if code < 400 {
			return errPhase
		}
		f.later = f.later || code/100 == 4
		return refuse()
	}
	if err := w.appendText(f); err != nil {
		return err
	}
	if err := w.c.Flush(); err != nil {
		return err
	}
	return w.readEnd(f)
}

// sendChunks sends MAIL, RCPT and BDAT LAST together, and some messages ahead of
// the replies to the first.
func (w *worker) sendChunks(ctx context.Context, left int) (more bool, err error) {
	more = true
	for {
		for more && left != 0 && w.on < w.s.o.InFlight {
			// Behind a message whose end is not known: were all its recipients
			// refused, the server might still have it open.
			ahead := w.on > 0
			f := w.begin(ctx, !ahead)
			if f == nil {
				more = ahead
				break
			}
			left--
			if ahead {
				w.c.Rset()
				f.reset = true
			}
			w.envelope(f)
			if err := w.appendChunk(f); err != nil {
				return true, err
			}
			f.end = w.c.End()
		}
		if w.on == 0 {
			return more, nil
		}
		if err := w.c.Flush(); err != nil {
			return true, err
		}
		for first := true; w.on > 0 && (first || w.c.Ready()); first = false {
			if err := w.readChunk(&w.flights[w.from]); err != nil {
				return true, err
			}
		}
	}
}

// appendChunk appends the text of f as one chunk.
func (w *worker) appendChunk(f *flight) error {
	m := w.text
	m.make(f.seq, f.size, f.due, time.Now())
	w.c.Bdat(int64(m.bytes), true)
	if err := w.c.Chunk(m.head); err != nil {
		return err
	}
	for _, p := range m.pieces {
		if err := w.c.Chunk(p); err != nil {
			return err
		}
	}
	return nil
}

// readChunk reads the replies to one message.
func (w *worker) readChunk(f *flight) error {
	if f.reset {
		code, err := w.read()
		if err != nil {
			return err
		}
		if code >= 300 {
			return errPhase
		}
	}
	if err := w.readEnvelope(f); err != nil {
		return err
	}
	before := w.tallyOf(f).accepted.Load()
	if err := w.readEnd(f); err != nil {
		return err
	}
	if w.tallyOf(f).accepted.Load() == before && w.on == 0 {
		w.c.Rset()
		if err := w.c.Flush(); err != nil {
			return err
		}
		_, err := w.read()
		return err
	}
	return nil
}
