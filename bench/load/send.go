package load

import (
	"context"
	"time"
)

// sendJoined sends with PIPELINING: the text of one message and the commands of
// the next share a write. left is how many messages the connection may still
// carry, below 0 any number.
func (w *worker) sendJoined(ctx context.Context, left int) (more bool, err error) {
	f := w.begin(ctx)
	if f == nil {
		return false, nil
	}
	w.envelope(f)
	w.c.Data()
	if err := w.c.Flush(); err != nil {
		return true, err
	}
	for {
		if left > 0 {
			left--
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
		var next *flight
		if left != 0 {
			if next = w.begin(ctx); next != nil {
				w.envelope(next)
				w.c.Data()
			}
		}
		if err := w.c.Flush(); err != nil {
			return true, err
		}
		code, err := w.read() // to the dot or to RSET
		if err != nil {
			return true, err
		}
		if open {
			w.over(f, code)
		}
		if next == nil {
			return left == 0, nil
		}
		next.began = w.free
		f = next
	}
}

// readToData reads the replies up to the one to DATA, and reports whether the
// text is wanted.
func (w *worker) readToData(f *flight) (bool, error) {
	if err := w.readEnvelope(f); err != nil {
		return false, err
	}
	code, err := w.read()
	if err == nil && code < 400 && code != 354 {
		err = errPhase
	}
	return code == 354, err
}

// appendText appends the text of f, or a lone dot when nobody is to get it, which
// a server that says 354 all the same must be sent (RFC 2920 section 3.1).
func (w *worker) appendText(f *flight) error {
	if f.taken > 0 {
		// The lines of the texts never begin with a dot: nothing to stuff.
		if err := w.c.Chunk(w.text(f, time.Now()).text); err != nil {
			return err
		}
	}
	w.c.Dot(true)
	f.end = w.c.End()
	return nil
}

// sendStrictly waits for each reply before it says the next thing.
func (w *worker) sendStrictly(ctx context.Context, left int) (more bool, err error) {
	for ; left != 0; left-- {
		f := w.begin(ctx)
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
		return refuse()
	}
	for n := range w.s.o.Recipients {
		w.rcpt(f, n)
		code, err := ask()
		if err != nil {
			return err
		}
		if code < 300 {
			f.taken++
		} else {
			f.refused++
		}
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
		return refuse()
	}
	if err := w.appendText(f); err != nil {
		return err
	}
	if code, err = ask(); err != nil {
		return err
	}
	w.over(f, code)
	return nil
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
			f := w.begin(ctx)
			if f == nil {
				more = false
				break
			}
			left--
			if ahead {
				w.c.Rset()
				f.reset = true
			}
			w.envelope(f)
			m := w.text(f, time.Now())
			w.c.Bdat(int64(len(m.text)), true)
			if err := w.c.Chunk(m.text); err != nil {
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
	code, err := w.read()
	if err != nil {
		return err
	}
	if w.over(f, code); code >= 300 && w.on == 0 {
		w.c.Rset()
		if err := w.c.Flush(); err != nil {
			return err
		}
		_, err = w.read()
	}
	return err
}
