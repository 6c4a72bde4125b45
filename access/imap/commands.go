package imap

import (
	"postrider/delivery/mailbox"
)

// noop does NOOP: what it is for are the updates, which every command brings.
func (s *session) noop(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	return ok("NOOP completed")
}

// check does CHECK, which IMAP4rev2 has no longer: everything is on the disk.
func (s *session) check(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	return ok("CHECK completed")
}

// closeBox does CLOSE: messages that are marked go, without a word (RFC 9051 section
// 6.4.1).
func (s *session) closeBox(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	x := s.sel
	if !x.readOnly && x.view.Len() > 0 {
		// Only those that this session knows of: what has come since was marked by
		// somebody else, who can expunge it.
		uids := []mailbox.Range{{From: 1, To: x.lastUID()}}
		n, err := x.box.Expunge(s.ctx, uids, mailbox.FlagDeleted)
		if err != nil {
			return s.trouble(err)
		}
		s.expunged += n
	}
	s.deselect()
	return ok("CLOSE completed")
}

// unselect does UNSELECT (RFC 3691).
func (s *session) unselect(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	s.deselect()
	return ok("UNSELECT completed")
}
