package imap

import (
	"strings"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// notifyGroups takes the event groups.
func (s *session) notifyGroups(c *command, n *notifying) reply {
	selected, names := 0, 0
	for i := 0; i == 0 || c.d.SP(); i++ {
		g := notifyGroup{}
		r := s.notifyGroup(c, n, &g)
		names += len(g.names)
		switch {
		case !r.good():
			return r
		case i == maxNotifyGroups || names > maxNotifyNames:
			return no("NOTIFICATIONOVERFLOW", "Too much to watch")
		case g.filter >= filterSelected:
			if selected++; selected > 1 {
				return bad("SELECTED is given twice")
			}
			n.selected, n.delayed = g.events, g.filter == filterDelayed
			continue
		}
		n.wanted |= g.events
		n.groups = append(n.groups, g)
	}
	return reply{}
}

func (s *session) notifyGroup(c *command, n *notifying, g *notifyGroup) reply {
	d := &c.d
	if !d.Enter() {
		return bad(textArguments)
	}
	word, _ := d.Atom()
	switch {
	case imapwire.Is(word, "SELECTED"):
		g.filter = filterSelected
	case imapwire.Is(word, "SELECTED-DELAYED"):
		g.filter = filterDelayed
	case imapwire.Is(word, "PERSONAL"), imapwire.Is(word, "INBOXES"):
		g.filter = filterAll
	case imapwire.Is(word, "SUBSCRIBED"):
		g.filter = filterSubscribed
	case imapwire.Is(word, "SUBTREE"):
		g.filter = filterSubtree
	case imapwire.Is(word, "MAILBOXES"):
		g.filter = filterNamed
	default:
		return bad("No such set of mailboxes")
	}
	if !d.SP() || (g.filter == filterSubtree || g.filter == filterNamed) && (!s.notifyNames(d, g) || !d.SP()) {
		return bad(textArguments)
	}
	if r := takeEvents(d, n, g); !r.good() {
		return r
	}
	switch pair := g.events & (notifyNew | notifyExpunge); {
	case !d.Leave():
		return bad(textArguments)
	case pair != 0 && pair != notifyNew|notifyExpunge, pair == 0 && g.events&notifyFlags != 0:
		return bad("MessageNew and MessageExpunge go together, and with FlagChange")
	case g.filter >= filterSelected && g.events&^notifyMessages != 0:
		return bad("Only events of messages are for the selected mailbox")
	}
	return reply{}
}

// notifyNames takes a name or a list of names. What names nothing is watched for nothing.
func (s *session) notifyNames(d *imapwire.Decoder, g *notifyGroup) bool {
	list := d.Enter()
	for i := 0; i == 0 || list && d.SP(); i++ {
		b, good := d.AString()
		if !good {
			return false
		}
		name, err := imapwire.DecodeMailbox(b, s.utf8())
		if err != nil {
			continue
		}
		if name, err = mailbox.BoxName(strings.TrimSuffix(name, "/")); err == nil {
			g.names = append(g.names, name)
		}
	}
	return !list || d.Leave()
}

// takeEvents takes the events of a group. The parentheses around them are missing in an
// example of RFC 5465 section 3.1.
func takeEvents(d *imapwire.Decoder, n *notifying, g *notifyGroup) reply {
	list := d.Enter()
	for i := 0; i == 0 || d.SP(); i++ {
		word, good := d.Atom()
		if !good {
			return bad(textArguments)
		}
		if !list && i == 0 && imapwire.Is(word, "NONE") {
			return reply{}
		}
		e := notifyNew
		for e < notifyEnd && !strings.EqualFold(string(word), e.name()) {
			e <<= 1
		}
		if e == notifyEnd {
			return no(badEvent(), "No such event")
		}
		g.events |= e
		if at := d.Offset(); e == notifyNew && d.SP() {
			if d.Peek() != '(' {
				d.Seek(at)
			} else if r := takeItems(d, n, g); !r.good() {
				return r
			}
		}
	}
	if list && !d.Leave() {
		return bad(textArguments)
	}
	return reply{}
}

// takeItems takes the items to fetch of new messages.
func takeItems(d *imapwire.Decoder, n *notifying, g *notifyGroup) reply {
	rest, at := string(d.Rest()), d.Offset() // strings are unescaped in place
	f := fetchers.Get().(*fetcher)
	defer f.release()
	if g.filter < filterSelected || !f.plan.list(d) {
		return bad("Items are for new messages in the selected mailbox")
	}
	if n.items = rest[:d.Offset()-at]; len(n.items) > maxNotifyItems {
		return no("NOTIFICATIONOVERFLOW", "Too much to fetch")
	}
	return reply{}
}
