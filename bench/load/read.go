package load

// readEnvelope reads the replies to MAIL and RCPT.
func (w *worker) readEnvelope(f *flight) error {
	code, err := w.read()
	if err != nil {
		return err
	}
	mail := code < 300
	f.later = code/100 == 4
	for n := range f.recipients {
		code, err := w.read()
		if err != nil {
			return err
		}
		f.replied(n, code, mail)
	}
	return nil
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
	f.later = f.later || code/100 == 4
	return code == 354, err
}

// readEnd reads what the server says to the text, and ends f by it. A 421 is an
// answer like any other 4xx, but for the connection.
func (w *worker) readEnd(f *flight) error {
	if w.s.o.LMTP && f.taken > 0 {
		return w.readEnds(f)
	}
	code, err := w.read()
	if code != 0 {
		w.over(f, code)
	}
	return err
}

// readEnds reads a reply for each recipient that was accepted (RFC 2033 section
// 4.2). Once the server says 421 it says nothing of the others: they are refused.
func (w *worker) readEnds(f *flight) error {
	var err error
	for n := range f.recipients {
		if !f.isOpen(n) {
			continue
		}
		code := uint16(421)
		if err == nil {
			if code, err = w.read(); code == 0 {
				return err // nobody knows of the others
			}
		}
		if code >= 300 {
			f.shut(n)
			f.later = f.later || code/100 == 4
		}
		f.settled = n + 1
	}
	w.over(f, 250)
	return err
}

// read reads a reply; 421 ends the connection.
func (w *worker) read() (uint16, error) {
	if err := w.c.Read(&w.answer, w.s.o.Timeout); err != nil {
		return 0, err
	}
	if w.answer.Code == 421 {
		return 421, errCut
	}
	return w.answer.Code, nil
}
