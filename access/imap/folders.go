package imap

import (
	"errors"
	"slices"
	"strings"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// takeName takes the name of a mailbox that need not exist. One that ends with a
// separator is meant to have others below it, which every mailbox may have (RFC 9051
// section 6.3.4).
func (s *session) takeName(c *command) (string, reply) {
	b, good := argument(c, (*imapwire.Decoder).AString)
	if !good {
		return "", bad(textArguments)
	}
	name, err := imapwire.DecodeMailbox(b, s.utf8())
	if err != nil {
		return "", s.trouble(mailbox.ErrName)
	}
	if len(name) > 1 {
		name = strings.TrimSuffix(name, "/")
	}
	return name, reply{}
}

// usable returns a name for a new mailbox as it is kept. It refuses those that a LIST
// could not tell from patterns.
func (s *session) usable(name string) (string, reply) {
	kept, err := mailbox.BoxName(name)
	if err != nil || strings.ContainsAny(name, "*%") {
		return "", s.trouble(mailbox.ErrName)
	}
	return kept, reply{}
}

// create does CREATE (RFC 9051 section 6.3.4), with the USE of RFC 6154.
func (s *session) create(c *command) reply {
	name, r := s.takeName(c)
	if !r.good() {
		return r
	}
	var use mailbox.Attributes
	if !c.bare() {
		if use, r = s.takeUse(c); !r.good() {
			return r
		}
	}
	kept, r := s.usable(name)
	if !r.good() {
		return r
	}
	if use != 0 && slices.ContainsFunc(s.account.Mailboxes(nil), func(b mailbox.Info) bool { return b.Attributes&use != 0 }) {
		return no("USEATTR", "Another mailbox has this use")
	}
	if _, err := s.account.Mailbox(kept); err == nil {
		return s.trouble(mailbox.ErrExists)
	}
	if r := s.createAbove(kept); !r.good() {
		return r
	}
	box, err := s.account.Create(s.ctx, kept, use)
	if err != nil {
		return s.trouble(err)
	}
	s.ownNames(kept)
	s.sayNormalized(name, kept)
	return okRaw(append(appendMailboxID([]byte("MAILBOXID ("), box), ')'), "CREATE completed") // RFC 8474 section 4.1
}

// createAbove makes the levels above name that are missing (RFC 9051 section 6.3.4), the
// highest first.
func (s *session) createAbove(name string) reply {
	var missing []string
	above(name, func(level string) bool {
		_, err := s.account.Mailbox(level)
		if errors.Is(err, mailbox.ErrNoMailbox) {
			missing = append(missing, level)
		}
		return err != nil
	})
	for _, level := range slices.Backward(missing) {
		if _, err := s.account.Create(s.ctx, level, 0); err != nil && !errors.Is(err, mailbox.ErrExists) {
			return s.trouble(err)
		}
	}
	return reply{}
}

// sayNormalized tells of a name that is not what the client wrote (RFC 9051 section
// 6.3.4).
func (s *session) sayNormalized(asked, name string) {
	if asked == name || !s.has(rev2) {
		return
	}
	b := append(s.room(), `* LIST () "/" `...)
	b = imapwire.AppendMailbox(b, name, true)
	b = append(b, ` ("OLDNAME" (`...)
	b = imapwire.AppendMailbox(b, asked, true)
	s.add(append(b, "))\r\n"...))
}

// takeUse takes "(USE (attributes))".
func (s *session) takeUse(c *command) (use mailbox.Attributes, r reply) {
	d := &c.d
	if !d.SP() || !d.Enter() {
		return 0, bad(textArguments)
	}
	if word, _ := d.Atom(); !imapwire.Is(word, "USE") || !d.SP() || !d.Enter() {
		return 0, bad(textArguments)
	}
	for n := 0; !d.Leave(); n++ {
		if n > 0 && !d.SP() {
			return 0, bad(textArguments)
		}
		word, good := d.Flag()
		if !good {
			return 0, bad(textArguments)
		}
		one := useOf(word)
		if one == 0 && r.good() {
			r = no("USEATTR", "No mailbox can have this use here")
		}
		use |= one
	}
	if !d.Leave() || !c.bare() {
		return 0, bad(textArguments)
	}
	return use, r
}

// useOf returns the use that an attribute names, 0 when no mailbox can be given it:
// those of \All and \Flagged would have to be made of others.
func useOf(word []byte) mailbox.Attributes {
	for use := mailbox.UseAll; use <= mailbox.UseImportant; use <<= 1 {
		if strings.EqualFold(string(word), useName(use)) && use&(mailbox.UseAll|mailbox.UseFlagged) == 0 {
			return use
		}
	}
	return 0
}

// delete does DELETE (RFC 9051 section 6.3.5). Those below stay.
func (s *session) delete(c *command) reply {
	name, r := s.takeName(c)
	if !r.good() {
		return r
	}
	if !c.bare() {
		return bad(textArguments)
	}
	box, err := s.account.Mailbox(name)
	if err != nil {
		return s.trouble(err)
	}
	kept := box.Name()
	if err := s.account.Delete(s.ctx, name); err != nil {
		return s.trouble(err)
	}
	s.ownNames(kept)
	if s.sel != nil && s.sel.box == box {
		s.deselect()
		s.w.AddString("* OK [CLOSED] Mailbox is closed\r\n")
	}
	return ok("DELETE completed")
}

// rename does RENAME (RFC 9051 section 6.3.6).
func (s *session) rename(c *command) reply {
	from, r := s.takeName(c)
	if !r.good() {
		return r
	}
	to, r := s.takeName(c)
	if !r.good() {
		return r
	}
	if !c.bare() {
		return bad(textArguments)
	}
	kept, r := s.usable(to)
	if !r.good() {
		return r
	}
	if r := s.mayRename(from, kept); !r.good() {
		return r
	}
	if r := s.createAbove(kept); !r.good() {
		return r
	}
	if err := s.account.Rename(s.ctx, from, kept); err != nil {
		return s.trouble(err)
	}
	s.ownNames(from, kept)
	if strings.EqualFold(from, inboxName) {
		if err := s.keepMetadata(kept); err != nil {
			return s.trouble(err)
		}
	}
	s.sayNormalized(to, kept)
	return ok("RENAME completed")
}

// mayRename sees what would be in the way of a RENAME, before levels are made for it.
func (s *session) mayRename(from, to string) reply {
	if strings.HasPrefix(to, from+"/") && !strings.EqualFold(from, inboxName) {
		return s.trouble(mailbox.ErrName)
	}
	if _, err := s.account.Mailbox(to); err == nil {
		return s.trouble(mailbox.ErrExists)
	}
	var l listing
	l.gather(s.account)
	if _, err := s.account.Mailbox(from); err != nil && !l.hasChildren(from) {
		return s.trouble(err)
	}
	return reply{}
}

// keepMetadata gives the new INBOX the metadata of the old one, which is called name now
// (RFC 5464 section 4.1).
func (s *session) keepMetadata(name string) error {
	old, err := s.account.Mailbox(name)
	if err != nil || old.MetadataVersion() == 0 {
		return err
	}
	inbox, err := s.account.Mailbox(inboxName)
	if err != nil {
		return err
	}
	notes, err := old.Metadata(nil)
	if err != nil {
		return err
	}
	return inbox.SetMetadata(s.ctx, notes)
}
