package imap

import (
	"slices"
	"strings"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// tellNames tells of mailboxes that were made, deleted or renamed, and of subscriptions
// (RFC 5465 sections 5.4 and 5.5).
func (s *session) tellNames() {
	n := s.notifies
	was := n.names
	n.names = listing{}
	n.names.gather(s.account)
	defer n.keepNames()
	told := make(map[string]bool)
	if n.wanted&notifyName != 0 {
		s.tellBoxes(&was, told)
	}
	if n.wanted&notifySubscription == 0 {
		return
	}
	tell := func(name string) {
		if n.events(name)&notifySubscription != 0 {
			s.tellName(name, "", told)
		}
	}
	for _, name := range was.subs {
		if _, still := slices.BinarySearch(n.names.subs, name); !still {
			tell(name)
		}
	}
	for _, name := range n.names.subs {
		if _, before := slices.BinarySearch(was.subs, name); !before {
			tell(name)
		}
	}
}

// tellBoxes tells what differs between was and the names that there are.
func (s *session) tellBoxes(was *listing, told map[string]bool) {
	n := s.notifies
	old := make(map[uint32]string, len(was.boxes))
	for i := range was.boxes {
		old[was.boxes[i].ID] = was.boxes[i].Name
	}
	now := make(map[uint32]string, len(n.names.boxes))
	for i := range n.names.boxes {
		now[n.names.boxes[i].ID] = n.names.boxes[i].Name
	}
	for i := range was.boxes {
		b := &was.boxes[i]
		if _, still := now[b.ID]; !still && n.names.find(b.Name) == nil {
			delete(n.known, b.ID)
			s.tellWithParent(b.Name, told)
		}
	}
	for i := range n.names.boxes {
		b := &n.names.boxes[i]
		from, known := old[b.ID]
		switch {
		case !known && b.Name == inboxName: // the old one was renamed
		case !known:
			s.tellWithParent(b.Name, told)
		case from != b.Name && !renamedAbove(was, now, from, b.Name) && (n.events(b.Name)|n.events(from))&notifyName != 0:
			s.tellName(b.Name, from, told)
		}
	}
}

// renamedAbove reports that a mailbox has got another name because one above it has: then
// it is not told (RFC 5465 section 5.4).
func renamedAbove(was *listing, now map[uint32]string, from, to string) (with bool) {
	above(from, func(level string) bool {
		if b := was.find(level); b != nil {
			name := now[b.ID]
			with = name != "" && name != level && name+from[len(level):] == to
		}
		return !with
	})
	return with
}

// tellWithParent tells of a mailbox that was made or deleted, and of the one above it.
func (s *session) tellWithParent(name string, told map[string]bool) {
	n := s.notifies
	if n.events(name)&notifyName != 0 {
		s.tellName(name, "", told)
	}
	above(name, func(level string) bool {
		if n.events(level)&notifyName != 0 {
			s.tellName(level, "", told)
		}
		return false
	})
}

// tellName sends a LIST of how a name is now, once.
func (s *session) tellName(name, from string, told map[string]bool) {
	if told[name] {
		return
	}
	told[name] = true
	l := &s.notifies.names
	ret := listReturn{extended: true, subscribed: true}
	l.tell(name, false, func(e *listed) {
		b := s.appendList(s.w.BulkRoom(bulkLine), l, &ret, e)
		if from != "" {
			b = append(b, ` ("OLDNAME" (`...)
			b = imapwire.AppendMailbox(b, from, s.utf8())
			b = append(b, "))"...)
		}
		s.add(append(b, "\r\n"...))
	})
}

// ownNames takes over how the names of these mailboxes, and those below them, are now:
// this session has changed them, and need not be told.
func (s *session) ownNames(names ...string) {
	n := s.notifies
	if n == nil || n.wanted&notifyName == 0 {
		return
	}
	ours := func(name string) bool {
		return slices.ContainsFunc(names, func(top string) bool {
			return name == top || strings.HasPrefix(name, top) && name[len(top)] == '/'
		})
	}
	var now listing
	now.gather(s.account)
	n.names.boxes = slices.DeleteFunc(n.names.boxes, func(b mailbox.Info) bool { return ours(b.Name) })
	for i := range now.boxes {
		if ours(now.boxes[i].Name) {
			n.names.boxes = append(n.names.boxes, now.boxes[i])
		}
	}
	slices.SortFunc(n.names.boxes, func(a, b mailbox.Info) int { return strings.Compare(a.Name, b.Name) })
}

// ownSubscription does the same for a subscription.
func (s *session) ownSubscription(name string, on bool) {
	n := s.notifies
	if n == nil || n.stop == nil {
		return
	}
	i, there := slices.BinarySearch(n.names.subs, name)
	switch {
	case on && !there:
		n.names.subs = slices.Insert(n.names.subs, i, name)
	case !on && there:
		n.names.subs = slices.Delete(n.names.subs, i, i+1)
	}
}
