package outbound

import (
	"errors"
	"io"
	"time"

	"postrider/relay/smtp"
)

// send puts tx on its way. It returns with the transaction over, or with all of
// it appended or written and only replies outstanding.
func (s *session) send(tx *transaction) error {
	// A transaction that is sent ahead of a reply to BDAT LAST can't know whether
	// the one before it is over for the server: one whose recipients were all
	// refused may still be open, and would swallow this one's recipients.
	if s.mustReset || s.chunking && s.n > 1 {
		s.mustReset = false
		s.c.Rset()
		if err := s.expect(stepReset, tx, 0); err != nil {
			return err
		}
	}
	if over, err := s.envelope(tx); over || err != nil {
		return err
	}
	switch {
	case s.chunking && !s.strict && tx.text != nil && tx.manner.Size <= flightTextBytes:
		return s.sendChunk(tx)
	case s.chunking:
		return s.sendLater(tx)
	}
	return s.sendData(tx)
}

// envelope sends MAIL and RCPT. over says that the server wants nothing of it,
// which only a server without PIPELINING can have said by now.
func (s *session) envelope(tx *transaction) (over bool, err error) {
	d := tx.d
	s.c.Mail(d.Envelope, d.Sender, tx.manner) // admit has tried the addresses
	if err := s.expect(stepMail, tx, 0); err != nil {
		return false, err
	}
	if s.strict && tx.refused {
		s.finish(tx)
		return true, nil
	}
	for i := range tx.rcpts {
		if tx.refused {
			break
		}
		if !d.Outcomes[i].IsZero() {
			continue // its address can't be written
		}
		s.c.Rcpt(d.Envelope, d.Recipients[i], tx.manner)
		if err := s.expect(stepRcpt, tx, i); err != nil {
			return false, err
		}
	}
	if s.strict && tx.accepted == 0 {
		s.mustReset = true
		s.finish(tx)
		return true, nil
	}
	return false, nil
}

// sendChunk sends a text in the same flight as its envelope.
func (s *session) sendChunk(tx *transaction) error {
	s.c.Bdat(tx.manner.Size, true)
	if err := s.c.Chunk(tx.text); err != nil {
		return s.unsent(tx, err)
	}
	tx.end = s.c.End()
	tx.textBegan = time.Now()
	return s.expect(stepEnd, tx, 0)
}

// sendLater sends a text as one chunk, once its recipients are known.
func (s *session) sendLater(tx *transaction) error {
	if err := s.drain(0); err != nil {
		return err
	}
	if tx.accepted == 0 {
		s.mustReset = true
		s.finish(tx)
		return nil
	}
	tx.textBegan = time.Now()
	s.c.Bdat(tx.manner.Size, true)
	put := func(p []byte) error { return s.c.Chunk(p) }
	if err := s.stream(tx, put); err != nil {
		return s.unsent(tx, err)
	}
	tx.end = s.c.End()
	return s.expect(stepEnd, tx, 0)
}

// sendData sends DATA, waits for the reply, and appends the text. Unless it is
// large it is written together with what the loop appends next.
func (s *session) sendData(tx *transaction) error {
	s.dataAnswered = false
	s.c.Data()
	if err := s.expect(stepData, tx, 0); err != nil {
		return err
	}
	for !s.dataAnswered {
		if err := s.readOne(); err != nil {
			return err
		}
	}
	if !s.proceed {
		return nil // it is over
	}
	tx.textBegan = time.Now()
	lineStart := true
	if tx.lone = tx.accepted == 0; !tx.lone {
		put := func(p []byte) (err error) {
			lineStart, err = s.c.Text(p, lineStart)
			return err
		}
		if err := s.stream(tx, put); err != nil {
			return s.unsent(tx, err)
		}
	}
	// A server may say 354 with every recipient refused; a lone dot ends that
	// (RFC 2920 section 3.1).
	s.c.Dot(lineStart)
	tx.end = s.c.End()
	return s.expect(stepEnd, tx, 0)
}

// unsent follows a text whose end was not sent. When the connection was the
// reason the server may say more, so a reply is due; else nothing more is said.
func (s *session) unsent(tx *transaction, err error) error {
	if errors.Is(err, errBody) {
		return err
	}
	s.steps = append(s.steps, step{kind: stepEnd, tx: tx})
	return err
}

// stream gives the text of tx to put in pieces. The last byte of a text that is
// not in memory is given only when its reader has vouched for the whole, and a CR
// only with what follows it, so that neither a corrupt text nor a bare CR can be
// completed by what is sent.
func (s *session) stream(tx *transaction, put func([]byte) error) error {
	if tx.text != nil || tx.manner.Size == 0 {
		return put(tx.text)
	}
	s.needPiece()
	s.check = smtp.TextCheck{}
	r := tx.d.Body.Reader()
	held, total := 0, int64(0)
	for {
		n, err := r.Read(s.piece[held:])
		s.check.Add(s.piece[held : held+n])
		total += int64(n)
		ended := errors.Is(err, io.EOF)
		if ended {
			s.check.End()
		}
		switch {
		case s.check.Bare:
			tx.rest(statusBareLines)
			return errBody
		case err != nil && !ended:
			tx.rest(bodyStatus(tx.d, err))
			return errBody
		case ended && total != tx.manner.Size || total > tx.manner.Size:
			tx.rest(statusUnread)
			return errBody
		case time.Since(tx.began) > s.t.o.Delivery:
			return errTooLong
		}
		have := held + n
		if ended {
			return put(s.piece[:have])
		}
		if have == 0 {
			continue
		}
		if have > 1 {
			if err := put(s.piece[:have-1]); err != nil {
				return err
			}
		}
		s.piece[0] = s.piece[have-1]
		held = 1
	}
}
