// Package transfer moves mail into and out of the store: from and to Maildir and
// Maildir++ as Dovecot keeps it, from and to mbox files, and from IMAP and POP3
// servers.
//
// A Source gives folders and messages, a Sink takes them, and a Store is where
// ours are kept: the open store itself (Local), or a running daemon's that is
// asked through its socket (package remote). Import and Export join them. They are
// not for the hot path of anything: a text is in memory once, and one folder is
// read at a time.
//
// # Guarantees
//
// A text of CRLF lines is filed byte for byte; a bare LF becomes CRLF. What the
// source knows of a message is kept with it: UID and UIDVALIDITY where the folder
// is still empty here, flags, keywords, the date of its arrival and the id that
// POP3 clients know it by.
//
// An import can be repeated: each message has a key made of the account, the folder
// and what names it at the source, by which the store knows it again, so that a
// repeat brings what is new and nothing twice. A message that cannot be moved is
// named, and the others are moved.
//
// # Concurrency
//
// Nothing here locks; an Import and an Export belong to one goroutine, and so do
// the Source and the Sink that they use.
package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"strings"
	"time"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// MaxTextBytes is the longest text that is moved.
const MaxTextBytes = 256 << 20

// ErrTooLong reports a text above MaxTextBytes.
var ErrTooLong = errors.New("the message is longer than 256 MiB")

// Folder is a mailbox, at a source or here.
type Folder struct {
	Name        string             `json:"name"` // UTF-8; levels are separated by '/', INBOX is in this case
	UIDValidity uint32             `json:"uid_validity,omitempty"`
	UIDNext     uint32             `json:"uid_next,omitempty"`
	Use         mailbox.Attributes `json:"use,omitempty"`
	Subscribed  bool               `json:"subscribed,omitempty"`
	Messages    int                `json:"messages"` // -1: not known
	Unseen      int                `json:"unseen,omitempty"`
	Bytes       int64              `json:"bytes,omitempty"`
	Keywords    []string           `json:"keywords,omitempty"` // of a folder that is exported
	Broken      error              `json:"-"`                  // why it cannot be read; nil: it can
}

// Message is a message of a source. It is valid until the next one.
type Message struct {
	// Key names the message in its folder for as long as the source keeps it, so
	// that a later import knows it again.
	Key string `json:"-"`
	// Name is what people call it: a path, a number.
	Name string `json:"-"`

	UID       uint32        `json:"uid,omitempty"`  // 0: the source has none
	UIDL      string        `json:"uidl,omitempty"` // id for POP3; empty: none to be kept
	Flags     mailbox.Flags `json:"flags,omitempty"`
	Keywords  []string      `json:"keywords,omitempty"`
	Received  time.Time     `json:"received"` // zero: not known
	SizeBytes int64         `json:"size"`     // of the text; -1: not known

	// Open gives the text. It is called at most once.
	Open func() (io.ReadCloser, error) `json:"-"`
}

// Source is where mail comes from.
type Source interface {
	// Origin names the source for as long as its messages have the same keys.
	Origin() string
	// Folders returns the folders.
	Folders(ctx context.Context) ([]Folder, error)
	// Messages gives the messages of a folder, those with UIDs first and in their
	// order. Those that want refuses need not be given; want is asked once for
	// each, in groups, before the texts are fetched. An error beside a message is
	// of that one, an error alone ends the folder.
	Messages(ctx context.Context, f *Folder, want func([]*Message) ([]bool, error)) iter.Seq2[*Message, error]
}

// Sink is where mail goes to.
type Sink interface {
	// Begin opens a folder; all messages up to End are of it.
	Begin(ctx context.Context, f *Folder) error
	// Put takes a message, whose lines end with CRLF.
	Put(ctx context.Context, m *Message) error
	// End completes the folder.
	End(ctx context.Context) error
}

// Filing is a message to be filed.
type Filing struct {
	Message
	ID   mail.ID `json:"id"` // by which the store knows it again
	Text []byte  `json:"-"`  // with CRLF lines
}

// Result is what came of a Filing.
type Result struct {
	UID    uint32 `json:"uid,omitempty"`
	Repeat bool   `json:"repeat,omitempty"` // it was filed before
	Error  string `json:"error,omitempty"`
}

// Store is where the mail of accounts is kept.
type Store interface {
	// Accounts returns the names of all accounts.
	Accounts(ctx context.Context) ([]string, error)
	// Folders returns the mailboxes of an account: mailbox.ErrNoAccount when
	// there is none.
	Folders(ctx context.Context, account string) ([]Folder, error)
	// Prepare makes the account and the mailbox where they are missing, gives one
	// that never had a message the UIDVALIDITY of f, and returns it as it is then.
	Prepare(ctx context.Context, account string, f *Folder) (Folder, error)
	// Known says which of the messages were filed under these ids.
	Known(ctx context.Context, account, folder string, ids []mail.ID) ([]bool, error)
	// Append files messages, in their order. It returns a result for each, or an
	// error when it is not known what became of them.
	Append(ctx context.Context, account, folder string, batch []Filing) ([]Result, error)
	// Settle ends the filing of messages that keep their UIDs: those below uidNext
	// are given to no others.
	Settle(ctx context.Context, account, folder string, uidNext uint32) error
	// Messages gives the messages of a mailbox, in the order of their UIDs.
	Messages(ctx context.Context, account string, f *Folder) iter.Seq2[*Message, error]
}

// keyID returns the id by which the store knows a message of a source again.
func keyID(account, folder, source, key string) mail.ID {
	h := sha256.New()
	for _, part := range []string{"import 1", account, folder, source, key} {
		_, _ = io.WriteString(h, part) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
	var id mail.ID
	copy(id[:], h.Sum(nil))
	return mailbox.ImportKey(id)
}

// UseOf guesses the special use of a mailbox by what programs call it; 0: none.
func UseOf(name string) mailbox.Attributes {
	switch strings.ToLower(name) {
	case "sent", "sent messages", "sent items", "sent-mail":
		return mailbox.UseSent
	case "drafts", "draft":
		return mailbox.UseDrafts
	case "trash", "deleted messages", "deleted items":
		return mailbox.UseTrash
	case "junk", "spam", "junk e-mail":
		return mailbox.UseJunk
	case "archive", "archives":
		return mailbox.UseArchive
	}
	return 0
}
