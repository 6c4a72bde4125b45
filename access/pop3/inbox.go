package pop3

import (
	"context"
	"errors"
	"io"

	"postrider/delivery/mailbox"
)

// OpenInbox returns the INBOX of an account as a Maildrop. An account that has got
// no mail yet is made.
//
// RETR marks a message as seen, as Dovecot does by default: somebody who reads the
// same mailbox by IMAP then sees what he has on another machine as read, and what
// came since as new. Like there it is done at the end of the session, one change for
// all of it.
func OpenInbox(ctx context.Context, store *mailbox.Store, account string) (Maildrop, error) {
	a, err := store.Account(account)
	if errors.Is(err, mailbox.ErrNoAccount) {
		a, err = store.CreateAccount(ctx, account)
	}
	if err != nil {
		return nil, err
	}
	m, err := a.Mailbox("INBOX")
	if err != nil {
		return nil, err
	}
	v, err := m.View()
	if err != nil {
		return nil, err
	}
	d := &inbox{mailbox: m, view: v, bytes: -1}
	// The mailbox's counter is that of the view if nothing has happened since.
	if bytes := m.Status().Bytes; v.Fresh() {
		d.bytes = bytes
	}
	return d, nil
}

// inbox is a view that is never refreshed: its indexes are the numbers of messages.
type inbox struct {
	mailbox *mailbox.Mailbox
	view    *mailbox.View
	bytes   int64         // of all messages; negative: not known yet
	reading *inboxMessage // of Text; nil until the first
	uid     []byte        // of Scan
}

// inboxMessage is the one that is being read.
type inboxMessage struct{ m mailbox.Message }

func (t *inboxMessage) Size() int64                              { return t.m.Size() }
func (t *inboxMessage) WriteTo(w io.Writer) (n int64, err error) { return t.m.WriteTo(w) }
func (t *inboxMessage) Release()                                 { t.m.Release() }

func (d *inbox) Len() int { return d.view.Len() }

func (d *inbox) Bytes() (int64, error) {
	if d.bytes >= 0 {
		return d.bytes, nil
	}
	n := int64(0)
	err := d.scan(0, d.Len()-1, func(_ int, m *mailbox.Meta) (bool, error) {
		n += m.SizeBytes
		return true, nil
	})
	if err == nil {
		d.bytes = n
	}
	return n, err
}

// scan calls f for the messages from index first to last.
func (d *inbox) scan(first, last int, f func(i int, m *mailbox.Meta) (more bool, err error)) error {
	if first > last {
		return nil
	}
	i := first
	var failed error
	err := d.view.Scan(d.view.At(first).UID, d.view.At(last).UID, func(m *mailbox.Meta) (more bool) {
		for i < last && d.view.At(i).UID < m.UID {
			i++ // it is gone
		}
		more, failed = f(i, m)
		return more && failed == nil
	})
	return errors.Join(failed, err)
}

// one calls f for message i.
func (d *inbox) one(i int, f func(m *mailbox.Meta) error) error {
	found := false
	err := d.scan(i, i, func(_ int, m *mailbox.Meta) (bool, error) {
		found = true
		return false, f(m)
	})
	if err == nil && !found {
		err = ErrGone
	}
	return err
}

func (d *inbox) Size(i int) (size int64, err error) {
	err = d.one(i, func(m *mailbox.Meta) error {
		size = m.SizeBytes
		return nil
	})
	return size, err
}

func (d *inbox) AppendUID(dst []byte, i int) ([]byte, error) {
	err := d.one(i, func(m *mailbox.Meta) (err error) {
		dst, err = d.view.AppendUIDL(dst, m)
		return err
	})
	return dst, err
}

func (d *inbox) Scan(i int, what Listed, each func(i int, m Meta) bool) error {
	return d.scan(i, d.Len()-1, func(i int, m *mailbox.Meta) (more bool, err error) {
		if what == ListedUID {
			if d.uid, err = d.view.AppendUIDL(d.uid[:0], m); err != nil {
				return false, err
			}
		}
		return each(i, Meta{Size: m.SizeBytes, UID: d.uid}), nil
	})
}

func (d *inbox) Text(i int) (Text, error) {
	if d.reading == nil {
		d.reading = new(inboxMessage)
	}
	err := d.view.Message(d.view.At(i).UID, &d.reading.m)
	if errors.Is(err, mailbox.ErrNoMessage) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, err
	}
	return d.reading, nil
}

func (d *inbox) Update(ctx context.Context, removed, seen Marks) error {
	gone := d.ranges(removed, func(int) bool { return true })
	read := d.ranges(seen, func(i int) bool { return !removed.Has(i) && d.view.At(i).Flags&mailbox.FlagSeen == 0 })
	var err error
	if len(gone) > 0 {
		_, err = d.mailbox.Expunge(ctx, gone, 0)
	}
	if len(read) > 0 {
		_, e := d.mailbox.Flags(ctx, read, &mailbox.FlagChange{Mode: mailbox.AddFlags, Flags: mailbox.FlagSeen})
		err = errors.Join(err, e)
	}
	return err
}

// ranges returns the UIDs of the marked messages that are wanted. Neighbours in the
// view are one range: what had a UID between theirs is gone.
func (d *inbox) ranges(marks Marks, wanted func(i int) bool) (uids []mailbox.Range) {
	last := -2
	for i := range marks.All() {
		if !wanted(i) {
			continue
		}
		uid := d.view.At(i).UID
		if i == last+1 {
			uids[len(uids)-1].To = uid
		} else {
			uids = append(uids, mailbox.Range{From: uid, To: uid})
		}
		last = i
	}
	return uids
}

func (d *inbox) Close() { d.view.Close() }
