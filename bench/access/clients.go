package access

import (
	"bytes"
	"slices"
)

// synchronise is a client with a cache: it learns what is new, fetches it, passes
// on the flags that its user changed, and expunges what is beyond Keep.
func (s *session) synchronise() error {
	if err := s.choose(); err != nil {
		return err
	}
	if err := s.inventory(); err != nil {
		return err
	}
	for i := range s.box.mails {
		if !s.box.mails[i].read {
			if err := s.fetchText(i); err != nil {
				return err
			}
		}
	}
	if n := len(s.box.mails); n > 0 {
		for range 1 + s.rng.IntN(3) {
			flag := [...]uint8{flagSeen, flagFlagged, flagAnswered}[s.rng.IntN(3)]
			if err := s.toggle(s.rng.IntN(n), flag); err != nil {
				return err
			}
		}
	}
	if err := s.expunge(len(s.box.mails) - s.o.Keep); err != nil {
		return err
	}
	return s.logout()
}

// expunge removes the oldest n messages.
func (s *session) expunge(n int) error {
	if n <= 0 {
		return nil
	}
	c, mails := &s.imap, s.box.mails
	for i := range n {
		mails[i].known = false
	}
	s.start(opStore)
	c.command("UID STORE ")
	c.appendUint(mails[0].key)
	c.appendString(":")
	c.appendUint(mails[n-1].key)
	c.appendString(` +FLAGS.SILENT (\Deleted)`)
	if err := s.done(int64(n), 0, c.finish()); err != nil {
		return err
	}
	for i := range mails {
		x := &mails[i]
		if i < n {
			x.flags, x.known = x.flags|flagDeleted, true
		}
		x.unsure = x.flags&flagDeleted != 0 // until the answer to EXPUNGE
	}
	s.box.octets = 0
	gone := int64(0)
	c.onGone = func(seq int) error {
		if seq > len(s.box.mails) || s.box.mails[seq-1].flags&flagDeleted == 0 {
			s.bad("EXPUNGE removes message %d, which nobody deleted", seq)
		}
		if seq <= len(s.box.mails) {
			s.box.remove(seq - 1)
			gone++
		}
		return nil
	}
	defer func() { c.onGone = nil }()
	s.start(opExpunge)
	err := c.ask("EXPUNGE")
	if err := s.done(gone, 0, err); err != nil {
		return err
	}
	for i := range s.box.mails {
		if x := &s.box.mails[i]; x.flags&flagDeleted != 0 {
			s.bad("EXPUNGE has left message %d, which is deleted", x.number)
			x.unsure = false
		}
	}
	return nil
}

// webmail shows a page of envelopes, opens a message, and looks for what is unseen.
func (s *session) webmail() error {
	if err := s.choose(); err != nil {
		return err
	}
	if !s.box.listed() || s.imap.exists != len(s.box.mails) {
		if err := s.inventory(); err != nil {
			return err
		}
	}
	if n := len(s.box.mails); n > 0 && s.imap.exists == n {
		first := max(0, n-s.o.Page)
		if err := s.page(first); err != nil {
			return err
		}
		i := first + s.rng.IntN(n-first)
		if err := s.anatomy(i); err != nil {
			return err
		}
		if err := s.fetchText(i); err != nil {
			return err
		}
		if err := s.toggle(i, flagSeen); err != nil {
			return err
		}
	}
	if err := s.hunt(); err != nil {
		return err
	}
	return s.logout()
}

// page fetches the envelopes of the messages from index first on and compares
// them.
func (s *session) page(first int) error {
	c, mails := &s.imap, s.box.mails
	next := first
	c.onFetch = func(f *fetched) error {
		if !f.envelope {
			return nil
		}
		if f.seq != next+1 {
			s.bad("FETCH tells of message %d where %d is next", f.seq, next+1)
		}
		next++
		if f.seq > len(mails) {
			return nil
		}
		x := &mails[f.seq-1]
		if x.key != f.uid {
			s.bad("message %d has UID %d, not %d", f.seq, f.uid, x.key)
		}
		x.meet(item{size: f.size, flags: f.flags, said: f.hasFlags}, s.bad)
		if x.number != 0 && !s.subjectIs(f.subject, x.number) {
			s.bad("message %d has the subject %q", x.number, shorten(f.subject))
		}
		return nil
	}
	defer func() { c.onFetch = nil }()
	s.start(opFetchEnvelope)
	c.command("FETCH ")
	c.appendUint(uint64(first + 1))
	c.appendString(":")
	c.appendUint(uint64(len(mails)))
	c.appendString(" (UID FLAGS RFC822.SIZE INTERNALDATE ENVELOPE)")
	err := c.finish()
	if err := s.done(int64(next-first), 0, err); err != nil {
		return err
	}
	if next != len(mails) {
		s.bad("FETCH tells of %d messages, not %d", next-first, len(mails)-first)
	}
	return nil
}

// anatomy fetches the body structure of message i and compares it.
func (s *session) anatomy(i int) error {
	c, x := &s.imap, &s.box.mails[i]
	var got layout
	told := false
	c.onFetch = func(f *fetched) error {
		if f.hasLayout {
			got, told = f.structure, true
		}
		return nil
	}
	defer func() { c.onFetch = nil }()
	s.start(opFetchStructure)
	c.command("UID FETCH ")
	c.appendUint(x.key)
	c.appendString(" (BODYSTRUCTURE)")
	if err := s.done(1, 0, c.finish()); err != nil {
		return err
	}
	if x.number == 0 {
		return nil
	}
	var want layout
	s.scratch, want = appendBody(s.scratch[:0], x.number, s.o.Size-headLen)
	if !told || got != want {
		s.bad("message %d has %d parts of %d octets, not %d of %d", x.number, got.leaves, got.octets, want.leaves, want.octets)
	}
	return nil
}

// hunt searches for what is unseen and compares.
func (s *session) hunt() error {
	s.uids = s.uids[:0]
	s.imap.onFound = func(uid uint64) { s.uids = append(s.uids, uid) }
	defer func() { s.imap.onFound = nil }()
	s.start(opSearch)
	err := s.imap.ask("UID SEARCH UNSEEN")
	if err := s.done(int64(len(s.uids)), 0, err); err != nil {
		return err
	}
	if _, known := s.box.unseen(); !known {
		return nil
	}
	slices.Sort(s.uids)
	at := 0
	for i := range s.box.mails {
		x := &s.box.mails[i]
		if x.flags&flagSeen != 0 {
			continue
		}
		if at == len(s.uids) || s.uids[at] != x.key {
			s.bad("SEARCH UNSEEN does not find message %d with UID %d, or finds others", x.number, x.key)
			return nil
		}
		at++
	}
	if at < len(s.uids) {
		s.bad("SEARCH UNSEEN finds UID %d, which is seen or not there", s.uids[at])
	}
	return nil
}

// subjectIs reports whether an envelope is that of message number.
func (s *session) subjectIs(subject []byte, number uint32) bool {
	var b [48]byte
	return bytes.Equal(subject, appendSubject(b[:0], s.box.number, number))
}
