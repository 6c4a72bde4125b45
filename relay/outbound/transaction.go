package outbound

import (
	"time"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// transaction is one delivery on the wire.
type transaction struct {
	d      *mail.Delivery
	manner smtp.Manner
	text   []byte // the whole text, when it is in memory
	rcpts  int    // of d.Recipients, those from here on are left for another transaction

	accepted  int   // recipients that the server took
	replies   int   // read so far
	refused   bool  // MAIL was
	delivered bool  // the text was taken, by LMTP for at least one recipient
	soften    bool  // a RCPT was answered 552, for their number
	full      int   // from this recipient on all were too many, counted from 1; 0: none was
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

// answered sets the outcome of the recipients that have none to a reply.
func (tx *transaction) answered(s mail.Status, to mail.Command) {
	for i := range tx.rcpts {
		if tx.d.Outcomes[i].IsZero() {
			tx.d.Answered(i, s, to)
		}
	}
}

// softenRefused ends the recipients that were too many with 552 as temporary, when
// others were taken: to RCPT it then means the same as 452 (RFC 5321 section
// 4.5.3.1.10). It must be called before the end of the text has its replies.
func (tx *transaction) softenRefused() {
	if !tx.soften || tx.accepted == 0 {
		return
	}
	tx.soften = false
	for i := range tx.rcpts {
		if o := &tx.d.Outcomes[i]; o.Code == 552 && number(o.Enhanced) {
			o.Code = 452
			o.Enhanced = mail.Enhanced{Class: 4, Subject: 5, Detail: 3}
		}
	}
}

// leave makes those recipients untried again that were too many for one
// transaction, now that the others have been served: their turn is in the next,
// at once (RFC 5321 section 4.5.3.1.10). It can't go round in circles, for each
// time somebody has got the message.
func (tx *transaction) leave() {
	for i := tx.full - 1; tx.full > 0 && i < tx.rcpts; i++ {
		if o := &tx.d.Outcomes[i]; o.Code == 452 && number(o.Enhanced) {
			*o = mail.Status{}
		}
	}
}

// tooMany reports an answer to RCPT that is about the number of recipients.
func tooMany(a *smtp.Answer) bool {
	return (a.Code == 452 || a.Code == 552) && number(a.Enhanced)
}

// number reports a code that says "too many recipients", or nothing in
// particular; others speak of the mailbox or the system.
func number(e mail.Enhanced) bool {
	return e.Subject == 0 || e.Subject == 5 && e.Detail == 3
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
