// Package record is the written form of a change of the mail store: the head of a
// record in its log. It does no I/O.
//
// A change is a row of parts, which happen together or not at all. Parts hold
// absolute values: numbers and states as they are to be, never what to add. So
// bringing in the same record twice, or one that was copied forward, comes out the
// same: of two values for the same thing the one with the higher mod-sequence or
// version stands, and what is gone stays gone.
//
// Appenders never fail; the Reader checks every length before it believes it,
// returns ErrMalformed for what this software cannot have written and ErrVersion
// for what a newer one has, and never panics. What it hands out aliases the bytes
// that it reads.
//
// # Concurrency
//
// Everything here belongs to one goroutine at a time.
//
// # Format
//
// docs/formats.md, "Changes of the mail store".
package record

import (
	"encoding/binary"
	"errors"

	"postrider/internal/mail"
)

// Version is the format version of a change. Version 1 is the same without
// KindMetadata.
const Version = 2

// Kind is that of a change's record in the log.
const Kind = 1

var (
	// ErrMalformed reports bytes that do not parse.
	ErrMalformed = errors.New("malformed change")
	// ErrVersion reports a format version newer than this software's.
	ErrVersion = errors.New("change is of a version newer than this software")
)

// PartKind names a part of a change.
type PartKind uint8

// The kinds of part.
const (
	KindBlob PartKind = iota + 1
	KindEntry
	KindKey
	KindFlags
	KindExpunge
	KindMailbox
	KindState
	KindKeyword
	KindAccount
	KindSubscriptions
	KindForget
	KindMetadata
)

// Where a text is.
const (
	Inline = 0 // it is the body of this record
	Large  = 1 // a file of its own, named by the blob's id
)

// Box names a mailbox.
type Box struct{ Account, Mailbox uint32 }

// Blob is a text that entries share.
type Blob struct {
	ID    uint64
	Size  int64
	CRC   uint32 // frame.Sum of the text
	Where uint8
}

// Entry is a message in a mailbox.
type Entry struct {
	Box
	UID      uint32
	Flags    uint32
	More     uint64
	ModSeq   uint64
	Blob     uint64
	Variant  uint16
	Size     int64 // prefix and text
	Received int64 // Unix seconds
	Saved    int64 // Unix seconds
	Prefix   []byte
	UIDL     []byte // imported; empty: none
}

// Key says that a delivery was filed.
type Key struct {
	Box
	ID        mail.ID
	Recipient uint32
	UID       uint32
}

// Mailbox is what a mailbox is called and how its UIDs are to be understood.
type Mailbox struct {
	Box
	Version     uint64 // the higher stands
	Deleted     bool
	UIDValidity uint32
	Attributes  uint16
	Name        []byte
}

// State holds the marks of a mailbox that only rise.
type State struct {
	Box
	UIDNext       uint32
	HighestModSeq uint64
	Floor         uint64 // expunges up to this mod-sequence are forgotten
	RecentFrom    uint32
}

// Keyword gives a mailbox's keyword its number for ever.
type Keyword struct {
	Box
	Slot uint8
	Name []byte
}

// Account is an account.
type Account struct {
	ID            uint32
	Version       uint64 // the higher stands
	Deleted       bool
	LimitBytes    int64
	LimitMessages int64
	LastValidity  uint32 // highest UIDVALIDITY given
	NextMailbox   uint32 // lowest id of a mailbox not given
	Name          []byte
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func appendBox(dst []byte, k PartKind, b Box) []byte {
	dst = append(dst, byte(k))
	dst = binary.AppendUvarint(dst, uint64(b.Account))
	return binary.AppendUvarint(dst, uint64(b.Mailbox))
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// HeadLen is the length of a change without parts.
const HeadLen = 2

// AppendHead begins a change. copied says that its parts were true before and are
// only written again.
func AppendHead(dst []byte, copied bool) []byte {
	return append(dst, Version, boolByte(copied))
}

// AppendBlob appends a part. At most one of a change may be Inline.
func AppendBlob(dst []byte, b *Blob) []byte {
	dst = append(dst, byte(KindBlob), b.Where)
	dst = binary.LittleEndian.AppendUint64(dst, b.ID)
	dst = binary.AppendUvarint(dst, uint64(b.Size))
	return binary.LittleEndian.AppendUint32(dst, b.CRC)
}

// AppendEntry appends a part.
func AppendEntry(dst []byte, e *Entry) []byte {
	dst = appendBox(dst, KindEntry, e.Box)
	dst = binary.AppendUvarint(dst, uint64(e.UID))
	dst = binary.AppendUvarint(dst, uint64(e.Flags))
	dst = binary.AppendUvarint(dst, e.More)
	dst = binary.AppendUvarint(dst, e.ModSeq)
	dst = binary.LittleEndian.AppendUint64(dst, e.Blob)
	dst = binary.AppendUvarint(dst, uint64(e.Variant))
	dst = binary.AppendUvarint(dst, uint64(e.Size))
	dst = binary.AppendVarint(dst, e.Received)
	dst = binary.AppendVarint(dst, e.Saved)
	dst = appendBytes(dst, e.Prefix)
	return appendBytes(dst, e.UIDL)
}

// AppendKey appends a part.
func AppendKey(dst []byte, k *Key) []byte {
	dst = appendBox(dst, KindKey, k.Box)
	dst = append(dst, k.ID[:]...)
	dst = binary.AppendUvarint(dst, uint64(k.Recipient))
	return binary.AppendUvarint(dst, uint64(k.UID))
}

// AppendMailbox appends a part.
func AppendMailbox(dst []byte, m *Mailbox) []byte {
	dst = appendBox(dst, KindMailbox, m.Box)
	dst = append(dst, boolByte(m.Deleted))
	dst = binary.AppendUvarint(dst, m.Version)
	dst = binary.AppendUvarint(dst, uint64(m.UIDValidity))
	dst = binary.AppendUvarint(dst, uint64(m.Attributes))
	return appendBytes(dst, m.Name)
}

// AppendState appends a part.
func AppendState(dst []byte, s *State) []byte {
	dst = appendBox(dst, KindState, s.Box)
	dst = binary.AppendUvarint(dst, uint64(s.UIDNext))
	dst = binary.AppendUvarint(dst, s.HighestModSeq)
	dst = binary.AppendUvarint(dst, s.Floor)
	return binary.AppendUvarint(dst, uint64(s.RecentFrom))
}

// AppendKeyword appends a part.
func AppendKeyword(dst []byte, k *Keyword) []byte {
	dst = append(appendBox(dst, KindKeyword, k.Box), k.Slot)
	return appendBytes(dst, k.Name)
}

// AppendAccount appends a part.
func AppendAccount(dst []byte, a *Account) []byte {
	dst = append(dst, byte(KindAccount), boolByte(a.Deleted))
	dst = binary.AppendUvarint(dst, uint64(a.ID))
	dst = binary.AppendUvarint(dst, a.Version)
	dst = binary.AppendUvarint(dst, uint64(a.LimitBytes))
	dst = binary.AppendUvarint(dst, uint64(a.LimitMessages))
	dst = binary.AppendUvarint(dst, uint64(a.LastValidity))
	dst = binary.AppendUvarint(dst, uint64(a.NextMailbox))
	return appendBytes(dst, a.Name)
}

// AppendSubscriptions appends a part: all names that the account subscribes to.
func AppendSubscriptions(dst []byte, account uint32, version uint64, names []string) []byte {
	dst = append(dst, byte(KindSubscriptions))
	dst = binary.AppendUvarint(dst, uint64(account))
	dst = binary.AppendUvarint(dst, version)
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, n := range names {
		dst = binary.AppendUvarint(dst, uint64(len(n)))
		dst = append(dst, n...)
	}
	return dst
}

// AppendForget appends a part: keys that are needed no more.
func AppendForget(dst []byte, ids []mail.ID) []byte {
	dst = append(dst, byte(KindForget))
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for i := range ids {
		dst = append(dst, ids[i][:]...)
	}
	return dst
}
