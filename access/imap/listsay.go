package imap

import (
	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// sayList answers a LIST.
func (s *session) sayList(l *listing, ret *listReturn) reply {
	ret.subscribed = ret.subscribed || l.subscribed
	l.gather(s.account)
	var trouble error
	var longest int // value of metadata that was left out
	l.each(func(e *listed) {
		if s.w.Failed() != nil {
			return
		}
		b := s.appendList(s.w.BulkRoom(bulkLine), l, ret, e)
		s.add(append(b, "\r\n"...))
		if e.box == nil || ret.status == 0 && len(ret.metadata.names) == 0 {
			return
		}
		box, err := s.account.Mailbox(e.name)
		if err != nil {
			return // it has gone meanwhile
		}
		if err := s.sayStatus(box, ret.status); err != nil {
			trouble = err
		}
		n, err := s.sayMetadata(box.Name(), usedBox{box, s.account}.Metadata, &ret.metadata)
		if err != nil {
			trouble = err
		}
		longest = max(longest, n)
	})
	if trouble != nil {
		return s.trouble(trouble)
	}
	if longest > 0 {
		return okRaw(appendLongEntries(nil, longest), "LIST completed")
	}
	return ok("LIST completed")
}

// appendList appends a LIST response without its end.
func (s *session) appendList(b []byte, l *listing, ret *listReturn, e *listed) []byte {
	b = append(b, "* LIST "...)
	b = s.appendAttributes(b, ret, e)
	b = append(b, ` "/" `...)
	b = imapwire.AppendMailbox(b, e.name, s.utf8())
	if !e.childInfo {
		return b
	}
	b = append(b, ` ("CHILDINFO" (`...)
	if l.subscribed {
		b = append(b, `"SUBSCRIBED"`...)
	}
	if l.specialUse {
		if l.subscribed {
			b = append(b, ' ')
		}
		b = append(b, `"SPECIAL-USE"`...)
	}
	return append(b, "))"...)
}

// appendAttributes appends the attributes of a name.
func (s *session) appendAttributes(b []byte, ret *listReturn, e *listed) []byte {
	b = append(b, '(')
	start := len(b)
	add := func(attribute string) {
		if len(b) > start {
			b = append(b, ' ')
		}
		b = append(b, attribute...)
	}
	switch {
	case e.box != nil:
	case ret.extended || s.has(rev2):
		add(`\NonExistent`)
	default:
		add(`\Noselect`) // what clients of RFC 3501 know
	}
	if ret.subscribed && e.subscribed {
		add(`\Subscribed`)
	}
	if e.children {
		add(`\HasChildren`)
	} else {
		add(`\HasNoChildren`)
	}
	if e.box != nil {
		for use := mailbox.UseAll; use <= mailbox.UseImportant; use <<= 1 {
			if e.box.Attributes&use != 0 {
				add(useName(use))
			}
		}
	}
	return append(b, ')')
}

// useName is what a special use is called (RFC 6154, RFC 8457).
func useName(use mailbox.Attributes) string {
	switch use {
	case mailbox.UseAll:
		return `\All`
	case mailbox.UseArchive:
		return `\Archive`
	case mailbox.UseDrafts:
		return `\Drafts`
	case mailbox.UseFlagged:
		return `\Flagged`
	case mailbox.UseJunk:
		return `\Junk`
	case mailbox.UseSent:
		return `\Sent`
	case mailbox.UseTrash:
		return `\Trash`
	}
	return `\Important`
}
