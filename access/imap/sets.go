package imap

import (
	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// uids returns the UIDs that a set of message numbers, or of UIDs, stands for in the
// view: rising ranges, none beyond the last message. They are valid until the next call.
// A number that no message has is BAD (RFC 9051 section 6.4.5), a UID is not.
func (s *session) uids(uid bool, set *imapwire.NumSet) ([]mailbox.Range, reply) {
	x := s.sel
	s.ranges = s.ranges[:0]
	switch {
	case set.Saved:
		return x.saved, reply{}
	case uid:
		last := x.lastUID()
		for _, r := range set.Resolve(last) {
			if r.From <= last {
				s.ranges = append(s.ranges, mailbox.Range{From: r.From, To: min(r.To, last)})
			}
		}
		return s.ranges, reply{}
	}
	n := uint32(x.view.Len())
	for i := range set.Ranges {
		r := &set.Ranges[i]
		// With "*" a number beyond the end is taken for the end, which clients ask for
		// that have not seen an EXPUNGE yet.
		if r.From > n && r.To == 0 {
			r.From = 0
		}
		if r.To > n && r.From == 0 {
			r.To = 0
		}
		if r.From > n || r.To > n {
			return nil, bad("No message has this number")
		}
	}
	for _, r := range set.Resolve(n) {
		s.ranges = append(s.ranges, mailbox.Range{From: x.view.At(int(r.From) - 1).UID, To: x.view.At(int(r.To) - 1).UID})
	}
	return s.ranges, reply{}
}

// mailbox finds the mailbox that a client names.
func (s *session) mailbox(name []byte) (*mailbox.Mailbox, reply) {
	decoded, err := imapwire.DecodeMailbox(name, s.utf8())
	if err != nil {
		return nil, s.trouble(mailbox.ErrName)
	}
	m, err := s.account.Mailbox(decoded)
	if err != nil {
		return nil, s.trouble(err)
	}
	return m, reply{}
}
