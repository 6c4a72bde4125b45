package mailbox

import (
	"math"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// Mailbox is a mailbox of an account. Handles of one mailbox are equal.
type Mailbox struct {
	a  *Account
	id uint32

	// The applier's own, guarded by nothing else: what the records amount to.
	row         rows.Mailbox
	counts      rows.Status
	words       []string // keywords by their number; "": defined by nothing yet
	events      []event  // of the batch
	touched     bool
	news        bool // watchers are to be told of the batch
	wordsChange bool
	notesRow    notesMark

	// guarded by a.mu
	info     Info // Name, ID and Attributes
	version  uint64
	validity uint32
	gone     bool // deleted, or about to be: nothing may be filed
	deleted  bool
	status   Status
	floor    uint64
	keywords []string // defined and durable first: durable of them
	durable  int
	uidNext  uint32 // not given yet
	modSeq   uint64 // the last one given
	recent   uint32 // told by TakeRecent
	notes    notesMark
	watchers []*watcher

	views   int
	list    *snapshot // nil: no view is open
	loading bool      // a view is reading it: events go to early
	early   []event
	loaded  chan struct{} // closed when loading ends
}

func newMailbox(a *Account, id uint32) *Mailbox {
	m := &Mailbox{a: a, id: id}
	m.counts.UIDNext, m.counts.HighestModSeq = 1, 1 // RFC 7162 section 3.1.2.1: never 0
	m.info.ID = id
	return m
}

// read completes a mailbox from the index and shows it. Nobody else has it yet.
func (m *Mailbox) read() error {
	s := m.a.s
	_, err := get(s.db, rows.StatusKey(nil, m.a.id, m.id), func(v []byte) error { return rows.ParseStatus(v, &m.counts) })
	if err != nil {
		return err
	}
	_, err = get(s.db, rows.KeywordsKey(nil, m.a.id, m.id), func(v []byte) (err error) {
		_, m.words, err = rows.ParseNames(v)
		return err
	})
	m.showLocked()
	return err
}

// showLocked lets others see what was applied. The caller is the applier, or alone
// with m.
func (m *Mailbox) showLocked() {
	c := &m.counts
	m.info = Info{Name: m.row.Name, ID: m.id, Attributes: Attributes(m.row.Attributes)}
	m.version, m.validity = m.row.Version, m.row.UIDValidity
	m.deleted = m.row.Deleted
	m.gone = m.gone || m.deleted
	m.floor = c.Floor
	m.notes = m.notesRow
	m.status = Status{
		UIDValidity: m.row.UIDValidity, UIDNext: c.UIDNext, HighestModSeq: c.HighestModSeq, Messages: int(c.Messages),
		Unseen: int(c.Unseen), Deleted: int(c.Deleted), Bytes: c.Bytes, RecentFrom: max(c.RecentFrom, 1),
	}
	m.uidNext, m.modSeq = max(m.uidNext, c.UIDNext), max(m.modSeq, c.HighestModSeq)
	for i := m.durable; i < len(m.words) && m.words[i] != ""; i++ {
		if i == len(m.keywords) {
			m.keywords = append(m.keywords, m.words[i])
		}
		m.durable = i + 1
	}
}

func (m *Mailbox) box() record.Box { return record.Box{Account: m.a.id, Mailbox: m.id} }

// partLocked is the mailbox's part of a change, with the present values.
func (m *Mailbox) partLocked() record.Mailbox {
	return record.Mailbox{
		Box: m.box(), Version: m.version + 1, UIDValidity: m.validity, Attributes: uint16(m.info.Attributes), Name: []byte(m.info.Name),
	}
}

// Account is the account that m belongs to.
func (m *Mailbox) Account() *Account { return m.a }

// Name is the present name.
func (m *Mailbox) Name() string {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	return m.info.Name
}

// ID is the number of the mailbox in its account, never given twice there; it
// stays when the mailbox is renamed (RFC 8474 MAILBOXID).
func (m *Mailbox) ID() uint32 { return m.id }

// Deleted reports that the mailbox is gone.
func (m *Mailbox) Deleted() bool {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	return m.deleted
}

// Status returns the counters, without looking at messages.
func (m *Mailbox) Status() Status {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	st := m.status
	st.RecentFrom = max(st.RecentFrom, m.recent) // which does not wait for the disk
	return st
}

// Since counts the messages with UIDs from uid on. It takes as long as there are some.
func (m *Mailbox) Since(uid uint32) (n int, err error) {
	if err := m.a.s.begin(); err != nil {
		return 0, err
	}
	defer m.a.s.leave()
	low := rows.EntryKey(nil, m.a.id, m.id, uid)
	high := append(rows.EntryKey(nil, m.a.id, m.id, math.MaxUint32), 0)
	err = scanBetween(m.a.s.db, low, high, func([]byte, []byte) (bool, error) {
		n++
		return true, nil
	})
	return n, err
}

// Keywords appends the names of the keywords by their number to dst: first those in
// Flags, then those in Meta.More.
func (m *Mailbox) Keywords(dst []string) []string {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	return append(dst, m.keywords[:m.durable]...)
}
