package imap

import (
	"strconv"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
	"postrider/internal/wire"
)

// telling sends what a refresh of the view brings in, in the order in which it is told,
// so that message numbers mean what they do at that place.
type telling struct {
	s        *session
	f        func(c mailbox.Change) // tell, made once for all refreshes
	added    bool
	vanished []imapwire.Range                         // not sent yet
	own      func(c mailbox.Change) (keepSilent bool) // nil: nothing was our own doing
}

// updates tells the client what has happened in the selected mailbox. With expunge
// message numbers may change (RFC 9051 section 7.5.1).
func (s *session) updates(expunge bool) { s.updatesBut(expunge, nil) }

// updatesBut is updates without those changes of flags and additions for which own
// returns true: what the command in hand has told already, or must not tell.
func (s *session) updatesBut(expunge bool, own func(c mailbox.Change) bool) {
	x := s.sel
	// What the client has done itself it is told of, whatever it wants to be notified of.
	if (x.view.Fresh() || !s.tellsOf(notifyMessages) && !s.changed) && !x.box.Deleted() {
		return
	}
	s.tellKeywords()
	t := &x.telling
	if t.s == nil {
		t.s, t.f = s, t.tell
	}
	t.own, t.added = own, false
	next := x.lastUID() + 1
	x.view.Refresh(!expunge, t.f)
	t.flush()
	t.own = nil
	if t.added {
		s.tellExists()
		s.fetchNew(next)
	}
	if x.box.Deleted() && expunge {
		s.deselect()
		s.stop(byeDeleted, wire.ReasonRefused)
	}
}

// byeDeleted ends a session whose mailbox another one has deleted (RFC 2180 section 3.3).
const byeDeleted = "* BYE The selected mailbox was deleted\r\n"

// tellExists sends EXISTS, and RECENT as IMAP4rev1 has it.
func (s *session) tellExists() {
	b := append(s.room(), "* "...)
	b = strconv.AppendInt(b, int64(s.sel.view.Len()), 10)
	b = append(b, " EXISTS\r\n"...)
	if !s.has(rev2) {
		s.sel.takeRecent()
		b = append(b, "* "...)
		b = strconv.AppendInt(b, int64(s.sel.countRecent()), 10)
		b = append(b, " RECENT\r\n"...)
	}
	s.add(b)
}

func (t *telling) tell(c mailbox.Change) {
	switch c.Kind {
	case mailbox.Added:
		t.added = true
	case mailbox.Expunged:
		t.expunged(c)
	case mailbox.Changed:
		if t.own != nil && t.own(c) || !t.s.tellsOf(notifyFlags) {
			return
		}
		t.flush()
		t.s.tellFlags(c.Index, c.Entry)
	}
}

// expunged sends EXPUNGE, or gathers VANISHED where QRESYNC is enabled (RFC 7162
// section 3.2.10).
func (t *telling) expunged(c mailbox.Change) {
	if t.s.has(qresync) {
		if n := len(t.vanished); n > 0 && t.vanished[n-1].To+1 == c.Entry.UID {
			t.vanished[n-1].To++
		} else {
			t.vanished = append(t.vanished, imapwire.Range{From: c.Entry.UID, To: c.Entry.UID})
		}
		return
	}
	b := append(t.s.room(), "* "...)
	b = strconv.AppendInt(b, int64(c.Index)+1, 10)
	t.s.add(append(b, " EXPUNGE\r\n"...))
}

// flush sends VANISHED before anything that counts on it.
func (t *telling) flush() {
	if len(t.vanished) == 0 {
		return
	}
	t.s.sayVanished("* VANISHED ", t.vanished)
	t.vanished = nil // there may have been many
}

// sayVanished sends a VANISHED of ranges that may be many.
func (s *session) sayVanished(prefix string, uids []imapwire.Range) {
	const piece = 500
	for len(uids) > 0 {
		n := min(piece, len(uids))
		b := append(s.w.BulkRoom(wire.BulkRoomSize/2), prefix...)
		b = imapwire.AppendSet(b, uids[:n])
		s.add(append(b, "\r\n"...))
		uids = uids[n:]
	}
}

// tellFlags sends a FETCH of a message's flags, with its mod-sequence where CONDSTORE is
// enabled (RFC 7162 section 3.2), and its UID where QRESYNC is (section 3.2.4).
func (s *session) tellFlags(index int, e mailbox.Entry) {
	b := append(s.room(), "* "...)
	b = strconv.AppendInt(b, int64(index)+1, 10)
	b = append(b, " FETCH ("...)
	if s.has(qresync|rev2) || s.notifies != nil { // RFC 5465 section 5.1
		b = append(b, "UID "...)
		b = strconv.AppendUint(b, uint64(e.UID), 10)
		b = append(b, ' ')
	}
	b = append(b, "FLAGS "...)
	b = s.appendFlags(b, e, s.sel.view.More(e.UID))
	if s.has(condstore) {
		b = append(b, " MODSEQ ("...)
		b = strconv.AppendUint(b, e.ModSeq, 10)
		b = append(b, ')')
	}
	s.add(append(b, ")\r\n"...))
}
