package outbound

import (
	"bytes"
	"errors"
	"io"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// admission is what is done with a delivery at this server.
type admission uint8

const (
	admitted  admission = iota
	ended               // it can't be sent; its outcomes are set
	elsewhere           // this server lacks what it needs, and there are others
)

// admit judges whether tx can be sent to this server at all.
func (s *session) admit(tx *transaction) admission {
	d := tx.d
	tx.rcpts = len(d.Recipients)
	if s.limit > 0 && s.limit < tx.rcpts {
		tx.rcpts = s.limit
	}
	tx.manner.Size = d.Body.Size()
	tx.text = d.Body.Bytes()
	if int64(len(tx.text)) != tx.manner.Size {
		tx.text = nil
	}
	fails, lacks := s.inspect(tx)
	switch {
	case !fails.IsZero():
	case lacks.IsZero():
		if s.writable(tx) == 0 {
			tx.rcpts = len(d.Recipients)
			return ended
		}
		return admitted
	case s.tries.others(s.remote.Host):
		return elsewhere
	default:
		fails = lacks
	}
	tx.rcpts = len(d.Recipients)
	tx.rest(fails)
	return ended
}

// writable ends the recipients whose addresses can't be written and returns how
// many are left.
func (s *session) writable(tx *transaction) int {
	n := 0
	for i := range tx.rcpts {
		a := tx.d.Envelope.Recipients[tx.d.Recipients[i]].Address
		var ok bool
		if s.path, ok = smtp.AppendPath(s.path[:0], a, tx.manner.UTF8); ok && len(a) > 0 {
			n++
			continue
		}
		if len(a) > 0 && !tx.manner.UTF8 {
			if s.path, ok = smtp.AppendPath(s.path[:0], a, true); ok {
				tx.d.Set(i, statusUTF8)
				continue
			}
		}
		tx.d.Set(i, statusRecipient)
	}
	return n
}

// inspect looks for what forbids to send tx: anywhere (fails), or to a server
// without some extension (lacks). A text that is not in memory is looked at while
// it is sent, unless the server's lack of 8BITMIME makes it necessary to know
// before.
func (s *session) inspect(tx *transaction) (fails, lacks mail.Status) {
	x := &s.c.Extensions
	if x.MaxSize > 0 && tx.manner.Size > x.MaxSize { // RFC 1870 section 6.1
		return statusTooBig, lacks
	}
	if fails, lacks = s.inspectAddresses(tx); !fails.IsZero() {
		return fails, lacks
	}
	takes := x.Set.Has(smtp.EightBitMIME)
	s.check = smtp.TextCheck{}
	switch {
	case tx.text != nil || tx.manner.Size == 0:
		s.check.Add(tx.text)
	case takes:
		tx.manner.EightBit = tx.d.Envelope.EightBit
		return fails, lacks
	default:
		if fails = s.readThrough(tx); !fails.IsZero() {
			return fails, lacks
		}
	}
	s.check.End()
	tx.manner.EightBit = s.check.EightBit
	switch {
	case s.check.Bare:
		fails = statusBareLines
	case lacks.IsZero() && tx.manner.EightBit && !takes: // RFC 6152 section 3
		lacks = statusEightBit
	}
	return fails, lacks
}

// inspectAddresses looks at what the envelope needs, and at the sender.
func (s *session) inspectAddresses(tx *transaction) (fails, lacks mail.Status) {
	d, x := tx.d, s.c.Extensions.Set
	tx.manner.UTF8 = d.Envelope.SMTPUTF8 && x.Has(smtp.SMTPUTF8)
	var ok bool
	if s.path, ok = smtp.AppendPath(s.path[:0], d.Sender, d.Envelope.SMTPUTF8); !ok {
		return statusSender, lacks
	}
	if d.Envelope.RequireTLS && !s.lmtp { // of LMTP, RFC 8689 does not speak
		if lacks = s.lacksTLS(); !lacks.IsZero() {
			return fails, lacks
		}
		tx.manner.RequireTLS = true
	}
	if d.Envelope.SMTPUTF8 && !tx.manner.UTF8 {
		return s.lacksUTF8(tx)
	}
	return fails, lacks
}

// lacksTLS tells why a message of RFC 8689 can't go over this connection. The
// name that the certificate proves must not come from an answer of DNS that
// anybody could have given (section 4.2.1).
func (s *session) lacksTLS() mail.Status {
	known := s.eg.Hop.Kind != mail.HopMX || s.target.Authentic || s.eg.TLS.Level >= mail.TLSVerify
	switch {
	case s.remote.TLSVerdict == verdictDowngraded:
		return statusDowngraded
	case s.remote.TLSVerdict != verdictVerified || !known:
		return statusUnverified
	case !s.c.Extensions.Set.Has(smtp.RequireTLS):
		return statusNoRequire
	}
	return mail.Status{}
}

// lacksUTF8 tells whether a message of RFC 6531 is one only by its domains, which
// have a form in ASCII. Where no other recipient would be left to send to, one
// whose local part is beyond ASCII makes another server worth asking.
func (s *session) lacksUTF8(tx *transaction) (fails, lacks mail.Status) {
	d := tx.d
	var ok bool
	if s.path, ok = smtp.AppendPath(s.path[:0], d.Sender, false); !ok {
		return fails, statusUTF8
	}
	others := s.tries.others(s.remote.Host)
	for i := range tx.rcpts {
		a := d.Envelope.Recipients[d.Recipients[i]].Address
		if s.path, ok = smtp.AppendPath(s.path[:0], a, false); !ok && others {
			return fails, statusUTF8
		}
	}
	plain, fails := s.plainHeader(tx)
	if fails.IsZero() && !plain {
		lacks = statusUTF8
	}
	return fails, lacks
}

// plainHeader reports a header that is all ASCII.
func (s *session) plainHeader(tx *transaction) (bool, mail.Status) {
	if tx.text != nil {
		h, _, _ := bytes.Cut(tx.text, []byte("\r\n\r\n"))
		return smtp.ASCII(h), mail.Status{}
	}
	s.needPiece()
	for at := int64(0); at < tx.manner.Size; {
		n, err := tx.d.Body.ReadAt(s.piece[:min(int64(len(s.piece)), tx.manner.Size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return false, bodyStatus(tx.d, err)
		}
		h, _, ended := bytes.Cut(s.piece[:n], []byte("\r\n\r\n"))
		if !smtp.ASCII(h) {
			return false, mail.Status{}
		}
		if ended || n < 4 {
			break
		}
		if at += int64(n); at < tx.manner.Size {
			at -= 3 // an end that is cut in two
		}
	}
	return true, mail.Status{}
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
