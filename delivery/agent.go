// Package delivery is the local delivery agent: it files a message in the mailboxes
// of its recipients and says how that ended for each.
//
// An address belongs to the user that the user databases name for it, else, up to
// the separator, for what stands before it: mail to "alice+lists@example.com" is
// alice's, and goes to her mailbox "lists" if there is one, else to INBOX. What an
// address says is only ever looked up: names of accounts come from the user
// databases, and none becomes a path, an argument or a part of a command.
//
// Each recipient's copy begins with a Return-Path and a Delivered-To field of its own
// (RFC 5321 section 4.4); the text behind them is kept once for all. Return-Path
// fields that a message arrives with are taken out. A message that has been delivered
// to the address before, and has passed another system since, is in a loop.
//
// # Guarantees
//
// A recipient whose outcome is 2xx has the message, durably, and once: a repeat of a
// delivery by the same id is known again until Forget. Trouble of the store or of a
// user database is always temporary.
//
// # Concurrency
//
// All methods may be called from any goroutine.
package delivery

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// Users knows whose an address is.
type Users interface {
	// Exists returns the name of the user that a canonical address belongs to; false
	// when it is nobody's. An error says that it cannot be told now.
	Exists(ctx context.Context, address string) (name string, ok bool, err error)
}

// Options configure an Agent.
type Options struct {
	Store    *mailbox.Store // must be set
	Users    Users          // must be set
	Settings Settings
	// Quota, when not nil, returns the limits of a user (0: none), which are put in
	// force when his account is made and when they have changed.
	Quota func(ctx context.Context, user string) (limitBytes, limitMessages int64, err error)
	// Remember is how long it is taken for granted whose an address is. 0: 5 s.
	Remember time.Duration
	// Idle is how long a Serve waits for more before it ends. 0: 1 s.
	Idle  time.Duration
	Clock func() time.Time // nil: time.Now
}

// Settings are what can be changed while an agent runs.
type Settings struct {
	// Separator parts a user's name from that of a mailbox. 0: there are no
	// sub-addresses.
	Separator byte
	// FullIsPermanent refuses mail for a mailbox without room for good (552) instead
	// of for now (452).
	FullIsPermanent bool
}

// Agent files mail. Make one with New.
type Agent struct {
	o        Options
	settings atomic.Pointer[Settings]
	works    sync.Pool // of *work

	mu      sync.Mutex // guards following
	holders map[string]holder
}

// What an agent says. The words are a stranger's to read.
var (
	statusFiled     = mail.NewStatus(250, 2, 1, 5, "delivered")
	statusNoUser    = mail.NewStatus(550, 5, 1, 1, "no such user here")
	statusBad       = mail.NewStatus(553, 5, 1, 3, "not an address of a user")
	statusLoop      = mail.NewStatus(554, 5, 4, 6, "the message has been delivered to this address before")
	statusFull      = mail.NewStatus(452, 4, 2, 2, "the mailbox is full")
	statusNoRoom    = mail.NewStatus(552, 5, 2, 2, "the mailbox is full")
	statusTooLarge  = mail.NewStatus(552, 5, 3, 4, "the message is too large for a mailbox")
	statusNoStorage = mail.NewStatus(452, 4, 3, 1, "insufficient system storage, try again later")
	statusNotFiled  = mail.NewStatus(451, 4, 3, 0, "the message could not be filed, try again later")
	statusUnsure    = mail.NewStatus(451, 4, 3, 0, "users cannot be looked up, try again later")
)

// New returns an agent for the mailboxes of a store.
func New(o Options) *Agent {
	if o.Remember <= 0 {
		o.Remember = 5 * time.Second
	}
	if o.Idle <= 0 {
		o.Idle = time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	a := &Agent{o: o, holders: make(map[string]holder)}
	a.works.New = func() any { return new(work) }
	a.settings.Store(&o.Settings)
	return a
}

// Reload puts other settings in force, and has users be looked up anew.
func (a *Agent) Reload(s Settings) {
	a.settings.Store(&s)
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.holders)
}

// Recipient says what stands against mail of announcedBytes for a canonical address;
// with a negative number nobody asks whether there is room.
func (a *Agent) Recipient(ctx context.Context, address []byte, announcedBytes int64) mail.Status {
	h, st := a.holder(ctx, address, false)
	if !st.IsZero() || announcedBytes < 0 || h.account == nil {
		return st
	}
	if err := h.account.Reserve(max(announcedBytes, 1)); err != nil {
		return a.statusOf(err)
	}
	return mail.Status{}
}

// Serve files deliveries of src until it has none.
func (a *Agent) Serve(ctx context.Context, _ <-chan struct{}, _ *mail.Egress, src mail.Source) error {
	for {
		d := src.Next(ctx, a.o.Idle)
		if d == nil {
			return nil
		}
		a.deliver(ctx, d)
		src.Done(d)
	}
}

// Direct files a message for all recipients of d in one step and returns when that is
// durable. With whole it is filed for all or for none, else every recipient has its
// outcome. False says that nothing is certain; a repeat by the same id is safe.
func (a *Agent) Direct(ctx context.Context, d *mail.Delivery, whole bool) bool {
	w := a.work()
	defer a.release(w)
	if w.read(d) != nil || !a.address(ctx, w, d) {
		return false
	}
	for i := range d.Outcomes {
		if whole && !d.Outcomes[i].IsZero() {
			return false
		}
	}
	w.delivery.AllOrNothing = whole
	if a.file(ctx, w, d) != nil {
		return false // the queue finds out that the text is not what it was
	}
	for i := range d.Outcomes {
		if st := d.Outcomes[i]; !st.OK() && (whole || st.Temporary() && st.Enhanced != statusFull.Enhanced) {
			return false
		}
	}
	return true
}

// deliver sets the outcomes of a delivery of the queue.
func (a *Agent) deliver(ctx context.Context, d *mail.Delivery) {
	w := a.work()
	defer a.release(w)
	err := w.read(d)
	if err == nil {
		a.address(ctx, w, d)
		err = a.file(ctx, w, d)
	}
	if err != nil { // what cannot be read
		d.Corrupt = errors.Is(err, mail.ErrCorrupt)
		d.SetRest(a.statusOf(err))
	}
}

// Forget drops the keys of messages that nobody will deliver again.
func (a *Agent) Forget(ids ...mail.ID) { a.o.Store.Forget(ids...) }

// statusOf is what an error of the store means for a recipient.
func (a *Agent) statusOf(err error) mail.Status {
	switch {
	case errors.Is(err, mailbox.ErrQuota) && a.settings.Load().FullIsPermanent:
		return statusNoRoom
	case errors.Is(err, mailbox.ErrQuota):
		return statusFull
	case errors.Is(err, mailbox.ErrTooLarge):
		return statusTooLarge
	case errors.Is(err, mailbox.ErrFull):
		return statusNoStorage
	}
	return statusNotFiled
}

// Remembered calls yield for each message that has keys, until it returns an error.
// The keys of imports are of no message that was delivered, and stay.
func (a *Agent) Remembered(yield func(id mail.ID) error) error {
	return a.o.Store.Keys(func(id mail.ID) error {
		if mailbox.IsImportKey(id) {
			return nil
		}
		return yield(id)
	})
}
