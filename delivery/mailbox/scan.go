package mailbox

import (
	"strconv"
	"time"

	"postrider/delivery/mailbox/internal/rows"
)

func (m *Meta) set(uid uint32, row *rows.Entry) {
	m.Entry = Entry{uid, Flags(row.Flags), row.ModSeq}
	m.More = row.More
	m.SizeBytes, m.PrefixBytes = int64(row.Size), int(row.PrefixLen)
	m.Received, m.Saved = time.Unix(row.Received, 0), time.Unix(row.Saved, 0)
	m.EmailID = EmailID{row.Blob, row.Variant}
	m.ImportedUIDL = row.HasUIDL
}

// Scan calls f for the messages of the view in [from, to], in the order of UIDs,
// until f returns false; those that are gone meanwhile are left out, and flags are
// as of now. The Meta is valid during the call.
func (v *View) Scan(from, to uint32, f func(*Meta) bool) error {
	s := v.m.a.s
	if err := s.begin(); err != nil {
		return err
	}
	defer s.leave()
	if n := v.Len(); n == 0 {
		return nil
	} else if last := v.At(n - 1).UID; to > last {
		to = last
	}
	if from > to {
		return nil
	}
	var meta Meta
	var row rows.Entry
	return scanEntries(s.db, v.m, from, to, func(uid uint32, value []byte) (bool, error) {
		if err := rows.ParseEntry(value, &row); err != nil {
			return false, err
		}
		meta.set(uid, &row)
		return f(&meta), nil
	})
}

// AppendUIDL appends the POP3 unique id of the message in meta: what was imported
// with it, or one made of the content's permanent id and the UID, so that neither a
// higher UIDVALIDITY nor a restart changes it.
func (v *View) AppendUIDL(dst []byte, meta *Meta) ([]byte, error) {
	if meta.ImportedUIDL {
		found, err := get(v.m.a.s.db, rows.HeadKey(nil, v.m.a.id, v.m.id, meta.UID), func(value []byte) error {
			_, uidl, err := rows.ParseHead(value)
			dst = append(dst, uidl...)
			return err
		})
		if err == nil && !found {
			err = ErrNoMessage
		}
		return dst, err
	}
	dst = strconv.AppendUint(dst, meta.EmailID.Blob, 36)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, uint64(meta.UID), 36), nil
}
