package mailbox

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// Account is a user's mailboxes. Handles of one account are equal.
type Account struct {
	s    *Store
	id   uint32
	name string
	used atomic.Bool   // since the ring's hand passed
	turn chan struct{} // one place: taken while a change other than a delivery is under way

	// The applier's own: what the records that it has brought in amount to.
	row      rows.Account
	boxes    map[uint32]*Mailbox // deleted ones as well, until they are reaped
	subsRow  subscriptions
	notesRow notesMark
	ended    reservation // of the batch's deliveries
	touched  bool
	dirty    []*Mailbox // that the batch changes
	renamed  bool       // names have changed
	brandNew bool

	mu sync.Mutex
	// guards following: what others see, and what is assigned beyond it
	shown        bool // it is in the index, and may be found
	deleted      bool // or about to be
	version      uint64
	quota        Quota       // as applied
	reserved     reservation // by changes under way
	lastValidity uint32      // given
	nextMailbox  uint32      // not given
	byName       map[string]*Mailbox
	sorted       []*Mailbox // by name
	subs         []string
	subsVersion  uint64
	notes        notesMark
	watchers     []*watcher
}

type subscriptions struct {
	version uint64
	names   []string
}

// reservation is room that changes under way will take.
type reservation struct{ bytes, messages int64 }

func newAccount(s *Store, id uint32, name string) *Account {
	return &Account{
		s: s, id: id, name: name, turn: make(chan struct{}, 1), boxes: make(map[uint32]*Mailbox),
		nextMailbox: 1,
	}
}

// setRow takes over what the index holds.
func (a *Account) setRow(row *rows.Account) {
	a.row = *row
	// One that is about to be deleted stays so: nothing may be filed behind that record.
	a.deleted, a.version = a.deleted || row.Deleted, row.Version
	a.quota = Quota{row.UsedBytes, row.UsedMessages, row.LimitBytes, row.LimitMessages}
	a.lastValidity, a.nextMailbox = max(a.lastValidity, row.LastValidity), max(a.nextMailbox, row.NextMailbox)
}

// index makes the names anew from the mailboxes. The caller holds mu, or is alone.
func (a *Account) index() {
	a.byName = make(map[string]*Mailbox, len(a.boxes))
	a.sorted = a.sorted[:0:0]
	for _, m := range a.boxes {
		if m.row.Deleted {
			continue
		}
		a.byName[m.row.Name] = m
		a.sorted = append(a.sorted, m)
	}
	slices.SortFunc(a.sorted, func(x, y *Mailbox) int { return strings.Compare(x.row.Name, y.row.Name) })
}

// Name is the account's name.
func (a *Account) Name() string { return a.name }

// ID is the account's number in the store, never given twice.
func (a *Account) ID() uint32 { return a.id }

// there reports whether the account may be found.
func (a *Account) there() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shown && !a.deleted
}

// Quota returns what is used and allowed.
func (a *Account) Quota() Quota {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.quota
}

// Reserve says whether a message of so many bytes would fit now: nil or ErrQuota.
// It promises nothing for later.
func (a *Account) Reserve(bytes int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deleted {
		return ErrNoAccount
	}
	return a.fitsLocked(reservation{bytes, 1})
}

// fitsLocked says whether so much more fits.
func (a *Account) fitsLocked(r reservation) error {
	q := &a.quota
	if r.bytes > 0 && q.LimitBytes > 0 && q.UsedBytes+a.reserved.bytes+r.bytes > q.LimitBytes ||
		r.messages > 0 && q.LimitMessages > 0 && q.UsedMessages+a.reserved.messages+r.messages > q.LimitMessages {
		return ErrQuota
	}
	return nil
}

func (a *Account) reserveLocked(r reservation) {
	a.reserved.bytes += r.bytes
	a.reserved.messages += r.messages
}

// takeTurn waits for the account's turn; endTurn gives it back.
func (a *Account) takeTurn(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *Account) endTurn() { <-a.turn }

// partLocked is the account's part of a change, with the present values.
func (a *Account) partLocked() record.Account {
	return record.Account{
		ID: a.id, Version: a.version + 1, LimitBytes: a.quota.LimitBytes, LimitMessages: a.quota.LimitMessages,
		LastValidity: a.lastValidity, NextMailbox: a.nextMailbox, Name: []byte(a.name),
	}
}

// Mailboxes appends all mailboxes, sorted by name, to dst.
func (a *Account) Mailboxes(dst []Info) []Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.sorted {
		_, subscribed := slices.BinarySearch(a.subs, m.info.Name)
		dst = append(dst, Info{Name: m.info.Name, ID: m.id, Attributes: m.info.Attributes, Subscribed: subscribed})
	}
	return dst
}

// Mailbox finds a mailbox by its name; INBOX in any case.
func (a *Account) Mailbox(name string) (*Mailbox, error) {
	a.mu.Lock()
	m := a.byName[name] // mostly it is written as it is kept
	a.mu.Unlock()
	if m != nil {
		return m, nil
	}
	name, err := boxName(name)
	if err != nil {
		return nil, ErrNoMailbox
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deleted {
		return nil, ErrNoAccount
	}
	if m := a.byName[name]; m != nil {
		return m, nil
	}
	return nil, ErrNoMailbox
}

// Subscriptions appends the subscribed names, sorted, to dst.
func (a *Account) Subscriptions(dst []string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append(dst, a.subs...)
}
