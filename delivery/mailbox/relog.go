package mailbox

import (
	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// relogHead is how long the head of a record with many messages gets.
const relogHead = 64 << 10

// has reports whether the account has such a mailbox.
func (a *Account) has(mailbox uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.sorted {
		if m.id == mailbox {
			return !m.deleted
		}
	}
	return false
}

// logBoxes logs the present state of what the segment speaks of: accounts, mailboxes
// and messages.
func (k *copier) logBoxes() error {
	byAccount := make(map[uint32][]record.Box)
	for b := range k.boxes {
		byAccount[b.Account] = append(byAccount[b.Account], b)
	}
	for id, bits := range k.accounts {
		a, err := k.s.accounts.get(id)
		if err != nil {
			return err
		}
		if a == nil {
			continue
		}
		if err := k.logAccount(a, bits, byAccount[id]); err != nil {
			return err
		}
	}
	return nil
}

// logAccount does that for an account, in its turn: the log then has these values
// before those that any later change gives, and no message that is being expunged
// comes after that.
func (k *copier) logAccount(a *Account, bits uint8, boxes []record.Box) error {
	if err := a.takeTurn(k.ctx); err != nil {
		return err
	}
	defer a.endTurn()
	var row rows.Account
	found, err := get(k.s.db, rows.AccountKey(nil, a.id), func(v []byte) error { return rows.ParseAccount(v, &row) })
	if err != nil || !found || row.Deleted {
		return err
	}
	o := k.s.newOp(true)
	o.head = record.AppendAccount(o.head, &record.Account{
		ID: a.id, Version: row.Version, LimitBytes: row.LimitBytes, LimitMessages: row.LimitMessages,
		LastValidity: row.LastValidity, NextMailbox: row.NextMailbox, Name: []byte(row.Name),
	})
	if bits&namesSubs != 0 {
		_, err := get(k.s.db, rows.SubsKey(nil, a.id), func(v []byte) error {
			version, names, err := rows.ParseNames(v)
			o.head = record.AppendSubscriptions(o.head, a.id, version, names)
			return err
		})
		if err != nil {
			return err
		}
	}
	if bits&namesNotes != 0 {
		if err := k.logNotes(o, record.Box{Account: a.id}); err != nil {
			return err
		}
	}
	if err := k.log(o, nil, 0); err != nil {
		return err
	}
	for _, b := range boxes {
		if err := k.logBox(b, k.boxes[b]); err != nil {
			return err
		}
	}
	return nil
}

func (k *copier) logBox(b record.Box, n *named) error {
	var row rows.Mailbox
	found, err := get(k.s.db, rows.MailboxKey(nil, b.Account, b.Mailbox), func(v []byte) error { return rows.ParseMailbox(v, &row) })
	if err != nil || !found || row.Deleted {
		return err
	}
	o := k.s.newOp(true)
	if n.bits&namesBox != 0 {
		o.head = record.AppendMailbox(o.head, &record.Mailbox{
			Box: b, Version: row.Version, UIDValidity: row.UIDValidity, Attributes: row.Attributes, Name: []byte(row.Name),
		})
	}
	var st rows.Status
	if _, err := get(k.s.db, rows.StatusKey(nil, b.Account, b.Mailbox), func(v []byte) error { return rows.ParseStatus(v, &st) }); err != nil {
		return err
	}
	o.head = record.AppendState(o.head, &record.State{
		Box: b, UIDNext: st.UIDNext, HighestModSeq: st.HighestModSeq, Floor: st.Floor, RecentFrom: st.RecentFrom,
	})
	if n.bits&namesWords != 0 {
		_, err := get(k.s.db, rows.KeywordsKey(nil, b.Account, b.Mailbox), func(v []byte) error {
			_, words, err := rows.ParseNames(v)
			for i, w := range words {
				if w != "" {
					o.head = record.AppendKeyword(o.head, &record.Keyword{Box: b, Slot: uint8(i), Name: []byte(w)})
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if n.bits&namesNotes != 0 {
		if err := k.logNotes(o, b); err != nil {
			return err
		}
	}
	if err := k.log(o, nil, 0); err != nil {
		return err
	}
	if err := k.logEntries(b, n); err != nil {
		return err
	}
	return k.logFlags(b, n)
}

// scanBox calls f for the messages in ranges that are there.
func (k *copier) scanBox(b record.Box, ranges []Range, f func(uid uint32, row *rows.Entry) error) error {
	var row rows.Entry
	for _, r := range ranges {
		low := rows.EntryKey(nil, b.Account, b.Mailbox, r.From)
		high := append(rows.EntryKey(nil, b.Account, b.Mailbox, r.To), 0)
		err := scanBetween(k.s.db, low, high, func(key, v []byte) (bool, error) {
			if err := rows.ParseEntry(v, &row); err != nil {
				return false, err
			}
			return true, f(rows.UID(key), &row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// logEntries logs messages as a whole.
func (k *copier) logEntries(b record.Box, n *named) error {
	o := k.s.newOp(true)
	err := k.scanBox(b, n.entries.ranges(), func(uid uint32, row *rows.Entry) error {
		e := record.Entry{
			Box: b, UID: uid, Flags: row.Flags, More: row.More, ModSeq: row.ModSeq, Blob: row.Blob, Variant: row.Variant,
			Size: int64(row.Size), Received: row.Received, Saved: row.Saved,
		}
		if row.PrefixLen > 0 || row.HasUIDL {
			_, err := get(k.s.db, rows.HeadKey(k.key[:0], b.Account, b.Mailbox, uid), func(v []byte) (err error) {
				e.Prefix, e.UIDL, err = rows.ParseHead(v)
				if err == nil {
					o.head = record.AppendEntry(o.head, &e)
				}
				return err
			})
			if err != nil {
				return err
			}
		} else {
			o.head = record.AppendEntry(o.head, &e)
		}
		if len(o.head) > relogHead {
			return k.next(&o)
		}
		return nil
	})
	return k.last(o, err)
}

// logFlags logs the present flags of messages whose whole record is in another
// segment, unless what gave them these flags is in another one as well.
func (k *copier) logFlags(b record.Box, n *named) error {
	whole := n.entries.ranges()
	o := k.s.newOp(true)
	err := k.scanBox(b, n.flags.ranges(), func(uid uint32, row *rows.Entry) error {
		if row.ModSeq > n.modSeq || holds(whole, uid) {
			return nil
		}
		o.runs.BeginFlags(o.head, b, row.ModSeq)
		o.runs.Add(record.Run{From: uid, To: uid, Flags: row.Flags, More: row.More})
		o.head = o.runs.End()
		if len(o.head) > relogHead {
			return k.next(&o)
		}
		return nil
	})
	return k.last(o, err)
}

// next logs a full record and begins another one.
func (k *copier) next(o **op) error {
	full := *o
	*o = k.s.newOp(true)
	return k.log(full, nil, 0)
}

// last logs what is in o, if there is anything and there was no error.
func (k *copier) last(o *op, err error) error {
	if err != nil || len(o.head) == record.HeadLen {
		o.free()
		return err
	}
	return k.log(o, nil, 0)
}
