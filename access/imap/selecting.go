package imap

import (
	"strconv"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// resync are the parameters of SELECT (RFC 4466, RFC 7162).
type resync struct {
	condstore, qresync bool
	validity           uint32
	modSeq             uint64
	known              imapwire.NumSet // UIDs; no ranges: all
	hasKnown           bool
	numbers, uids      imapwire.NumSet // sequence match data
}

func (s *session) selectBox(c *command) reply { return s.open(c, false) }
func (s *session) examine(c *command) reply   { return s.open(c, true) }

// open does SELECT and EXAMINE (RFC 9051 section 6.3.2).
func (s *session) open(c *command, readOnly bool) reply {
	name, good := argument(c, (*imapwire.Decoder).AString)
	if !good {
		return bad(textArguments)
	}
	var q resync
	if !c.bare() && !s.parameters(c, &q) || !c.bare() {
		return bad(textArguments)
	}
	if q.qresync && !s.has(qresync) {
		return bad("QRESYNC is not enabled") // RFC 7162 section 3.2.5
	}
	// The mailbox before is closed, even when there is none of that name.
	if s.sel != nil {
		s.deselect()
		s.w.AddString("* OK [CLOSED] Previous mailbox is closed\r\n")
	}
	box, r := s.mailbox(name)
	if box == nil {
		return r
	}
	// The counters come first: a mod-sequence must not be told before the changes up to
	// it (RFC 7162 section 3.1.2.1), and those after it will be told.
	status := box.Status()
	view, err := box.View()
	if err != nil {
		return s.trouble(err)
	}
	s.sel = &selection{box: box, view: view, readOnly: readOnly}
	if q.condstore {
		s.enabled |= condstore
	}
	if err := s.introduce(&q, &status); err != nil {
		s.deselect()
		return s.trouble(err)
	}
	if readOnly {
		return okCode("READ-ONLY", "EXAMINE completed")
	}
	return okCode("READ-WRITE", "SELECT completed")
}

// introduce tells of the mailbox that was selected.
func (s *session) introduce(q *resync, status *mailbox.Status) error {
	x := s.sel
	x.words = x.box.Keywords(nil)
	s.sayFlags()
	s.tellExists()
	b := s.w.BulkRoom(bulkLine)
	if s.has(rev2) { // RFC 9051 section 6.3.2
		b = append(imapwire.AppendMailbox(append(b, `* LIST () "/" `...), x.box.Name(), true), "\r\n"...)
	} else if first := x.firstUnseen(status); first > 0 {
		b = appendStatusCode(b, "UNSEEN ", uint64(first), "First unseen message")
	}
	b = appendStatusCode(b, "UIDVALIDITY ", uint64(status.UIDValidity), "UIDs valid")
	b = appendStatusCode(b, "UIDNEXT ", uint64(max(status.UIDNext, x.lastUID()+1)), "Predicted next UID")
	b = append(appendMailboxID(append(b, "* OK [MAILBOXID ("...), x.box), ")] Its id\r\n"...) // RFC 8474 section 4.2
	b = appendStatusCode(b, "HIGHESTMODSEQ ", status.HighestModSeq, "Highest")
	s.add(b)
	if q.qresync && q.validity == status.UIDValidity {
		return s.resync(q, status)
	}
	return nil
}

func appendStatusCode(b []byte, code string, n uint64, text string) []byte {
	b = append(append(b, "* OK ["...), code...)
	b = strconv.AppendUint(b, n, 10)
	b = append(append(b, "] "...), text...)
	return append(b, "\r\n"...)
}

// firstUnseen is the number of the first message that is not seen, 0 when all are.
func (x *selection) firstUnseen(status *mailbox.Status) (number int) {
	if status.Unseen == 0 {
		return 0
	}
	x.view.Each(0, func(i int, e mailbox.Entry) bool {
		if e.Flags&mailbox.FlagSeen == 0 {
			number = i + 1
		}
		return number == 0
	})
	return number
}

// parameters takes the list of parameters.
func (s *session) parameters(c *command, q *resync) bool {
	if !c.d.SP() || !c.d.Enter() {
		return false
	}
	for n := 0; n == 0 || c.d.SP(); n++ {
		word, _ := c.d.Atom()
		switch {
		case imapwire.Is(word, "CONDSTORE"):
			q.condstore = true
		case imapwire.Is(word, "QRESYNC"):
			if !c.d.SP() || !q.take(&c.d) {
				return false
			}
		default:
			return false
		}
	}
	return c.d.Leave()
}

// take takes the list behind QRESYNC.
func (q *resync) take(d *imapwire.Decoder) bool {
	q.qresync, q.condstore = true, true
	var good bool
	if !d.Enter() {
		return false
	}
	if q.validity, good = d.Number(); !good || !d.SP() {
		return false
	}
	if q.modSeq, good = d.Number64(); !good {
		return false
	}
	if d.SP() && d.Peek() != '(' {
		if !d.Set(&q.known) || q.known.Saved {
			return false
		}
		q.hasKnown = true
		d.SP()
	}
	if d.Enter() {
		if !d.Set(&q.numbers) || !d.SP() || !d.Set(&q.uids) || !d.Leave() {
			return false
		}
	}
	return d.Leave()
}

// resync tells what has changed since the client was here (RFC 7162 section 3.2.5.1).
func (s *session) resync(q *resync, status *mailbox.Status) error {
	x := s.sel
	gone, err := s.vanished(q, status)
	if err != nil {
		return err
	}
	s.sayVanished("* VANISHED (EARLIER) ", gone)
	known := q.known.Resolve(max(x.lastUID(), 1))
	x.view.Each(0, func(i int, e mailbox.Entry) bool {
		if e.ModSeq > q.modSeq && (!q.hasKnown || imapwire.Contains(known, e.UID)) {
			s.tellFlags(i, e)
		}
		return s.w.Failed() == nil
	})
	return nil
}

// vanished returns the UIDs expunged since the client was here, of those that it knows.
func (s *session) vanished(q *resync, status *mailbox.Status) ([]imapwire.Range, error) {
	x := s.sel
	known := []imapwire.Range{{From: 1, To: status.UIDNext - 1}}
	if q.hasKnown {
		known = q.known.Resolve(status.UIDNext - 1)
	}
	return x.vanishedSince(q.modSeq, known, status.UIDNext)
}
