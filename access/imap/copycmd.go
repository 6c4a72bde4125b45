package imap

import (
	"strconv"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// copyMessages does COPY and UID COPY (RFC 9051 section 6.4.7).
func (s *session) copyMessages(c *command) reply { return s.transfer(c, false) }

// move does MOVE and UID MOVE (RFC 6851).
func (s *session) move(c *command) reply { return s.transfer(c, true) }

func (s *session) transfer(c *command, move bool) reply {
	if !c.d.SP() || !c.d.Set(&s.set) || !c.d.SP() {
		return bad(textArguments)
	}
	name, good := c.d.AString()
	if !good || !c.bare() {
		return bad(textArguments)
	}
	uids, r := s.uids(c.uid, &s.set)
	if !r.good() {
		return r
	}
	x := s.sel
	if move && x.readOnly {
		return no("READ-ONLY", "Mailbox was opened to be read only")
	}
	to, r := s.mailbox(name)
	if to == nil {
		return tryCreate(r)
	}
	do := x.box.Copy
	if move {
		do = x.box.Move
	}
	var pairs []mailbox.UIDPair
	if len(uids) > 0 {
		var err error
		if pairs, err = do(s.ctx, uids, to); err != nil {
			return tryCreate(s.trouble(err))
		}
	}
	if len(pairs) == 0 {
		return s.nothingCopied(c.uid, uids, move)
	}
	var copies []mailbox.Range
	for _, p := range pairs {
		copies = appendUID(copies, p.To)
	}
	s.added(to, copies)
	code := appendCopyUID(nil, to.Status().UIDValidity, pairs)
	if !move {
		return okRaw(code, "COPY completed")
	}
	s.expunged += len(pairs)
	s.changed = true
	// The UIDs must be known before the messages are gone (RFC 6851 section 4.3).
	b := append(s.w.BulkRoom(lineRoom), "* OK ["...)
	b = append(append(b, code...), "] Moved\r\n"...)
	s.add(b)
	return s.expungedReply("MOVE completed")
}

// tryCreate says of a mailbox that is not there that it could be made.
func tryCreate(r reply) reply {
	if r.code == "NONEXISTENT" {
		r.code = "TRYCREATE"
	}
	return r
}

// nothingCopied is the reply when there was no message: with UIDs that is no error.
func (s *session) nothingCopied(uid bool, uids []mailbox.Range, move bool) reply {
	switch {
	case !uid && len(uids) > 0:
		return no("EXPUNGEISSUED", "The messages were removed by another session")
	case move:
		return ok("MOVE completed, there was no such message")
	}
	return ok("COPY completed, there was no such message")
}

// appendCopyUID appends the response code of RFC 4315 section 3. The sets are in the
// order of the source, whose numbers rise as those of the copies do.
func appendCopyUID(dst []byte, validity uint32, pairs []mailbox.UIDPair) []byte {
	dst = strconv.AppendUint(append(dst, "COPYUID "...), uint64(validity), 10)
	ranges := make([]imapwire.Range, 0, 8)
	for _, column := range [...]func(p mailbox.UIDPair) uint32{
		func(p mailbox.UIDPair) uint32 { return p.From },
		func(p mailbox.UIDPair) uint32 { return p.To },
	} {
		ranges = ranges[:0]
		for _, p := range pairs {
			uid := column(p)
			if n := len(ranges); n > 0 && ranges[n-1].To+1 == uid {
				ranges[n-1].To = uid
			} else {
				ranges = append(ranges, imapwire.Range{From: uid, To: uid})
			}
		}
		dst = imapwire.AppendSet(append(dst, ' '), ranges)
	}
	return dst
}

// expunge does EXPUNGE (RFC 9051 section 6.4.3).
func (s *session) expunge(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	// Only messages that this session knows of: it cannot mean others.
	return s.expungeUIDs([]mailbox.Range{{From: 1, To: s.sel.lastUID()}})
}

// uidExpunge does UID EXPUNGE (RFC 9051 section 6.4.9).
func (s *session) uidExpunge(c *command) reply {
	if !c.d.SP() || !c.d.Set(&s.set) || !c.bare() {
		return bad(textArguments)
	}
	uids, r := s.uids(true, &s.set)
	if !r.good() {
		return r
	}
	return s.expungeUIDs(uids)
}

func (s *session) expungeUIDs(uids []mailbox.Range) reply {
	x := s.sel
	if x.readOnly {
		return no("READ-ONLY", "Mailbox was opened to be read only")
	}
	n, err := x.box.Expunge(s.ctx, uids, mailbox.FlagDeleted)
	if err != nil {
		return s.trouble(err)
	}
	s.expunged += n
	if n == 0 {
		return ok("EXPUNGE completed")
	}
	s.changed = true
	return s.expungedReply("EXPUNGE completed")
}

// expungedReply is the reply after messages were expunged: with QRESYNC it tells how far
// the client knows the mailbox now (RFC 7162 section 3.2.7). The updates that are sent
// before it tell all there is up to this.
func (s *session) expungedReply(text string) reply {
	if !s.has(qresync) {
		return ok(text)
	}
	code := strconv.AppendUint([]byte("HIGHESTMODSEQ "), s.sel.box.Status().HighestModSeq, 10)
	return okRaw(code, text)
}
