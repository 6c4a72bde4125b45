package outbound

import (
	"errors"
	"io"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// admit judges whether tx can be sent to this server at all. When not, its
// outcomes are set.
func (s *session) admit(tx *transaction) bool {
	d, x := tx.d, &s.c.Extensions
	tx.rcpts = len(d.Recipients)
	if m := x.MaxRcpts; m > 0 && m < tx.rcpts { // RFC 9422 section 4.2
		tx.rcpts = m
	}
	tx.size = d.Body.Size()
	tx.text = d.Body.Bytes()
	if int64(len(tx.text)) != tx.size {
		tx.text = nil
	}
	refuse := func(st mail.Status) bool {
		tx.rcpts = len(d.Recipients)
		tx.rest(st)
		return false
	}
	if d.Envelope.SMTPUTF8 && !x.Set.Has(smtp.SMTPUTF8) { // RFC 6531 section 3.2
		return refuse(statusUTF8)
	}
	if x.MaxSize > 0 && tx.size > x.MaxSize { // RFC 1870 section 6.1
		return refuse(statusTooBig)
	}
	var ok bool
	if s.path, ok = smtp.AppendPath(s.path[:0], d.Envelope.Sender, d.Envelope.SMTPUTF8); !ok {
		return refuse(statusSender)
	}
	writable := 0
	for i := range tx.rcpts {
		a := d.Envelope.Recipients[d.Recipients[i]].Address
		if s.path, ok = smtp.AppendPath(s.path[:0], a, d.Envelope.SMTPUTF8); !ok || len(a) == 0 {
			d.Set(i, statusRecipient)
			continue
		}
		writable++
	}
	if writable == 0 {
		return false
	}
	st := s.inspect(tx)
	if !st.IsZero() {
		return refuse(st)
	}
	return true
}

// inspect looks for what forbids to send the text of tx. A text that is not in
// memory is looked at while it is sent, unless the server's lack of 8BITMIME
// makes it necessary to know before.
func (s *session) inspect(tx *transaction) mail.Status {
	takes := s.c.Extensions.Set.Has(smtp.EightBitMIME)
	s.check = smtp.TextCheck{}
	switch {
	case tx.text != nil || tx.size == 0:
		s.check.Add(tx.text)
	case takes:
		tx.eightBit = tx.d.Envelope.EightBit
		return mail.Status{}
	default:
		if st := s.readThrough(tx); !st.IsZero() {
			return st
		}
	}
	s.check.End()
	tx.eightBit = s.check.EightBit
	switch {
	case s.check.Bare:
		return statusBareLines
	case tx.eightBit && !takes: // RFC 6152 section 3
		return statusEightBit
	}
	return mail.Status{}
}

// readThrough shows all of a stored text to s.check.
func (s *session) readThrough(tx *transaction) mail.Status {
	r := tx.d.Body.Reader()
	s.needPiece()
	for {
		n, err := r.Read(s.piece)
		s.check.Add(s.piece[:n])
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return mail.Status{}
		default:
			return bodyStatus(tx.d, err)
		}
	}
}

func (s *session) needPiece() {
	if s.piece == nil {
		s.piece = make([]byte, pieceBytes)
	}
}

// bodyStatus judges an error of a body's reader.
func bodyStatus(d *mail.Delivery, err error) mail.Status {
	if errors.Is(err, mail.ErrCorrupt) {
		d.Corrupt = true
		return statusCorrupt
	}
	return statusUnread
}
