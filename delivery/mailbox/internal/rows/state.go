package rows

import (
	"encoding/binary"

	"postrider/delivery/mailbox/internal/record"
)

// Status are the counters of a mailbox.
type Status struct {
	UIDNext, RecentFrom       uint32
	HighestModSeq, Floor      uint64
	Messages, Unseen, Deleted int64
	Bytes                     int64
	Vanished                  int64 // rows of expunges
}

// AppendStatus appends the value.
func AppendStatus(dst []byte, s *Status) []byte {
	dst = append(dst, Version)
	for _, v := range [...]uint64{
		uint64(s.UIDNext), uint64(s.RecentFrom), s.HighestModSeq, s.Floor, uint64(s.Messages), uint64(s.Unseen),
		uint64(s.Deleted), uint64(s.Bytes), uint64(s.Vanished),
	} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

// ParseStatus reads the value.
func ParseStatus(p []byte, s *Status) error {
	if len(p) != 1+9*8 || p[0] != Version {
		return ErrMalformed
	}
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(p[1+8*i:]) }
	*s = Status{
		UIDNext: uint32(u(0)), RecentFrom: uint32(u(1)), HighestModSeq: u(2), Floor: u(3), Messages: int64(u(4)), Unseen: int64(u(5)),
		Deleted: int64(u(6)), Bytes: int64(u(7)), Vanished: int64(u(8)),
	}
	return nil
}

// Account is an account's row.
type Account struct {
	Version                   uint64
	Deleted                   bool
	UsedBytes, UsedMessages   int64
	LimitBytes, LimitMessages int64
	LastValidity, NextMailbox uint32
	Name                      string
}

// AppendAccount appends the value.
func AppendAccount(dst []byte, a *Account) []byte {
	deleted := byte(0)
	if a.Deleted {
		deleted = 1
	}
	dst = append(dst, Version, deleted)
	for _, v := range [...]uint64{
		a.Version, uint64(a.UsedBytes), uint64(a.UsedMessages), uint64(a.LimitBytes), uint64(a.LimitMessages),
		uint64(a.LastValidity), uint64(a.NextMailbox),
	} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return append(dst, a.Name...)
}

// ParseAccount reads the value.
func ParseAccount(p []byte, a *Account) error {
	if len(p) < 2+7*8 || p[0] != Version || p[1] > 1 {
		return ErrMalformed
	}
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(p[2+8*i:]) }
	*a = Account{
		Deleted: p[1] == 1, Version: u(0), UsedBytes: int64(u(1)), UsedMessages: int64(u(2)), LimitBytes: int64(u(3)), LimitMessages: int64(u(4)),
		LastValidity: uint32(u(5)), NextMailbox: uint32(u(6)), Name: string(p[2+7*8:]),
	}
	return nil
}

// Mailbox is what a mailbox is called.
type Mailbox struct {
	Version     uint64
	Deleted     bool // its entries are still to be removed, or an old segment may name them
	UIDValidity uint32
	Attributes  uint16
	Name        string
}

// AppendMailbox appends the value.
func AppendMailbox(dst []byte, m *Mailbox) []byte {
	deleted := byte(0)
	if m.Deleted {
		deleted = 1
	}
	dst = append(dst, Version, deleted)
	dst = binary.LittleEndian.AppendUint64(dst, m.Version)
	dst = binary.LittleEndian.AppendUint32(dst, m.UIDValidity)
	dst = binary.LittleEndian.AppendUint16(dst, m.Attributes)
	return append(dst, m.Name...)
}

// ParseMailbox reads the value.
func ParseMailbox(p []byte, m *Mailbox) error {
	if len(p) < 16 || p[0] != Version || p[1] > 1 {
		return ErrMalformed
	}
	le := binary.LittleEndian
	*m = Mailbox{Deleted: p[1] == 1, Version: le.Uint64(p[2:]), UIDValidity: le.Uint32(p[10:]), Attributes: le.Uint16(p[14:]), Name: string(p[16:])}
	return nil
}

// AppendNames appends the value of subscriptions or keywords.
func AppendNames(dst []byte, version uint64, names []string) []byte {
	dst = binary.AppendUvarint(append(dst, Version), version)
	for _, n := range names {
		dst = binary.AppendUvarint(dst, uint64(len(n)))
		dst = append(dst, n...)
	}
	return dst
}

// ParseNames reads the value of subscriptions or keywords.
func ParseNames(p []byte) (version uint64, names []string, err error) {
	if len(p) < 2 || p[0] != Version {
		return 0, nil, ErrMalformed
	}
	version, w := binary.Uvarint(p[1:])
	if w <= 0 {
		return 0, nil, ErrMalformed
	}
	for p = p[1+w:]; len(p) > 0; {
		n, w := binary.Uvarint(p)
		if w <= 0 || n > uint64(len(p)-w) {
			return 0, nil, ErrMalformed
		}
		names = append(names, string(p[w:w+int(n)]))
		p = p[w+int(n):]
	}
	return version, names, nil
}

// AppendMetadata appends the value of metadata.
func AppendMetadata(dst []byte, version uint64, notes []record.Note) []byte {
	return record.AppendNotes(binary.AppendUvarint(append(dst, Version), version), notes)
}

// ParseMetadata reads the value of metadata.
func ParseMetadata(p []byte) (version uint64, notes record.Notes, err error) {
	if len(p) < 2 || p[0] != Version {
		return 0, notes, ErrMalformed
	}
	version, w := binary.Uvarint(p[1:])
	if w <= 0 {
		return 0, notes, ErrMalformed
	}
	notes, err = record.ParseNotes(p[1+w:])
	return version, notes, err
}

// Marks say how far the log has taken effect, and which numbers are given.
type Marks struct {
	Gen         uint64
	Off         int64
	NextAccount uint32
}

// AppendMarks appends the value.
func AppendMarks(dst []byte, m *Marks) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, Version), m.Gen)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.Off))
	return binary.LittleEndian.AppendUint32(dst, m.NextAccount)
}

// ParseMarks reads the value.
func ParseMarks(p []byte, m *Marks) error {
	if len(p) != 21 || p[0] != Version {
		return ErrMalformed
	}
	le := binary.LittleEndian
	*m = Marks{Gen: le.Uint64(p[1:]), Off: int64(le.Uint64(p[9:])), NextAccount: le.Uint32(p[17:])}
	return nil
}

// AppendRange appends a range of UIDs to the value of an expunge, which begins
// with Version.
func AppendRange(dst []byte, from, to uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(dst, from), to)
}

// Ranges calls f for the ranges of an expunge's value.
func Ranges(p []byte, f func(from, to uint32)) error {
	if len(p) < 1 || p[0] != Version || len(p)%8 != 1 {
		return ErrMalformed
	}
	for p = p[1:]; len(p) > 0; p = p[8:] {
		f(binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:]))
	}
	return nil
}

// AppendID appends the value of an account's name.
func AppendID(dst []byte, id uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, Version), id)
}

// ParseID reads the value of an account's name, or a delivery's UID.
func ParseID(p []byte) (uint32, error) {
	if len(p) != 5 || p[0] != Version {
		return 0, ErrMalformed
	}
	return binary.LittleEndian.Uint32(p[1:]), nil
}

// AppendCount appends the value of a generation's live bytes.
func AppendCount(dst []byte, n int64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, Version), uint64(n))
}

// ParseCount reads the value of a generation's live bytes.
func ParseCount(p []byte) (int64, error) {
	if len(p) != 9 || p[0] != Version {
		return 0, ErrMalformed
	}
	return int64(binary.LittleEndian.Uint64(p[1:])), nil
}
