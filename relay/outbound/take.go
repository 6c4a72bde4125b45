package outbound

import (
	"time"

	"postrider/internal/mail"
)

// take applies the reply in s.answer. done says that st has had all its replies.
// st.tx may be over, and its memory in use again, when take returns.
func (s *session) take(st step) (done bool, err error) {
	a, tx := &s.answer, st.tx
	positive := a.Code < 300
	if a.Code < 400 && st.kind == stepData && a.Code != 354 || a.Code < 400 && st.kind != stepData && !positive {
		return true, errSequence
	}
	switch st.kind {
	case stepReset:
		if !positive {
			return true, errSequence
		}
	case stepMail:
		if !positive {
			tx.refused = true
			tx.answered(a.Status(), mail.CommandMail)
		}
	case stepRcpt:
		switch {
		case tx.refused: // the server can only repeat itself
			if positive {
				return true, errSequence
			}
		case positive:
			tx.accepted++
			tx.full = 0 // so it was not the number
		default:
			if tooMany(a) {
				tx.soften = tx.soften || a.Code == 552
				if tx.full == 0 && tx.accepted > 0 {
					tx.full = st.rcpt + 1
				}
			}
			tx.d.Answered(st.rcpt, a.Status(), mail.CommandRcpt)
		}
	case stepData:
		s.dataAnswered, s.proceed = true, a.Code == 354
		s.learn(tx)
		if !s.proceed {
			tx.softenRefused()
			tx.answered(a.Status(), mail.CommandData)
			s.mustReset = true
			s.finish(tx)
		}
	case stepEnd:
		return s.takeEnd(tx)
	}
	return true, nil
}

// learn keeps the next transactions to the number of recipients that were taken,
// if the others were too many.
func (s *session) learn(tx *transaction) {
	if tx.full > 0 {
		s.limit = tx.accepted
	}
}

// takeEnd applies a reply to the end of a text.
func (s *session) takeEnd(tx *transaction) (done bool, err error) {
	a := &s.answer
	positive := a.Code < 300
	written := tx.end > 0 && s.c.Sent() >= tx.end
	if positive && !written {
		return true, errSequence // it can't have seen the end
	}
	tx.d.DotSent = written && tx.accepted > 0
	if !tx.ending {
		s.learn(tx)
		tx.softenRefused()
		tx.ending, tx.left = true, 1
		if s.lmtp { // RFC 2033 section 4.2: a reply for each accepted recipient, in order
			tx.left = max(1, tx.accepted)
		}
	}
	tx.left--
	switch {
	case tx.accepted == 0: // nobody to whom the reply could apply
	case s.lmtp:
		for !tx.d.Outcomes[tx.next].IsZero() {
			tx.next++
		}
		tx.d.Answered(tx.next, a.Status(), mail.CommandData)
		tx.delivered = tx.delivered || positive
	default:
		tx.answered(a.Status(), mail.CommandData)
		tx.delivered = positive
	}
	// RFC 3030 section 2: after a failed chunk only RSET makes the state sure.
	s.mustReset = s.mustReset || s.chunking && !positive
	if tx.left > 0 {
		return false, nil
	}
	if tx.delivered {
		s.successes++
		tx.leave()
	}
	s.finish(tx)
	return true, nil
}

// finish gives the first transaction in line back.
func (s *session) finish(tx *transaction) {
	now := time.Now()
	if tx.textBegan.IsZero() {
		tx.d.Timings.SMTP = now.Sub(tx.began)
	} else {
		tx.d.Timings.SMTP = tx.textBegan.Sub(tx.began)
		tx.d.Timings.Data = now.Sub(tx.textBegan)
	}
	d := tx.d
	s.head = (s.head + 1) % len(s.txs)
	s.n--
	*tx = transaction{}
	s.src.Done(d)
}
