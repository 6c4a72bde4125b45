// Package rows is the written form of the mail store's index: the keys and values
// in its Pebble, apart from what they mean. Integers in keys are big endian, so
// that keys sort; values begin with a version byte.
//
// # Format
//
// docs/formats.md, "Index of the mail store".
package rows

import (
	"encoding/binary"
	"errors"

	"postrider/delivery/mailbox/internal/record"
	"postrider/internal/mail"
)

// Version is that of every value, and of the index as a whole.
const Version = 1

// ErrMalformed reports a value that does not parse.
var ErrMalformed = errors.New("malformed row")

// First bytes of keys.
const (
	PrefixName     = 'a' // name -> account
	PrefixAccount  = 'q' // account -> Account
	PrefixSubs     = 's' // account -> subscriptions
	PrefixMailbox  = 'n' // account, mailbox -> Mailbox
	PrefixStatus   = 'm' // account, mailbox -> Status
	PrefixKeywords = 'k' // account, mailbox -> names
	PrefixEntry    = 'u' // account, mailbox, uid -> Entry
	PrefixHead     = 'h' // account, mailbox, uid -> prefix and UIDL
	PrefixVanished = 'v' // account, mailbox, mod-sequence -> ranges
	PrefixBlob     = 'b' // blob -> Blob
	PrefixItems    = 'e' // blob -> structure
	PrefixTop      = 't' // blob -> header block
	PrefixLive     = 'g' // generation -> live bytes
	PrefixKey      = 'd' // id, recipient, account, mailbox -> uid
	PrefixValidity = 'i' // account, UIDVALIDITY, name -> the mailbox that has or had both
	PrefixReap     = 'r' // account, mailbox: deleted, and its messages are still to go
	PrefixMetadata = 'p' // account, mailbox (0: the account's own) -> entries
	PrefixMarks    = 'A' // -> Marks
	PrefixVersion  = 'V' // -> Version
)

func key1(dst []byte, prefix byte, a uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, prefix), a)
}

func key2(dst []byte, prefix byte, a, b uint32) []byte {
	return binary.BigEndian.AppendUint32(key1(dst, prefix, a), b)
}

func key3(dst []byte, prefix byte, a, b, c uint32) []byte {
	return binary.BigEndian.AppendUint32(key2(dst, prefix, a, b), c)
}

// NameKey appends the key of an account's name.
func NameKey(dst []byte, name string) []byte { return append(append(dst, PrefixName), name...) }

// AccountKey appends the key of an account.
func AccountKey(dst []byte, a uint32) []byte { return key1(dst, PrefixAccount, a) }

// SubsKey appends the key of an account's subscriptions.
func SubsKey(dst []byte, a uint32) []byte { return key1(dst, PrefixSubs, a) }

// MailboxKey appends the key of a mailbox's name.
func MailboxKey(dst []byte, a, m uint32) []byte { return key2(dst, PrefixMailbox, a, m) }

// MailboxesFrom appends the lowest key of an account's mailboxes.
func MailboxesFrom(dst []byte, a uint32) []byte { return key1(dst, PrefixMailbox, a) }

// MailboxID is the mailbox at the end of the key of its name, or its metadata.
func MailboxID(key []byte) uint32 {
	if len(key) != 9 {
		return 0
	}
	return binary.BigEndian.Uint32(key[5:])
}

// StatusKey appends the key of a mailbox's counters.
func StatusKey(dst []byte, a, m uint32) []byte { return key2(dst, PrefixStatus, a, m) }

// KeywordsKey appends the key of a mailbox's keywords.
func KeywordsKey(dst []byte, a, m uint32) []byte { return key2(dst, PrefixKeywords, a, m) }

// MetadataKey appends the key of a mailbox's metadata, or with mailbox 0 of the
// account's own.
func MetadataKey(dst []byte, a, m uint32) []byte { return key2(dst, PrefixMetadata, a, m) }

// MetadataFrom appends the lowest key of the metadata in an account.
func MetadataFrom(dst []byte, a uint32) []byte { return key1(dst, PrefixMetadata, a) }

// EntryKey appends the key of a message.
func EntryKey(dst []byte, a, m, uid uint32) []byte { return key3(dst, PrefixEntry, a, m, uid) }

// UID is the UID at the end of the key of an entry or a head.
func UID(key []byte) uint32 {
	if len(key) != 13 {
		return 0
	}
	return binary.BigEndian.Uint32(key[9:])
}

// HeadKey appends the key of a message's prefix and UIDL.
func HeadKey(dst []byte, a, m, uid uint32) []byte { return key3(dst, PrefixHead, a, m, uid) }

// VanishedKey appends the key of an expunge.
func VanishedKey(dst []byte, a, m uint32, modSeq uint64) []byte {
	return binary.BigEndian.AppendUint64(key2(dst, PrefixVanished, a, m), modSeq)
}

// VanishedModSeq is the mod-sequence at the end of the key of an expunge.
func VanishedModSeq(key []byte) uint64 {
	if len(key) != 17 {
		return 0
	}
	return binary.BigEndian.Uint64(key[9:])
}

// ValidityKey appends the key of a name with a UIDVALIDITY.
func ValidityKey(dst []byte, a, validity uint32, name string) []byte {
	return append(key2(dst, PrefixValidity, a, validity), name...)
}

// ReapKey appends the key of a deleted mailbox whose messages are still to go.
func ReapKey(dst []byte, a, m uint32) []byte { return key2(dst, PrefixReap, a, m) }

// Box is the account and the mailbox in the key of a row that is to be reaped.
func Box(key []byte) (a, m uint32) {
	if len(key) < 9 {
		return 0, 0
	}
	return binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint32(key[5:])
}

// BlobKey appends the key of a blob.
func BlobKey(dst []byte, blob uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, PrefixBlob), blob)
}

// AccountID is the id at the end of the key of an account.
func AccountID(key []byte) uint32 {
	if len(key) != 5 {
		return 0
	}
	return binary.BigEndian.Uint32(key[1:])
}

// ItemsKey appends the key of a blob's structure.
func ItemsKey(dst []byte, blob uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, PrefixItems), blob)
}

// TopKey appends the key of a blob's header block.
func TopKey(dst []byte, blob uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, PrefixTop), blob)
}

// LiveKey appends the key of a generation's live bytes.
func LiveKey(dst []byte, gen uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, PrefixLive), gen)
}

// KeysOf appends the lowest key of an id's deliveries.
func KeysOf(dst []byte, id mail.ID) []byte { return append(append(dst, PrefixKey), id[:]...) }

// DeliveryKey appends the key of a delivery.
func DeliveryKey(dst []byte, id mail.ID, recipient, a, m uint32) []byte {
	dst = binary.BigEndian.AppendUint32(KeysOf(dst, id), recipient)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, a), m)
}

// After turns a key into the lowest that does not begin with it, in place; nil
// when there is none.
func After(key []byte) []byte {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i]++; key[i] != 0 {
			return key[:i+1]
		}
	}
	return nil
}

// KeyID is the id in the key of a delivery.
func KeyID(key []byte) (id mail.ID, ok bool) {
	k, ok := ParseDeliveryKey(key)
	return k.ID, ok
}

// ParseDeliveryKey reads the key of a delivery. The UID is in its value.
func ParseDeliveryKey(key []byte) (k record.Key, ok bool) {
	if len(key) != 1+len(k.ID)+12 {
		return k, false
	}
	rest := key[1+copy(k.ID[:], key[1:]):]
	k.Recipient = binary.BigEndian.Uint32(rest)
	k.Account, k.Mailbox = binary.BigEndian.Uint32(rest[4:]), binary.BigEndian.Uint32(rest[8:])
	return k, true
}

// BlobID is the number at the end of the key of a blob, its structure or a
// generation's live bytes.
func BlobID(key []byte) uint64 {
	if len(key) != 9 {
		return 0
	}
	return binary.BigEndian.Uint64(key[1:])
}
