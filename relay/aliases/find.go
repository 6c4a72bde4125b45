package aliases

import (
	"bytes"

	"postrider/internal/mail"
)

// Users knows who has a mailbox: a key for a whole domain is not for them.
type Users interface {
	// User returns zero for an address that has a mailbox, a permanent status for one
	// that has none, and a temporary one when that cannot be told now.
	User(a mail.Address) mail.Status
}

// find looks an address up; scratch holds the key. tag is what the key that was
// found lacks, with its mark.
func (t *Table) find(a mail.Address, users Users, scratch []byte) (targets []target, tag []byte, found bool, s mail.Status) {
	local := a.Local
	for {
		key := appendLower(scratch[:0], local)
		n := len(key)
		key = append(append(key, '@'), a.Domain...)
		if list, ok := t.keys[string(key)]; ok {
			return list, tag, true, s
		}
		if t.named && t.local[string(a.Domain)] {
			if list, ok := t.keys[string(key[:n])]; ok {
				return list, tag, true, s
			}
		}
		at := bytes.IndexByte(local, tagMark)
		if at <= 0 {
			break
		}
		local, tag = local[:at], a.Local[at:]
	}
	key := append(append(scratch[:0], '@'), a.Domain...)
	list, ok := t.keys[string(key)]
	if ok && users != nil {
		if s = users.User(a); !s.Permanent() {
			return nil, nil, false, s
		}
	}
	return list, nil, ok, mail.Status{}
}
