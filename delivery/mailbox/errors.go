package mailbox

import "errors"

var (
	// ErrNoAccount reports an account that is not there.
	ErrNoAccount = errors.New("no such account")
	// ErrNoMailbox reports a mailbox that is not there, or no longer.
	ErrNoMailbox = errors.New("no such mailbox")
	// ErrNoMessage reports a message that is not there, or no longer.
	ErrNoMessage = errors.New("no such message")
	// ErrExists reports a name that is taken.
	ErrExists = errors.New("the name is taken")
	// ErrName reports a name that no mailbox or account can have.
	ErrName = errors.New("not a usable name")
	// ErrInbox reports what cannot be done to INBOX.
	ErrInbox = errors.New("not possible with INBOX")
	// ErrQuota reports that the account has no room for more.
	ErrQuota = errors.New("over quota")
	// ErrUID reports a wanted UID or UIDVALIDITY that cannot be given any more.
	ErrUID = errors.New("the UID is no longer free")
	// ErrKeywords reports that a mailbox cannot take another keyword, or not this one.
	ErrKeywords = errors.New("no room for the keyword")
	// ErrTooMany reports an account with as many mailboxes, or as much metadata, as it
	// may have.
	ErrTooMany = errors.New("too many mailboxes")
	// ErrMetadata reports an entry of metadata that is too large, or that has no name.
	ErrMetadata = errors.New("unusable metadata")
	// ErrTooLarge reports a text or a change that fits into no record.
	ErrTooLarge = errors.New("too large for the store")
	// ErrFull refuses a change for want of disk. It is temporary.
	ErrFull = errors.New("the mail store has no room")
	// ErrClosed comes from a store that was closed or met a fatal error.
	ErrClosed = errors.New("the mail store is closed")
	// ErrLocked comes from Open when another process holds the folder.
	ErrLocked = errors.New("the mail store is in use by another process")
	// ErrDamaged reports that the store cannot vouch for its content.
	ErrDamaged = errors.New("the mail store is damaged")
	// ErrVersion comes from Open when a newer program wrote the store.
	ErrVersion = errors.New("the mail store was written by a newer version")
)
