package imap

import (
	"cmp"
	"slices"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// keepNames lets go of the names of mailboxes, of which there may be many, when nobody
// wants to know how they change.
func (n *notifying) keepNames() {
	if n.wanted&notifyName == 0 {
		n.names.boxes = nil
	}
}

// notifyBegin notes how everything is, and with status tells it of the mailboxes whose
// messages are watched.
func (s *session) notifyBegin(status bool) error {
	n := s.notifies
	n.known = make(map[uint32]notified)
	n.names.gather(s.account)
	defer n.keepNames()
	n.account = s.account.MetadataVersion()
	for i := range n.names.boxes {
		info := &n.names.boxes[i]
		events := n.events(info.Name)
		if events&(notifyMessages|notifyMetadata) == 0 {
			continue
		}
		box, err := s.account.Mailbox(info.Name)
		if err != nil {
			continue // it has gone meanwhile
		}
		n.known[info.ID] = knownOf(box)
		if !status || events&notifyMessages == 0 || s.sel != nil && s.sel.box == box {
			continue
		}
		items := statusMessages | statusUIDNext | statusUIDValidity
		if events&notifyFlags != 0 {
			items |= statusHighestModSeq
		}
		if err := s.sayStatus(box, items); err != nil {
			return err
		}
	}
	return nil
}

func knownOf(box *mailbox.Mailbox) notified {
	st := box.Status()
	return notified{
		validity: st.UIDValidity, uidNext: st.UIDNext, messages: st.Messages, unseen: st.Unseen, modSeq: st.HighestModSeq,
		notes: box.MetadataVersion(),
	}
}

// news tells what has happened since the last time. In IDLE message numbers may change,
// whatever the client has asked for (RFC 5465 section 6.1.2).
func (s *session) news(idle bool) {
	n := s.notifies
	if n == nil {
		if s.sel != nil && idle {
			s.updates(true)
		}
		return
	}
	n.mu.Lock()
	dirty, named := n.dirty, n.named
	n.dirty, n.named = nil, false
	n.mu.Unlock()
	if s.sel != nil {
		s.updates(idle || !n.delayed)
	}
	if named && !s.ended {
		s.tellNames()
		s.tellAccount()
	}
	boxes := make([]*mailbox.Mailbox, 0, len(dirty))
	for box := range dirty {
		boxes = append(boxes, box)
	}
	slices.SortFunc(boxes, func(a, b *mailbox.Mailbox) int { return cmp.Compare(a.ID(), b.ID()) })
	for _, box := range boxes {
		if s.ended {
			return
		}
		s.tellBox(box)
	}
}

// tellBox tells what has happened in a mailbox.
func (s *session) tellBox(box *mailbox.Mailbox) {
	n := s.notifies
	events := n.events(box.Name())
	if events&(notifyMessages|notifyMetadata) == 0 || box.Deleted() {
		return
	}
	was, known := n.known[box.ID()]
	now := knownOf(box)
	if !known {
		was = notified{validity: now.validity, uidNext: 1, modSeq: 1}
	}
	n.known[box.ID()] = now
	if s.sel == nil || s.sel.box != box {
		if err := s.sayStatus(box, s.notifyItems(events, &was, &now)); err != nil {
			s.trouble(err)
		}
	}
	if events&notifyMetadata != 0 && now.notes > was.notes {
		s.tellEntries(box.Name(), box.Metadata, was.notes)
	}
}

// notifyItems says which of them a STATUS has to tell (RFC 5465 sections 5.1 to 5.3).
func (s *session) notifyItems(events notifyEvents, was, now *notified) (items statusItems) {
	if now.validity != was.validity {
		items |= statusUIDValidity
	}
	if events&notifyNew != 0 && (now.uidNext != was.uidNext || now.messages != was.messages) {
		items |= statusMessages | statusUIDNext
	}
	if events&notifyFlags != 0 && now.modSeq != was.modSeq {
		if now.unseen != was.unseen {
			items |= statusUnseen
		}
		if items != 0 || s.has(condstore) {
			items |= statusUIDValidity
		}
	}
	if s.has(condstore) && (items != 0 || events&notifyFlags != 0 && now.modSeq != was.modSeq) {
		items |= statusHighestModSeq
	}
	return items
}

// tellAccount tells of changes of the account's own metadata.
func (s *session) tellAccount() {
	n := s.notifies
	was := n.account
	if n.account = s.account.MetadataVersion(); n.wanted&notifyServer != 0 && n.account > was {
		s.tellEntries("", s.account.Metadata, was)
	}
}

// tellEntries sends the names of the entries that have changed since a version (RFC 5464
// section 4.4.2).
func (s *session) tellEntries(box string, read func([]mailbox.Metadata) ([]mailbox.Metadata, error), since uint64) {
	notes, err := read(nil)
	if err != nil {
		s.trouble(err)
		return
	}
	var b []byte
	for i := range notes {
		if notes[i].Version > since && notes[i].Name[0] == '/' {
			b = imapwire.AppendAString(append(b, ' '), notes[i].Name, false)
		}
	}
	if len(b) > 0 {
		line := imapwire.AppendMailbox(append(s.w.BulkRoom(bulkLine), "* METADATA "...), box, s.utf8())
		s.add(append(append(line, b...), "\r\n"...))
	}
}

// tellsOf reports whether the client wants to be told of a kind of event in the selected
// mailbox.
func (s *session) tellsOf(e notifyEvents) bool {
	return s.notifies == nil || s.notifies.selected&e != 0
}

// fetchNew sends what the client wants to know of new messages in the selected mailbox,
// those with UIDs from first on (RFC 5465 section 5.2).
func (s *session) fetchNew(first uint32) {
	n := s.notifies
	if n == nil || n.items == "" {
		return
	}
	own := n.own
	n.own = nil
	f := fetchers.Get().(*fetcher)
	defer f.release()
	var d imapwire.Decoder
	d.Reset([]byte(n.items)) // a copy, which is changed
	if !f.plan.parse(&d) {
		return
	}
	f.s, f.view = s, s.sel.view
	f.spans = spansOf(f.spans[:0], f.view, []mailbox.Range{{From: first, To: 1<<32 - 1}})
	f.without = own
	f.run()
	if f.damaged != nil {
		s.trouble(f.damaged)
	}
}

// added notes messages that this session has added to a mailbox: it need not be told of
// them (RFC 5465 section 5).
func (s *session) added(box *mailbox.Mailbox, uids []mailbox.Range) {
	n := s.notifies
	switch {
	case n == nil || len(uids) == 0:
		return
	case s.sel != nil && s.sel.box == box:
		if n.items != "" {
			n.own = append(n.own, uids...)
		}
		return
	}
	was, known := n.known[box.ID()]
	now := knownOf(box)
	count := 0
	for _, r := range uids {
		count += int(r.To-r.From) + 1
	}
	// Nothing else has happened.
	if known && now.uidNext == was.uidNext+uint32(count) && now.messages == was.messages+count && now.modSeq == was.modSeq+uint64(count) {
		n.known[box.ID()] = now
	}
}
