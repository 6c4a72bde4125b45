package imap

import (
	"slices"
	"strings"
	"sync"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// notifyEvents are what a client wants to be told of (RFC 5465 section 5).
type notifyEvents uint8

const (
	notifyNew notifyEvents = 1 << iota
	notifyExpunge
	notifyFlags
	notifyName
	notifySubscription
	notifyMetadata
	notifyServer
	notifyEnd

	notifyMessages = notifyNew | notifyExpunge | notifyFlags
)

func (e notifyEvents) name() string {
	switch e {
	case notifyNew:
		return "MessageNew"
	case notifyExpunge:
		return "MessageExpunge"
	case notifyFlags:
		return "FlagChange"
	case notifyName:
		return "MailboxName"
	case notifySubscription:
		return "SubscriptionChange"
	case notifyMetadata:
		return "MailboxMetadataChange"
	}
	return "ServerMetadataChange"
}

// badEvent is the code for an event that there is none of.
func badEvent() string {
	var names []string
	for e := notifyNew; e < notifyEnd; e <<= 1 {
		names = append(names, e.name())
	}
	return "BADEVENT (" + strings.Join(names, " ") + ")"
}

// notifyGroup is what is wanted of some mailboxes that are not selected.
type notifyGroup struct {
	filter notifyFilter
	names  []string // of filterSubtree and filterNamed
	events notifyEvents
}

// notifyFilter says which mailboxes are meant (RFC 5465 section 6).
type notifyFilter uint8

const (
	filterAll notifyFilter = iota // "personal", and "inboxes": mail can be delivered anywhere
	filterSubscribed
	filterSubtree
	filterNamed
	filterSelected
	filterDelayed
)

// Caps on one NOTIFY.
const (
	maxNotifyGroups = 64
	maxNotifyNames  = 500
	maxNotifyItems  = 8 << 10 // octets of the items for new messages
)

// notifying is what a session is told of without asking (RFC 5465). The store says which
// mailboxes have changed, once for any number of changes; the session looks at how they
// are, and says what differs from what it said before, when it has time. So a client that
// does not read is owed no more than one that does.
type notifying struct {
	groups   []notifyGroup
	selected notifyEvents // of the selected mailbox
	delayed  bool         // and no EXPUNGE between commands
	items    string       // to fetch of its new messages, with parentheses; empty: nothing
	wanted   notifyEvents // of all groups
	stop     func()       // ends the watch; nil: nothing is watched

	known   map[uint32]notified // what the client knows of mailboxes, by their ids
	names   listing             // and of names
	account uint64              // and the version of the account's metadata
	own     []mailbox.Range     // UIDs that this session has added to the selected mailbox

	mu sync.Mutex
	// guards following
	dirty map[*mailbox.Mailbox]struct{}
	named bool // names have changed, or the account's metadata
}

// notified is what a client knows of a mailbox.
type notified struct {
	validity, uidNext uint32
	messages, unseen  int
	modSeq, notes     uint64
}

// notify does NOTIFY (RFC 5465 section 3.1).
func (s *session) notify(c *command) reply {
	word, good := argument(c, (*imapwire.Decoder).Atom)
	n := &notifying{}
	status := false
	switch {
	case good && imapwire.Is(word, "NONE"):
	case good && imapwire.Is(word, "SET") && c.d.SP():
		at := c.d.Offset()
		if word, _ := c.d.Atom(); imapwire.Is(word, "STATUS") && c.d.SP() {
			status = true
		} else {
			c.d.Seek(at)
		}
		if r := s.notifyGroups(c, n); !r.good() {
			return r
		}
	default:
		return bad(textArguments)
	}
	if !c.bare() {
		return bad(textArguments)
	}
	if s.sel != nil { // as it was asked for until now
		if s.updates(true); s.ended {
			return reply{}
		}
	}
	s.endNotify()
	s.notifies = n
	if n.wanted|n.selected != 0 {
		n.stop = s.account.Watch(n.watcher(s.w.Wake))
		if err := s.notifyBegin(status); err != nil {
			return s.trouble(err)
		}
	}
	return ok("NOTIFY completed")
}

// watcher returns what the store calls.
func (n *notifying) watcher(wake func()) func(m *mailbox.Mailbox) {
	return func(m *mailbox.Mailbox) {
		n.mu.Lock()
		if m == nil {
			n.named = true
		} else {
			if n.dirty == nil {
				n.dirty = make(map[*mailbox.Mailbox]struct{})
			}
			n.dirty[m] = struct{}{}
		}
		n.mu.Unlock()
		wake()
	}
}

// endNotify goes back to telling of the selected mailbox when a command ends.
func (s *session) endNotify() {
	n := s.notifies
	if n == nil {
		return
	}
	s.notifies = nil
	if n.stop != nil {
		n.stop()
	}
}

// events returns what is wanted of a mailbox with this name.
func (n *notifying) events(name string) (events notifyEvents) {
	for i := range n.groups {
		if g := &n.groups[i]; g.events&^events != 0 && n.matches(g, name) {
			events |= g.events
		}
	}
	return events
}

func (n *notifying) matches(g *notifyGroup, name string) bool {
	switch g.filter {
	case filterSubscribed:
		_, found := slices.BinarySearch(n.names.subs, name)
		return found
	case filterSubtree:
		return slices.ContainsFunc(g.names, func(top string) bool {
			return name == top || strings.HasPrefix(name, top) && name[len(top)] == '/'
		})
	case filterNamed:
		return slices.Contains(g.names, name)
	}
	return true
}
