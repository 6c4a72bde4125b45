package access

// pollPOP3 looks whether something is there.
func (s *session) pollPOP3() error {
	if err := s.stat(); err != nil {
		return err
	}
	if err := s.uidl(false); err != nil {
		return err
	}
	return s.quit()
}

// download fetches all messages and deletes them.
func (s *session) download() error {
	if err := s.stat(); err != nil {
		return err
	}
	if err := s.uidl(true); err != nil {
		return err
	}
	for i := range s.box.mails {
		if err := s.retr(i); err != nil {
			return err
		}
		s.start(opDele)
		if err := s.done(1, 0, s.pop.dele(i+1)); err != nil {
			return err
		}
	}
	// From here on until the answer nobody knows whether they are gone: the
	// deletions take effect with QUIT, and without it they must not
	// (RFC 1939 section 6).
	for i := range s.box.mails {
		s.box.mails[i].unsure = true
	}
	s.box.octets = 0
	if err := s.quit(); err != nil {
		return err
	}
	for i := len(s.box.mails) - 1; i >= 0; i-- {
		s.box.remove(i)
	}
	return nil
}

// stat compares the number of messages and their octets.
func (s *session) stat() error {
	s.start(opStat)
	messages, octets, err := s.pop.stat()
	if err := s.done(0, 0, err); err != nil {
		return err
	}
	if least, most := s.box.bounds(); messages < least || messages > most {
		s.bad("STAT counts %d messages, there are %d", messages, len(s.box.mails))
	}
	if s.box.octets != 0 && s.box.octets != octets {
		s.bad("STAT counts %d octets, there are %d", octets, s.box.octets)
	}
	return nil
}

// uidl compares the list of messages, with their sizes if that is wanted.
func (s *session) uidl(sizes bool) (err error) {
	s.start(opUIDL)
	s.list, err = s.pop.uidl(s.list[:0])
	if err := s.done(int64(len(s.list)), 0, err); err != nil {
		return err
	}
	if sizes {
		s.start(opList)
		if err := s.done(int64(len(s.list)), 0, s.pop.sizes(s.list)); err != nil {
			return err
		}
	}
	s.op = opUIDL // it is what shows the state of the mailbox
	s.box.compare(s.list, s.bad)
	if sizes {
		s.box.octets = 0
		for i := range s.list {
			s.box.octets += s.list[i].size
		}
	}
	return nil
}

func (s *session) quit() error {
	s.start(opQuit)
	_, err := s.pop.ask("QUIT")
	return s.done(0, 0, err)
}

// retr fetches the text of message i and compares it.
func (s *session) retr(i int) error {
	s.start(opRetr)
	err := s.pop.retr(i+1, &s.text)
	if err := s.done(1, s.text.octets, err); err != nil {
		return err
	}
	s.box.examine(i, &s.text, s.o.Seed, s.bad)
	return nil
}

// lookPOP3 compares a whole mailbox, with the texts if that is wanted.
func (s *session) lookPOP3(texts bool) error {
	if err := s.uidl(true); err != nil {
		return err
	}
	for i := range s.box.mails {
		if texts {
			if err := s.retr(i); err != nil {
				return err
			}
		}
	}
	return s.quit()
}
