package access

import (
	"slices"
)

// Flags of a message that a server must keep. \Recent and keywords are its own
// business.
const (
	flagSeen uint8 = 1 << iota
	flagAnswered
	flagFlagged
	flagDeleted
	flagDraft
)

// mail is a message as the model has it.
type mail struct {
	number uint32 // of ours; 0: of somebody else, or not known
	key    uint64 // UID, or hash of the UIDL; 0: never listed
	size   int64  // 0: not known
	flags  uint8
	known  bool // flags are known
	unsure bool // whether it is there: its delivery or its end was not confirmed
	read   bool // its text was fetched
}

// item is a message as a server lists it.
type item struct {
	key   uint64
	size  int64 // 0: not said
	flags uint8
	said  bool // flags were said
}

// mailbox is the model of one. It belongs to one session at a time.
type mailbox struct {
	number  int
	name    string // to log in with
	address string // to deliver to

	mails  []mail              // in the server's order
	spare  []mail              // scratch
	gone   map[uint64]struct{} // keys whose end was confirmed
	last   uint32              // number of the message that was sent last
	adopt  bool                // messages that nobody told us of may be there
	octets int64               // in all, as STAT says; 0: not known

	uidValidity, uidNext uint64 // 0: not known
}

func newMailbox(number int, name, address string) *mailbox {
	return &mailbox{number: number, name: name, address: address, gone: map[uint64]struct{}{}, adopt: true}
}

// delivered notes a message that was accepted, or that may have been.
func (m *mailbox) delivered(number uint32, unsure bool) {
	m.mails = append(m.mails, mail{number: number, known: true, unsure: unsure})
	m.octets = 0
}

// bounds returns how many messages there must and may be.
func (m *mailbox) bounds() (least, most int) {
	for i := range m.mails {
		if !m.mails[i].unsure {
			least++
		}
	}
	if m.adopt {
		return least, 1 << 30
	}
	return least, len(m.mails)
}

// follow takes over how many messages a server says there are, after it has been
// found to be wrong; which ones is for the next listing.
func (m *mailbox) follow(exists int) {
	for i := exists; i < len(m.mails); i++ {
		m.mails[i].unsure = true
	}
	for range min(exists-len(m.mails), 1000) {
		m.mails = append(m.mails, mail{unsure: true})
	}
}

// settled reports whether the model knows exactly what is there.
func (m *mailbox) settled() bool {
	if m.adopt {
		return false
	}
	for i := range m.mails {
		if m.mails[i].unsure {
			return false
		}
	}
	return true
}

// listed reports whether every message has a key.
func (m *mailbox) listed() bool {
	return m.settled() && (len(m.mails) == 0 || m.mails[len(m.mails)-1].key != 0)
}

// highest returns the greatest UID that was listed.
func (m *mailbox) highest() uint64 {
	for i := len(m.mails) - 1; i >= 0; i-- {
		if k := m.mails[i].key; k != 0 {
			return k
		}
	}
	return 0
}

// find returns where a key is, looking at hint first; -1 when it is not there.
func (m *mailbox) find(key uint64, hint int) int {
	if hint >= 0 && hint < len(m.mails) && m.mails[hint].key == key {
		return hint
	}
	return slices.IndexFunc(m.mails, func(x mail) bool { return x.key == key })
}

// remove takes message i out of the model: its end is confirmed.
func (m *mailbox) remove(i int) {
	if k := m.mails[i].key; k != 0 {
		m.gone[k] = struct{}{}
	}
	m.mails = slices.Delete(m.mails, i, i+1)
	m.octets = 0
}

// forget begins anew, after the server has declared its UIDs void.
func (m *mailbox) forget() {
	m.mails, m.adopt, m.octets = m.mails[:0], true, 0
	clear(m.gone)
	m.uidNext = 0
}

func flagNames(flags uint8) string {
	text := "("
	for i, name := range [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`} {
		if flags&(1<<i) != 0 {
			if len(text) > 1 {
				text += " "
			}
			text += name
		}
	}
	return text + ")"
}

// unlisted returns how many messages that must be there have no key yet.
func (m *mailbox) unlisted() (n uint64) {
	for i := len(m.mails) - 1; i >= 0 && m.mails[i].key == 0; i-- {
		if !m.mails[i].unsure {
			n++
		}
	}
	return n
}

// unseen returns how many messages are not seen; known is false when the flags of
// some are not known.
func (m *mailbox) unseen() (n int, known bool) {
	for i := range m.mails {
		if !m.mails[i].known {
			return 0, false
		}
		if m.mails[i].flags&flagSeen == 0 {
			n++
		}
	}
	return n, m.settled()
}
