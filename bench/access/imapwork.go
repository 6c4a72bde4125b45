package access

// mostMessages is how many messages a mailbox may claim to have.
const mostMessages = 4 << 20

// pollIMAP looks whether something is there. The first time it must list the
// mailbox, to know what STATUS has to say from then on.
func (s *session) pollIMAP() error {
	if !s.box.settled() {
		return s.lookIMAP(false)
	}
	c := &s.imap
	c.status = mailboxStatus{}
	s.start(opStatus)
	if err := s.done(0, 0, c.ask("STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)")); err != nil {
		return err
	}
	st := c.status
	if !st.said {
		s.bad("STATUS was answered without a status")
	}
	s.box.identify(st.uidValidity, st.uidNext, s.bad)
	if s.box.settled() && st.messages != uint64(len(s.box.mails)) {
		s.bad("STATUS counts %d messages, there are %d", st.messages, len(s.box.mails))
		s.box.adopt = true
	}
	if n, known := s.box.unseen(); known && st.unseen != uint64(n) {
		s.bad("STATUS counts %d unseen messages, there are %d", st.unseen, n)
		s.box.adopt = true
	}
	return s.logout()
}

// lookIMAP compares a whole mailbox, with the texts if that is wanted.
func (s *session) lookIMAP(texts bool) error {
	if err := s.choose(); err != nil {
		return err
	}
	if err := s.inventory(); err != nil {
		return err
	}
	for i := range s.box.mails {
		if texts {
			if err := s.fetchText(i); err != nil {
				return err
			}
		}
	}
	return s.logout()
}

func (s *session) logout() error {
	s.start(opLogout)
	return s.done(0, 0, s.imap.ask("LOGOUT"))
}

// choose selects INBOX and compares what SELECT says.
func (s *session) choose() error {
	s.start(opSelect)
	if err := s.done(0, 0, s.imap.selectInbox()); err != nil {
		return err
	}
	s.box.identify(s.imap.uidValidity, s.imap.uidNext, s.bad)
	if least, most := s.box.bounds(); s.imap.exists < least || s.imap.exists > most {
		s.bad("SELECT counts %d messages, there are %d", s.imap.exists, len(s.box.mails))
	}
	return nil
}

// inventory fetches the flags of the messages whose UIDs are known and the UIDs
// of the others, as a client with a cache does, and compares the whole.
func (s *session) inventory() error {
	c := &s.imap
	s.list = s.list[:0]
	c.onFetch = s.gather
	defer func() { c.onFetch = nil }()
	s.start(opFetchFlags)
	if c.exists == 0 {
		s.box.compare(nil, s.bad)
		return nil
	}
	highest := s.box.highest()
	if highest > 0 {
		c.command("UID FETCH 1:")
		c.appendUint(highest)
		c.appendString(" (UID FLAGS)")
		if err := s.done(int64(len(s.list)), 0, c.finish()); err != nil {
			return err
		}
		s.start(opFetchFlags)
	}
	before := len(s.list)
	c.command("UID FETCH ")
	c.appendUint(highest + 1)
	c.appendString(":* (UID FLAGS RFC822.SIZE)")
	if err := s.done(int64(len(s.list)-before), 0, c.finish()); err != nil {
		return err
	}
	s.tidy(highest)
	s.box.compare(s.list, s.bad)
	s.box.uidNext = max(s.box.uidNext, c.uidNext)
	return nil
}

// gather puts what a FETCH response says into the list, by its sequence number.
func (s *session) gather(f *fetched) error {
	if f.uid == 0 {
		return nil // of its own accord; RFC 3501 section 7.4.2 lets it come without
	}
	if f.seq > mostMessages {
		return malformed("message %d", f.seq)
	}
	for len(s.list) < f.seq {
		s.list = append(s.list, item{})
	}
	it := &s.list[f.seq-1]
	if it.key != 0 && it.key != f.uid {
		s.bad("message %d has UID %d and UID %d", f.seq, it.key, f.uid)
	}
	it.key = f.uid
	if f.size > 0 {
		it.size = f.size
	}
	if f.hasFlags {
		if it.said && it.flags != f.flags {
			s.bad("message %d has flags %s and flags %s", f.seq, flagNames(it.flags), flagNames(f.flags))
		}
		it.flags, it.said = f.flags, true
	}
	return nil
}

// tidy takes the gaps out of the list: what FETCH left out, and what stands out of
// the order of UIDs.
func (s *session) tidy(highest uint64) {
	if len(s.list) < s.imap.exists {
		s.bad("FETCH told of %d messages, %d exist", len(s.list), s.imap.exists)
	}
	kept, last := s.list[:0], uint64(0)
	for i, it := range s.list {
		switch {
		case it.key == 0:
			s.bad("FETCH left out message %d", i+1)
			continue
		case it.key <= last:
			s.bad("message %d has UID %d, after UID %d", i+1, it.key, last)
			continue
		case it.key >= s.imap.uidNext && s.imap.uidNext != 0:
			s.bad("message %d has UID %d, UIDNEXT is %d", i+1, it.key, s.imap.uidNext)
		case it.key > highest && it.key < s.box.uidNext:
			s.bad("new message %d has UID %d, UIDNEXT was %d", i+1, it.key, s.box.uidNext)
		}
		last = it.key
		kept = append(kept, it)
	}
	s.list = kept
}

// fetchText fetches the text of message i and compares it.
func (s *session) fetchText(i int) error {
	c, came := &s.imap, 0
	want := s.box.mails[i].key
	c.onFetch = func(f *fetched) error {
		if f.hasText && f.uid == want {
			came++
			s.box.examine(i, &f.text, s.o.Seed, s.bad)
		}
		return nil
	}
	defer func() { c.onFetch = nil }()
	s.start(opFetchBody)
	c.command("UID FETCH ")
	c.appendUint(want)
	c.appendString(" (UID BODY.PEEK[])")
	err := c.finish()
	if err := s.done(1, c.fetched.text.octets, err); err != nil {
		return err
	}
	if came != 1 {
		s.bad("FETCH of UID %d brought %d texts", want, came)
	}
	return nil
}

// toggle changes a flag of message i and compares what the server makes of it.
func (s *session) toggle(i int, flag uint8) error {
	c, x := &s.imap, &s.box.mails[i]
	sign := "+"
	if x.flags&flag != 0 {
		sign = "-"
	}
	wanted, told := x.flags^flag, false
	c.onFetch = func(f *fetched) error {
		if !f.hasFlags || f.seq != i+1 {
			return nil
		}
		told = true
		if f.flags != wanted {
			s.bad("STORE makes the flags of message %d %s, not %s", x.number, flagNames(f.flags), flagNames(wanted))
		}
		return nil
	}
	defer func() { c.onFetch = nil }()
	known := x.known
	x.known = false // until the answer
	s.start(opStore)
	c.command("UID STORE ")
	c.appendUint(x.key)
	c.appendString(" " + sign + "FLAGS ")
	c.appendString(flagNames(flag))
	if err := s.done(1, 0, c.finish()); err != nil {
		return err
	}
	if !told {
		s.bad("STORE does not tell the new flags of message %d", x.number)
	}
	x.flags, x.known = wanted, known
	return nil
}
