package mailbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// Finding is something that is not as it should be.
type Finding struct {
	Account string // empty: not of one account
	Mailbox string
	UID     uint32 // 0: not of one message
	Blob    uint64 // the text; 0: not of one
	What    string
}

func (f Finding) String() string {
	where := "store"
	if f.Account != "" {
		where = f.Account
	}
	if f.Mailbox != "" {
		where += " " + f.Mailbox
	}
	if f.UID != 0 {
		where += fmt.Sprintf(" message %d", f.UID)
	}
	if f.Blob != 0 {
		where += fmt.Sprintf(" (text %016x)", f.Blob)
	}
	return where + ": " + f.What
}

// Checked says what Fsck has looked at.
type Checked struct {
	Accounts, Mailboxes int
	Messages, Texts     int64
	TextBytes           int64 // read, with texts
}

// Fsck looks whether the index agrees with itself and with the log, at one moment,
// while everything goes on: counters are what a recount gives, every message has its
// text, every text as many messages as it says, no number is above the mark that says
// which are given. With texts it reads all texts and compares their checksums. report
// is called for what is wrong.
func (s *Store) Fsck(ctx context.Context, texts bool, report func(Finding)) (Checked, error) {
	if err := s.enter(ctx); err != nil {
		return Checked{}, err
	}
	defer s.leave()
	snap := s.db.NewSnapshot()
	c := &checker{ctx: ctx, s: s, snap: snap, report: report, refs: make(map[uint64]uint32), dying: make(map[uint64]uint32), live: make(map[uint64]int64)}
	err := c.accounts()
	if err == nil {
		err = c.reaping()
	}
	if err == nil {
		err = c.blobs(texts)
	}
	if err == nil {
		err = c.segments()
	}
	return c.Checked, errors.Join(err, snap.Close())
}

type checker struct {
	Checked
	ctx    context.Context
	s      *Store
	snap   *pebble.Snapshot
	report func(Finding)
	refs   map[uint64]uint32 // messages that share a text
	dying  map[uint64]uint32 // those of them that are in deleted mailboxes
	live   map[uint64]int64
	buf    []byte
}

func (c *checker) accounts() error {
	return scan(c.snap, []byte{rows.PrefixAccount}, func(key, v []byte) (bool, error) {
		var row rows.Account
		if err := rows.ParseAccount(v, &row); err != nil {
			return false, err
		}
		if row.Deleted {
			return true, nil
		}
		c.Accounts++
		var used rows.Status
		id := rows.AccountID(key)
		err := scan(c.snap, rows.MailboxesFrom(nil, id), func(key, v []byte) (bool, error) {
			var m rows.Mailbox
			if err := rows.ParseMailbox(v, &m); err != nil {
				return false, err
			}
			if m.Deleted {
				return true, nil
			}
			c.Mailboxes++
			return true, c.mailbox(row.Name, &m, record.Box{Account: id, Mailbox: rows.MailboxID(key)}, &used)
		})
		if used.Bytes != row.UsedBytes || used.Messages != row.UsedMessages {
			c.report(Finding{Account: row.Name, What: fmt.Sprintf(
				"says that %d messages and %d bytes are used; they are %d and %d", row.UsedMessages, row.UsedBytes, used.Messages, used.Bytes)})
		}
		return true, err
	})
}

// mailbox checks a mailbox and adds what it holds to used.
func (c *checker) mailbox(account string, m *rows.Mailbox, box record.Box, used *rows.Status) error {
	var says, is rows.Status
	if _, err := get(c.snap, rows.StatusKey(nil, box.Account, box.Mailbox), func(v []byte) error { return rows.ParseStatus(v, &says) }); err != nil {
		return err
	}
	find := func(uid uint32, blob uint64, format string, args ...any) {
		c.report(Finding{account, m.Name, uid, blob, fmt.Sprintf(format, args...)})
	}
	from := rows.EntryKey(nil, box.Account, box.Mailbox, 0)[:9]
	var e rows.Entry
	err := scan(c.snap, from, func(key, v []byte) (bool, error) {
		uid := rows.UID(key)
		if err := rows.ParseEntry(v, &e); err != nil {
			find(uid, 0, "its row cannot be read")
			return true, nil
		}
		c.Messages++
		c.refs[e.Blob]++
		is.Messages++
		is.Bytes += int64(e.Size)
		if Flags(e.Flags)&FlagSeen == 0 {
			is.Unseen++
		}
		if Flags(e.Flags)&FlagDeleted != 0 {
			is.Deleted++
		}
		if uid >= says.UIDNext {
			find(uid, 0, "is not below UIDNEXT, which is %d", says.UIDNext)
		}
		if e.ModSeq > says.HighestModSeq {
			find(uid, 0, "has mod-sequence %d, above the mailbox's highest, %d", e.ModSeq, says.HighestModSeq)
		}
		return true, c.head(uid, box, &e, find)
	})
	if is.Messages != says.Messages || is.Bytes != says.Bytes || is.Unseen != says.Unseen || is.Deleted != says.Deleted {
		find(0, 0, "counts %d messages, %d bytes, %d unseen, %d deleted; they are %d, %d, %d, %d",
			says.Messages, says.Bytes, says.Unseen, says.Deleted, is.Messages, is.Bytes, is.Unseen, is.Deleted)
	}
	used.Messages += is.Messages
	used.Bytes += is.Bytes
	return errors.Join(err, c.ctx.Err())
}

// head checks what a message has besides its text, and that its size fits.
func (c *checker) head(uid uint32, box record.Box, e *rows.Entry, find func(uint32, uint64, string, ...any)) error {
	if e.PrefixLen > 0 || e.HasUIDL {
		n := -1
		_, err := get(c.snap, rows.HeadKey(nil, box.Account, box.Mailbox, uid), func(v []byte) error {
			prefix, _, err := rows.ParseHead(v)
			n = len(prefix)
			return err
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		if n != int(e.PrefixLen) {
			find(uid, 0, "the lines before its text are missing")
		}
	}
	var b rows.Blob
	found, err := get(c.snap, rows.BlobKey(nil, e.Blob), func(v []byte) error { return rows.ParseBlob(v, &b) })
	switch {
	case err != nil && !errors.Is(err, ErrDamaged):
		return err
	case !found || err != nil:
		find(uid, e.Blob, "its text is nowhere")
	case b.Size+int64(e.PrefixLen) != int64(e.Size):
		find(uid, e.Blob, "has %d bytes and says %d", b.Size+int64(e.PrefixLen), e.Size)
	}
	return nil
}
