package mailbox

import (
	"context"
	"io"

	"postrider/internal/mail"
)

// Store is an open mail store.
type Store struct{}

// Account is a user's mailboxes. Handles of one account are equal.
type Account struct{}

// Mailbox is a mailbox of an account. Handles of one mailbox are equal.
type Mailbox struct{}

// View is a session's picture of a mailbox: it changes by Refresh only.
type View struct{}

// Draft takes a text in pieces.
type Draft struct{}

// Message is an opened message; its memory is used again by the next View.Message.
type Message struct{ Meta }

// Open opens the store in o.Dir, or makes one, and brings in what the log holds.
func Open(Options) (*Store, error) { return nil, ErrClosed }

// Close ends the store, after all calls and all opened messages have ended.
func (s *Store) Close() error { return nil }

// Healthy says why the store refuses mail now; nil when it does not.
func (s *Store) Healthy() error { return ErrClosed }

// Account finds an account: ErrNoAccount when there is none.
func (s *Store) Account(name string) (*Account, error) { return nil, ErrClosed }

// CreateAccount makes an account with an INBOX, or returns the one that exists.
func (s *Store) CreateAccount(ctx context.Context, name string) (*Account, error) {
	return nil, ErrClosed
}

// DeleteAccount removes an account with all that it holds.
func (s *Store) DeleteAccount(ctx context.Context, name string) error { return ErrClosed }

// Accounts returns the names of all accounts, sorted.
func (s *Store) Accounts() ([]string, error) { return nil, ErrClosed }

// Deliver files d: it is durable and visible when Deliver returns nil or a target
// has no Err. An error means that nothing was filed, or that it is not known (after
// ErrClosed); a repeat with the same Key is safe.
func (s *Store) Deliver(ctx context.Context, d *Delivery) error { return ErrClosed }

// DeliverAll files several in one step, all or none (MULTIAPPEND, RFC 3502).
func (s *Store) DeliverAll(ctx context.Context, ds ...*Delivery) error { return ErrClosed }

// Keys calls yield with the id of each Delivery that Forget was not told of, more than
// once perhaps, until it returns an error.
func (s *Store) Keys(yield func(id mail.ID) error) error { return nil }

// Forget says that nobody will repeat a Deliver with these keys.
func (s *Store) Forget(ids ...mail.ID) {}

// NewDraft begins a text that arrives in pieces.
func (s *Store) NewDraft() *Draft { return &Draft{} }

// Write takes more of the text.
func (d *Draft) Write(p []byte) (int, error) { return 0, ErrClosed }

// Size is the length so far.
func (d *Draft) Size() int64 { return 0 }

// Body is the text, for a Delivery; nothing may be written any more.
func (d *Draft) Body() (mail.Body, error) { return nil, ErrClosed }

// Close gives the draft up, or back after its delivery.
func (d *Draft) Close() {}

// Name is the account's name.
func (a *Account) Name() string { return "" }

// ID is the account's number in the store, never given twice.
func (a *Account) ID() uint32 { return 0 }

// Quota returns what is used and allowed.
func (a *Account) Quota() Quota { return Quota{} }

// SetQuota sets the limits; 0: none.
func (a *Account) SetQuota(ctx context.Context, limitBytes, limitMessages int64) error {
	return ErrClosed
}

// Reserve says whether a message of so many bytes would fit now: nil or ErrQuota.
// It promises nothing for later.
func (a *Account) Reserve(bytes int64) error { return ErrClosed }

// Mailboxes appends all mailboxes, sorted by name, to dst.
func (a *Account) Mailboxes(dst []Info) []Info { return dst }

// Mailbox finds a mailbox by its name; INBOX in any case.
func (a *Account) Mailbox(name string) (*Mailbox, error) { return nil, ErrClosed }

// Create makes a mailbox.
func (a *Account) Create(ctx context.Context, name string, use Attributes) (*Mailbox, error) {
	return nil, ErrClosed
}

// SetAttributes changes the special uses of a mailbox.
func (a *Account) SetAttributes(ctx context.Context, name string, use Attributes) error {
	return ErrClosed
}

// Rename renames a mailbox and those below it. Of INBOX it moves what is in it to
// a new mailbox, and leaves INBOX empty (RFC 9051 section 6.3.6).
func (a *Account) Rename(ctx context.Context, from, to string) error { return ErrClosed }

// Delete removes a mailbox, not those below it.
func (a *Account) Delete(ctx context.Context, name string) error { return ErrClosed }

// Subscribe adds a name, of a mailbox or not, to the subscriptions, or removes it.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error { return ErrClosed }

// Subscriptions appends the subscribed names, sorted, to dst.
func (a *Account) Subscriptions(dst []string) []string { return dst }

// Watch calls f on the store's applier goroutine after each change in any mailbox of
// the account, and with nil after changes of names, until stop is called. f must be
// quick and must not call the store; it is told that there is something, not what.
func (a *Account) Watch(f func(*Mailbox)) (stop func()) { return func() {} }

// Account is the account that m belongs to.
func (m *Mailbox) Account() *Account { return nil }

// Name is the present name.
func (m *Mailbox) Name() string { return "" }

// ID is the number of the mailbox in its account, never given twice there; it
// stays when the mailbox is renamed (RFC 8474 MAILBOXID).
func (m *Mailbox) ID() uint32 { return 0 }

// Deleted reports that the mailbox is gone.
func (m *Mailbox) Deleted() bool { return false }

// Status returns the counters, without looking at messages.
func (m *Mailbox) Status() Status { return Status{} }

// Keywords appends the names of the keywords by their number to dst: first those in
// Flags, then those in Meta.More.
func (m *Mailbox) Keywords(dst []string) []string { return dst }

// TakeRecent returns the first UID that no session was told of as recent, and says
// that the caller tells of all there are now (RFC 3501 section 2.3.2).
func (m *Mailbox) TakeRecent() (from uint32) { return 0 }

// SetUIDValidity gives the mailbox that of an import, while its UIDNEXT is 1.
func (m *Mailbox) SetUIDValidity(ctx context.Context, uidValidity uint32) error { return ErrClosed }

// Flags changes flags of the messages in uids that are there.
func (m *Mailbox) Flags(ctx context.Context, uids []Range, c *FlagChange) (FlagResult, error) {
	return FlagResult{}, ErrClosed
}

// Expunge removes the messages in uids that have all flags of only; it returns how
// many there were.
func (m *Mailbox) Expunge(ctx context.Context, uids []Range, only Flags) (int, error) {
	return 0, ErrClosed
}

// Copy copies messages into a mailbox of the same account, all or none.
func (m *Mailbox) Copy(ctx context.Context, uids []Range, to *Mailbox) ([]UIDPair, error) {
	return nil, ErrClosed
}

// Move is Copy and removes them here in the same step (RFC 6851).
func (m *Mailbox) Move(ctx context.Context, uids []Range, to *Mailbox) ([]UIDPair, error) {
	return nil, ErrClosed
}

// Vanished calls f for the ranges of UIDs expunged after the mod-sequence since
// (RFC 7162 section 3.2.5.1), in no order, perhaps more than once. It returns false
// when so much is no longer remembered.
func (m *Mailbox) Vanished(since uint64, f func(Range)) (complete bool, err error) {
	return false, ErrClosed
}

// Watch calls f on the store's applier goroutine after each change in the mailbox
// until stop is called; see Account.Watch.
func (m *Mailbox) Watch(f func()) (stop func()) { return func() {} }

// View opens the mailbox. Close gives it back.
func (m *Mailbox) View() (*View, error) { return nil, ErrClosed }

// Close gives the view back.
func (v *View) Close() {}

// Mailbox is the mailbox that v shows.
func (v *View) Mailbox() *Mailbox { return nil }

// Len is the number of messages.
func (v *View) Len() int { return 0 }

// At returns the message at index i, which is its sequence number less one.
func (v *View) At(i int) Entry { return Entry{} }

// Find returns the index of the first message whose UID is at least uid, and
// whether that is uid.
func (v *View) Find(uid uint32) (int, bool) { return 0, false }

// Fresh reports that Refresh would bring in nothing.
func (v *View) Fresh() bool { return true }

// Refresh brings in what has happened since, and tells f of it. With keep, messages
// that are gone stay in the view until a Refresh without.
func (v *View) Refresh(keep bool, f func(Change)) {}

// Scan calls f for the messages of the view in [from, to], in the order of UIDs,
// until f returns false; those that are gone meanwhile are left out. The Meta is
// valid during the call.
func (v *View) Scan(from, to uint32, f func(*Meta) bool) error { return ErrClosed }

// Message opens the message with this UID: ErrNoMessage when it is gone. Release
// gives it back.
func (v *View) Message(uid uint32, m *Message) error { return ErrClosed }

// AppendUIDL appends the POP3 unique id of the message in meta.
func (v *View) AppendUIDL(dst []byte, meta *Meta) ([]byte, error) { return dst, ErrClosed }

// Prefix is what stands before the text for this recipient alone.
func (m *Message) Prefix() []byte { return nil }

// Size is that of the prefix and the text.
func (m *Message) Size() int64 { return 0 }

// ReadAt reads from the prefix and the text. It does not verify.
func (m *Message) ReadAt(p []byte, off int64) (int, error) { return 0, ErrClosed }

// WriteTo writes the prefix and the text, and returns mail.ErrCorrupt before the
// last piece of it when the text does not match its checksum.
func (m *Message) WriteTo(w io.Writer) (int64, error) { return 0, ErrClosed }

// Release unpins the message.
func (m *Message) Release() {}
