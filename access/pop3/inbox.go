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
	return &inbox{mailbox: m, status: m.Status()}, nil
}

// inbox is a view that is never refreshed: its indexes are the numbers of messages.
// It is opened when a message is first asked for, since a session that only looks
// whether there is something needs no more than the mailbox's counters.
type inbox struct {
	mailbox *mailbox.Mailbox
	status  mailbox.Status
	view    *mailbox.View // nil: not opened yet
	n       int           // messages of the view that were there at the login
	reading *inboxMessage // of Text; nil until the first
	uid     []byte        // of Scan
}

// load opens the view. What has come since the login, from UIDNEXT of then on, is for
// the next session.
func (d *inbox) load() error {
	if d.view != nil {
		return nil
	}
	v, err := d.mailbox.View()
	if err != nil {
		return err
	}
	d.view = v
	if d.n, _ = v.Find(d.status.UIDNext); d.n == d.status.Messages {
		return nil // they are the same, and so is their size
	}
	d.status.Messages, d.status.Bytes = d.n, 0
	if err = d.scan(0, d.n-1, func(_ int, m *mailbox.Meta) (bool, error) {
		d.status.Bytes += m.SizeBytes
		return true, nil
	}); err != nil {
		d.view, d.status.Messages = nil, -1 // to be summed up the next time
		v.Close()
	}
	return err
}

// inboxMessage is the one that is being read.
type inboxMessage struct{ m mailbox.Message }

func (t *inboxMessage) Size() int64                              { return t.m.Size() }
func (t *inboxMessage) WriteTo(w io.Writer) (n int64, err error) { return t.m.WriteTo(w) }
func (t *inboxMessage) Release()                                 { t.m.Release() }

func (d *inbox) Stat() (messages int, bytes int64, err error) {
	if d.status.Messages < 0 {
		err = d.load()
	}
	return d.status.Messages, d.status.Bytes, err
}

func (d *inbox) Len() (int, error) {
	err := d.load()
	return d.n, err
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
	if err := d.load(); err != nil {
		return err
	}
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
	if err := d.load(); err != nil {
		return err
	}
	return d.scan(i, d.n-1, func(i int, m *mailbox.Meta) (more bool, err error) {
		if what == ListedUID {
			if d.uid, err = d.view.AppendUIDL(d.uid[:0], m); err != nil {
				return false, err
			}
		}
		return each(i, Meta{Size: m.SizeBytes, UID: d.uid}), nil
	})
}

func (d *inbox) Text(i int) (Text, error) {
	if err := d.load(); err != nil {
		return nil, err
	}
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
	if err := d.load(); err != nil {
		return err
	}
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

func (d *inbox) Close() {
	if d.view != nil {
		d.view.Close()
	}
}
