package mailbox

import (
	"strconv"
	"time"

	"postrider/internal/mail"
)

// Flags are a message's system flags and, above them, the mailbox's first 27
// keywords: bit FirstKeyword+i stands for Mailbox.Keywords()[i].
type Flags uint32

// The system flags (RFC 9051 section 2.3.2).
const (
	FlagAnswered Flags = 1 << iota
	FlagFlagged
	FlagDeleted
	FlagSeen
	FlagDraft
	SystemFlags = 1<<iota - 1
)

// FirstKeyword is the bit of keyword 0; WordKeywords of them are in Flags, and
// MoreKeywords in a word of their own.
const (
	FirstKeyword = 5
	WordKeywords = 27
	MoreKeywords = 64
)

// Attributes are the special uses of a mailbox (RFC 6154, RFC 8457).
type Attributes uint16

// The special uses.
const (
	UseAll Attributes = 1 << iota
	UseArchive
	UseDrafts
	UseFlagged
	UseJunk
	UseSent
	UseTrash
	UseImportant
)

// Info describes a mailbox in a list.
type Info struct {
	Name       string // NFC, levels separated by '/'
	ID         uint32
	Attributes Attributes
	Subscribed bool
}

// Status is what STATUS and EXAMINE tell of a mailbox.
type Status struct {
	UIDValidity, UIDNext uint32
	HighestModSeq        uint64
	Messages             int
	Unseen               int   // without FlagSeen
	Deleted              int   // with FlagDeleted
	Bytes                int64 // of all messages, their prefixes included
	RecentFrom           uint32
}

// Quota is what an account uses and may use.
type Quota struct {
	UsedBytes, UsedMessages   int64
	LimitBytes, LimitMessages int64 // 0: no limit
}

// Range is a range of UIDs, both ends included. From 5 To 4 holds nothing.
type Range struct{ From, To uint32 }

// Delivery is a message to be filed. It and what it refers to belong to the
// store until Deliver returns.
type Delivery struct {
	Key      mail.ID   // for idempotence; zero: none
	Text     mail.Body // CRLF lines
	Received time.Time // INTERNALDATE; zero: now
	Targets  []Target
	// AllOrNothing files nothing at all when one target cannot be filed.
	AllOrNothing bool
	// Expunge names messages that go in the same step, for REPLACE (RFC 8508), and
	// whose room is free for it. They are of the mailbox From; when none of them is
	// there, it is ErrNoMessage.
	Expunge []Range
	From    *Mailbox
}

// Target is a mailbox that a Delivery goes to.
type Target struct {
	Mailbox   *Mailbox
	Recipient int      // number of the recipient, for idempotence
	Prefix    []byte   // header lines that stand before the text for this one
	Flags     Flags    // system flags only
	Keywords  []string // at most WordKeywords+MoreKeywords
	UIDL      string   // keeps a POP3 unique id; empty: AppendUIDL makes one

	// UID wants this one, which must not be below UIDNEXT (ErrUID); 0: the next.
	// Afterwards it is the one given.
	UID    uint32
	ModSeq uint64 // given; 0 for a repeat
	Repeat bool   // given: it was filed before, by an earlier Deliver with the same Key
	Err    error  // given: nil when filed
}

// ChangeMode says how a FlagChange is meant.
type ChangeMode uint8

// The modes of STORE.
const (
	AddFlags ChangeMode = iota
	RemoveFlags
	SetFlags
)

// FlagChange is a change of flags, as of STORE.
type FlagChange struct {
	Mode     ChangeMode
	Flags    Flags // system flags only
	Keywords []string
	// UnchangedSince, with Conditional, leaves messages alone whose mod-sequence
	// is higher (RFC 7162 section 3.1.3).
	UnchangedSince uint64
	Conditional    bool
}

// FlagResult says what a FlagChange did.
type FlagResult struct {
	ModSeq   uint64  // of those that changed; 0: none did
	Found    int     // messages that are there
	Changed  int     // of them
	Modified []Range // messages left alone by UnchangedSince, ascending
}

// UIDPair is a copied message: its UID here and there.
type UIDPair struct{ From, To uint32 }

// Entry is a message in the array that all views of a mailbox share.
type Entry struct {
	UID    uint32
	Flags  Flags
	ModSeq uint64
}

// Change is something that Refresh brings in.
type Change struct {
	Kind  ChangeKind
	Index int // of the message in the view: as it is after the changes told so far; for Expunged as it was just before
	Entry Entry
}

// ChangeKind names a Change.
type ChangeKind uint8

// The kinds of Change.
const (
	Changed  ChangeKind = iota // flags or mod-sequence
	Added                      // a new message, at the end
	Expunged                   // gone
)

// Meta is what the index knows of a message.
type Meta struct {
	Entry
	More         uint64    // keywords WordKeywords and up
	SizeBytes    int64     // RFC822.SIZE, the prefix included
	PrefixBytes  int       // of them
	Received     time.Time // INTERNALDATE, to the second
	Saved        time.Time // SAVEDATE (RFC 8514), to the second
	EmailID      EmailID
	ImportedUIDL bool // AppendUIDL has to look for it
}

// EmailID is the permanent id of a message's content (RFC 8474): copies have the
// same, and it is never given again.
type EmailID struct {
	Blob    uint64
	Variant uint16 // tells apart what recipients got with different prefixes
}

// Append appends id as an objectid (RFC 8474 section 4), which begins with a letter.
func (id EmailID) Append(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, 'M'), id.Blob, 36)
	if id.Variant != 0 {
		dst = strconv.AppendUint(append(dst, '-'), uint64(id.Variant), 36)
	}
	return dst
}
