package transfer

import (
	"context"
	"errors"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// Local is the Store of this process.
type Local struct{ Store *mailbox.Store }

// Accounts returns the names of all accounts.
func (l Local) Accounts(context.Context) ([]string, error) { return l.Store.Accounts() }

// Folders returns the mailboxes of an account.
func (l Local) Folders(_ context.Context, account string) ([]Folder, error) {
	a, err := l.Store.Account(account)
	if err != nil {
		return nil, err
	}
	var folders []Folder
	for _, info := range a.Mailboxes(nil) {
		m, err := a.Mailbox(info.Name)
		if errors.Is(err, mailbox.ErrNoMailbox) { // removed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		f := folderOf(m, info)
		f.Keywords = m.Keywords(nil)
		folders = append(folders, f)
	}
	return folders, nil
}

func folderOf(m *mailbox.Mailbox, info mailbox.Info) Folder {
	s := m.Status()
	return Folder{
		Name: info.Name, UIDValidity: s.UIDValidity, UIDNext: s.UIDNext, Use: info.Attributes, Subscribed: info.Subscribed,
		Messages: s.Messages, Unseen: s.Unseen, Bytes: s.Bytes,
	}
}

// Prepare makes what is missing.
func (l Local) Prepare(ctx context.Context, account string, f *Folder) (Folder, error) {
	a, err := l.Store.CreateAccount(ctx, account)
	if err != nil {
		return Folder{}, err
	}
	m, err := a.Mailbox(f.Name)
	if errors.Is(err, mailbox.ErrNoMailbox) {
		if m, err = l.create(ctx, a, f); err != nil {
			return Folder{}, err
		}
	}
	if err != nil {
		return Folder{}, err
	}
	if f.Subscribed {
		if err := a.Subscribe(ctx, f.Name, true); err != nil {
			return Folder{}, err
		}
	}
	if s := m.Status(); f.UIDValidity != 0 && s.UIDNext == 1 && s.UIDValidity != f.UIDValidity {
		// One that cannot be given any more leaves the mailbox with its own, and its
		// messages with new UIDs.
		if err := m.SetUIDValidity(ctx, f.UIDValidity); err != nil && !errors.Is(err, mailbox.ErrUID) {
			return Folder{}, err
		}
	}
	return folderOf(m, mailbox.Info{Name: f.Name}), nil
}

// create makes a mailbox and those above it. A special use that another one has
// is not given twice.
func (l Local) create(ctx context.Context, a *mailbox.Account, f *Folder) (*mailbox.Mailbox, error) {
	for i, c := range f.Name {
		if c != '/' || i == 0 {
			continue
		}
		_, err := a.Mailbox(f.Name[:i])
		if errors.Is(err, mailbox.ErrNoMailbox) {
			_, err = a.Create(ctx, f.Name[:i], 0)
		}
		if err != nil && !errors.Is(err, mailbox.ErrExists) {
			return nil, err
		}
	}
	use := f.Use
	for _, info := range a.Mailboxes(nil) {
		use &^= info.Attributes
	}
	return a.Create(ctx, f.Name, use)
}

// open returns a mailbox that is there.
func (l Local) open(account, folder string) (*mailbox.Mailbox, error) {
	a, err := l.Store.Account(account)
	if err != nil {
		return nil, err
	}
	return a.Mailbox(folder)
}

// Known says which messages were filed before.
func (l Local) Known(_ context.Context, account, folder string, ids []mail.ID) ([]bool, error) {
	m, err := l.open(account, folder)
	if err != nil {
		return nil, err
	}
	return m.Filed(ids, 0)
}

// Settle keeps the UIDs below uidNext from being given to others.
func (l Local) Settle(ctx context.Context, account, folder string, uidNext uint32) error {
	m, err := l.open(account, folder)
	if err != nil {
		return err
	}
	return m.RaiseUIDNext(ctx, uidNext)
}

// Append files messages, and waits for the disk once. One that cannot have the UID
// it is to keep gets the next.
func (l Local) Append(ctx context.Context, account, folder string, batch []Filing) ([]Result, error) {
	m, err := l.open(account, folder)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(batch))
	all := make([]*mailbox.Delivery, len(batch))
	for i := range batch {
		f := &batch[i]
		draft := l.Store.NewDraft()
		defer draft.Close()
		if _, err := draft.Write(f.Text); err != nil {
			return nil, err
		}
		text, err := draft.Body()
		if err != nil {
			return nil, err
		}
		t := mailbox.Target{Mailbox: m, Flags: f.Flags, Keywords: f.Keywords, UIDL: f.UIDL, UID: f.UID}
		all[i] = &mailbox.Delivery{Key: f.ID, Text: text, Received: f.Received, Targets: []mailbox.Target{t}}
	}
	errs := l.Store.DeliverEach(ctx, all...)
	for i, d := range all {
		t := &d.Targets[0]
		if errors.Is(errs[i], mailbox.ErrUID) && batch[i].UID != 0 {
			t.UID = 0
			errs[i] = l.Store.Deliver(ctx, d)
		}
		switch err := errs[i]; {
		case err == nil:
			results[i] = Result{UID: t.UID, Repeat: t.Repeat}
		case errors.Is(err, mailbox.ErrQuota), errors.Is(err, mailbox.ErrTooLarge):
			results[i].Error = err.Error()
		default:
			return nil, err
		}
	}
	return results, nil
}
