package imap

import (
	"strconv"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// statusItems are what a STATUS asks for.
type statusItems uint16

const (
	statusMessages statusItems = 1 << iota
	statusRecent
	statusUIDNext
	statusUIDValidity
	statusUnseen
	statusDeleted
	statusDeletedStorage // RFC 9208 section 4.1.4
	statusSize
	statusHighestModSeq
	statusMailboxID
	statusAppendLimit
	statusEnd
)

// name is what an item is called.
func (i statusItems) name() string {
	switch i {
	case statusMessages:
		return "MESSAGES"
	case statusRecent:
		return "RECENT"
	case statusUIDNext:
		return "UIDNEXT"
	case statusUIDValidity:
		return "UIDVALIDITY"
	case statusUnseen:
		return "UNSEEN"
	case statusDeleted:
		return "DELETED"
	case statusDeletedStorage:
		return "DELETED-STORAGE"
	case statusSize:
		return "SIZE"
	case statusHighestModSeq:
		return "HIGHESTMODSEQ"
	case statusMailboxID:
		return "MAILBOXID"
	}
	return "APPENDLIMIT"
}

// takeStatusItems takes a list of items.
func takeStatusItems(d *imapwire.Decoder) (items statusItems, good bool) {
	if !d.Enter() {
		return 0, false
	}
	for n := 0; n == 0 || d.SP(); n++ {
		word, _ := d.Atom()
		item := statusMessages
		for item < statusEnd && !imapwire.Is(word, item.name()) {
			item <<= 1
		}
		if item == statusEnd {
			return 0, false
		}
		items |= item
	}
	return items, d.Leave()
}

// status does STATUS (RFC 9051 section 6.3.11).
func (s *session) status(c *command) reply {
	name, good := argument(c, (*imapwire.Decoder).AString)
	if !good || !c.d.SP() {
		return bad(textArguments)
	}
	items, good := takeStatusItems(&c.d)
	if !good || !c.bare() {
		return bad("Status items are wrong")
	}
	box, r := s.mailbox(name)
	if box == nil {
		return r
	}
	if err := s.sayStatus(box, items); err != nil {
		return s.trouble(err)
	}
	return ok("STATUS completed")
}

// sayStatus sends a STATUS. Who asks for the mod-sequence enables CONDSTORE with it (RFC
// 7162 section 3.1).
func (s *session) sayStatus(box *mailbox.Mailbox, items statusItems) error {
	if items == 0 {
		return nil
	}
	if items&statusHighestModSeq != 0 {
		s.enabled |= condstore
	}
	st := box.Status()
	counted, err := countStatus(box, &st, items)
	if err != nil {
		return err
	}
	b := append(s.w.BulkRoom(bulkLine), "* STATUS "...)
	b = imapwire.AppendMailbox(b, box.Name(), s.utf8())
	sep := byte('(')
	b = append(b, ' ')
	for item := statusMessages; item < statusEnd; item <<= 1 {
		if items&item == 0 {
			continue
		}
		b = append(append(b, sep), item.name()...)
		sep = ' '
		b = append(b, ' ')
		if item == statusMailboxID {
			b = append(appendMailboxID(append(b, '('), box), ')')
			continue
		}
		b = strconv.AppendUint(b, s.statusNumber(item, &st, &counted), 10)
	}
	s.add(append(b, ")\r\n"...))
	return nil
}

// bulkLine is room for a line of a long answer with a mailbox's name in it.
const bulkLine = 4 << 10

func (s *session) statusNumber(item statusItems, st *mailbox.Status, counted *statusCounts) uint64 {
	switch item {
	case statusMessages:
		return uint64(st.Messages)
	case statusRecent:
		return uint64(counted.recent)
	case statusUIDNext:
		return uint64(st.UIDNext)
	case statusUIDValidity:
		return uint64(st.UIDValidity)
	case statusUnseen:
		return uint64(st.Unseen)
	case statusDeleted:
		return uint64(st.Deleted)
	case statusDeletedStorage:
		return uint64(counted.deletedBytes)
	case statusSize:
		return uint64(st.Bytes)
	case statusHighestModSeq:
		return st.HighestModSeq
	}
	return uint64(s.lim.AppendBytes)
}

// statusCounts are what the mailbox has no counters for.
type statusCounts struct {
	recent       int
	deletedBytes int64
}

// countStatus looks at messages for those, if any can count.
func countStatus(box *mailbox.Mailbox, st *mailbox.Status, items statusItems) (counts statusCounts, err error) {
	switch {
	case items&statusRecent == 0 || st.RecentFrom >= st.UIDNext:
	case st.RecentFrom <= 1: // nobody was told of any
		counts.recent = st.Messages
	default:
		if counts.recent, err = box.Since(st.RecentFrom); err != nil {
			return counts, err
		}
	}
	if items&statusDeletedStorage == 0 || st.Deleted == 0 {
		return counts, nil
	}
	view, err := box.View()
	if err != nil {
		return counts, err
	}
	defer view.Close()
	err = view.Scan(1, 1<<32-1, func(m *mailbox.Meta) bool {
		if m.Flags&mailbox.FlagDeleted != 0 {
			counts.deletedBytes += m.SizeBytes
		}
		return true
	})
	return counts, err
}

// appendMailboxID appends the MAILBOXID (RFC 8474 section 4) of a mailbox, which stays
// when it is renamed.
func appendMailboxID(b []byte, box *mailbox.Mailbox) []byte {
	return strconv.AppendUint(append(b, 'F'), uint64(box.ID()), 10)
}
