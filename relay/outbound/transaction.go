package outbound

import (
	"time"

	"postrider/internal/mail"
)

// transaction is one delivery on the wire.
type transaction struct {
	d        *mail.Delivery
	size     int64
	eightBit bool
	text     []byte // the whole text, when it is in memory
	rcpts    int    // of d.Recipients, those from here on are left for another transaction

	accepted  int   // recipients that the server took
	replies   int   // read so far
	refused   bool  // MAIL was
	delivered bool  // the text was taken, by LMTP for at least one recipient
	soften    bool  // a RCPT was answered 552
	lone      bool  // a lone dot was sent, since nobody is to get the text
	ending    bool  // replies to the end of the text have begun
	left      int   // of them
	next      int   // LMTP: where to look for the recipient of the next one
	end       int64 // where in the outgoing stream the text ended; 0: it has not
	began     time.Time
	textBegan time.Time
}

// rest sets the outcome of the recipients that have none.
func (tx *transaction) rest(s mail.Status) {
	for i := range tx.rcpts {
		if tx.d.Outcomes[i].IsZero() {
			tx.d.Set(i, s)
		}
	}
}

// softenRefused ends the recipients that were refused with 552, while others were
// taken, as temporary: to RCPT it then means "too many at once" (RFC 5321 section
// 4.5.3.1.10). It must be called before the end of the text has its replies.
func (tx *transaction) softenRefused() {
	if !tx.soften || tx.accepted == 0 {
		return
	}
	tx.soften = false
	for i := range tx.rcpts {
		if o := &tx.d.Outcomes[i]; o.Code == 552 {
			o.Code = 452
			o.Enhanced = mail.Enhanced{Class: 4, Subject: 5, Detail: 3}
		}
	}
}

// step is a reply that is due.
type step struct {
	kind stepKind
	rcpt int // for stepRcpt: index into the delivery's Recipients
	tx   *transaction
}

type stepKind uint8

const (
	stepReset stepKind = iota
	stepMail
	stepRcpt
	stepData
	stepEnd // to the final dot or BDAT LAST; with LMTP one for each accepted recipient
)

// expect notes that a reply to what was just appended is due, and reads some
// when too many are.
func (s *session) expect(kind stepKind, tx *transaction, rcpt int) error {
	if s.step >= stepsKept { // a stream of transactions never runs dry
		n := copy(s.steps, s.steps[s.step:])
		s.step, s.steps = 0, s.steps[:n]
	}
	s.steps = append(s.steps, step{kind: kind, rcpt: rcpt, tx: tx})
	if s.strict {
		return s.drain(0)
	}
	if s.outstanding() >= windowReplies {
		return s.drain(windowReplies / 2)
	}
	return nil
}

const stepsKept = 256

// outstanding returns how many replies are due, a run of LMTP's counted as one.
func (s *session) outstanding() int { return len(s.steps) - s.step }

// drain reads replies until at most n are due.
func (s *session) drain(n int) error {
	for s.outstanding() > n {
		if err := s.readOne(); err != nil {
			return err
		}
	}
	return nil
}

// readOne flushes and takes one reply.
func (s *session) readOne() error {
	st := s.steps[s.step]
	if !s.c.Ready() && time.Since(s.first().began) > s.t.o.Delivery {
		return errTooLong
	}
	if err := s.c.Flush(); err != nil {
		return err
	}
	if err := s.c.Read(&s.answer, s.timeout(st.kind)); err != nil {
		return err
	}
	if s.answer.Code == 421 { // RFC 5321 section 4.2.2: any command may be answered so
		s.said = s.answer.Status()
		return errClosing
	}
	if st.kind != stepReset {
		st.tx.replies++
	}
	done, err := s.take(st)
	if done {
		s.step++
		if s.step == len(s.steps) {
			s.step, s.steps = 0, s.steps[:0]
		}
	}
	return err
}

func (s *session) timeout(kind stepKind) time.Duration {
	t := s.c.Timeouts()
	switch kind {
	case stepRcpt:
		return t.Rcpt
	case stepData:
		return t.Data
	case stepEnd:
		return t.End
	case stepReset, stepMail:
	}
	return t.Mail
}

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
			tx.rest(a.Status())
		}
	case stepRcpt:
		switch {
		case tx.refused: // the server can only repeat itself
			if positive {
				return true, errSequence
			}
		case positive:
			tx.accepted++
		default:
			tx.soften = tx.soften || a.Code == 552
			tx.d.Set(st.rcpt, a.Status())
		}
	case stepData:
		s.dataAnswered, s.proceed = true, a.Code == 354
		if !s.proceed {
			tx.softenRefused()
			tx.rest(a.Status())
			s.mustReset = true
			s.finish(tx)
		}
	case stepEnd:
		return s.takeEnd(tx)
	}
	return true, nil
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
		tx.d.Set(tx.next, a.Status())
		tx.delivered = tx.delivered || positive
	default:
		tx.rest(a.Status())
		tx.delivered = positive
	}
	// RFC 3030 section 2: after a failed chunk only RSET makes the state sure.
	s.mustReset = s.mustReset || s.chunking && !positive
	if tx.left > 0 {
		return false, nil
	}
	if tx.delivered {
		s.successes++
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
