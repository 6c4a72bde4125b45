package imap

import (
	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// append does APPEND (RFC 9051 section 6.3.12), of several messages too (RFC 3502).
func (s *session) append(c *command) reply {
	a := appending{s: s, c: c, d: &c.d}
	defer a.close()
	if a.target(c) && a.messages(true) {
		return a.file()
	}
	return a.failed()
}

// target finds the mailbox to append to.
func (a *appending) target(c *command) bool {
	name, good := argument(c, (*imapwire.Decoder).AString)
	if !good {
		return a.wrong(bad(textArguments))
	}
	var r reply
	if a.box, r = a.s.mailbox(name); a.box == nil {
		return a.wrong(tryCreate(r)) // RFC 9051 section 6.3.12
	}
	return true
}

// failed answers a command that has failed.
func (a *appending) failed() reply {
	a.skip()
	if a.over {
		return reply{}
	}
	return a.fail
}

// file files all messages, or none.
func (a *appending) file() reply {
	s := a.s
	ds, err := a.deliveries()
	if err == nil {
		err = s.o.Store.DeliverAll(s.ctx, ds...)
	}
	if err != nil {
		return tryCreate(s.trouble(err))
	}
	s.appended += len(ds)
	s.m.Appended.Add(int64(len(ds)))
	s.added(a.box, uidsOf(ds))
	return okRaw(a.appendUID(nil, ds), "APPEND completed")
}

func (a *appending) deliveries() ([]*mailbox.Delivery, error) {
	ds := make([]*mailbox.Delivery, 0, len(a.list))
	for _, m := range a.list {
		body, err := m.draft.Body()
		if err != nil {
			return nil, err
		}
		ds = append(ds, &mailbox.Delivery{
			Text: body, Received: m.date, AllOrNothing: true,
			Targets: []mailbox.Target{{Mailbox: a.box, Flags: m.flags.Flags, Keywords: m.flags.Keywords}},
		})
	}
	return ds, nil
}

// appendUID appends the APPENDUID code (RFC 4315 section 3).
func (a *appending) appendUID(b []byte, ds []*mailbox.Delivery) []byte {
	b = append(b, "APPENDUID "...)
	b = imapwire.AppendRange(b, a.box.Status().UIDValidity, a.box.Status().UIDValidity)
	b = append(b, ' ')
	var uids []imapwire.Range
	for _, r := range uidsOf(ds) {
		uids = append(uids, imapwire.Range(r))
	}
	return imapwire.AppendSet(b, uids)
}

// uidsOf are those that deliveries have got, which rise.
func uidsOf(ds []*mailbox.Delivery) (uids []mailbox.Range) {
	for _, d := range ds {
		uids = appendUID(uids, d.Targets[0].UID)
	}
	return uids
}

func (s *session) replace(c *command) reply { return s.replaceMessage(c, false) }

func (s *session) uidReplace(c *command) reply { return s.replaceMessage(c, true) }

// replaceMessage does REPLACE and UID REPLACE (RFC 8508): a message comes and another one
// goes in the same step.
func (s *session) replaceMessage(c *command, uid bool) reply {
	a := appending{s: s, c: c, d: &c.d}
	defer a.close()
	number, good := argument(c, (*imapwire.Decoder).Number)
	switch {
	case !good || number == 0:
		a.wrong(bad(textArguments))
	case s.sel.readOnly:
		a.wrong(no("READ-ONLY", "Mailbox was opened to be looked at only"))
	default:
		if old, found := s.replaced(&a, number, uid); found && a.target(c) && a.messages(false) {
			return a.replace(old)
		}
	}
	return a.failed()
}

// replaced finds the message that is to go; the room that it takes is free for the new
// one.
func (s *session) replaced(a *appending, number uint32, uid bool) (uint32, bool) {
	v := s.sel.view
	i, found := int(number)-1, int(number) <= v.Len()
	if uid {
		i, found = v.Find(number)
	}
	if !found {
		if uid {
			return 0, a.wrong(no("NONEXISTENT", "No message has this UID"))
		}
		return 0, a.wrong(bad("No message has this number"))
	}
	old := v.At(i).UID
	err := v.Scan(old, old, func(m *mailbox.Meta) bool { a.free = m.SizeBytes; return false })
	if err != nil {
		return 0, a.wrong(s.trouble(err))
	}
	return old, true
}

// replace files the message. Who replaces one learns of the new one before the old one
// goes (RFC 8508 section 4.3).
func (a *appending) replace(old uint32) reply {
	s := a.s
	ds, err := a.deliveries()
	if err == nil {
		ds[0].From, ds[0].Expunge = s.sel.box, []mailbox.Range{{From: old, To: old}}
		err = s.o.Store.Deliver(s.ctx, ds[0])
	}
	if err != nil {
		return tryCreate(s.trouble(err))
	}
	s.appended++
	s.expunged++
	s.changed = true
	s.m.Appended.Add(1)
	s.added(a.box, uidsOf(ds))
	b := a.appendUID(append(s.room(), "* OK ["...), ds)
	s.add(append(b, "] Replacement is there\r\n"...))
	return ok("REPLACE completed")
}
