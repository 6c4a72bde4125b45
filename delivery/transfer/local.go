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
	if _, err := l.open(account, folder); err != nil {
		return nil, err
	}
	return make([]bool, len(ids)), nil
}

// Append files messages together, or one by one when that does not work.
func (l Local) Append(ctx context.Context, account, folder string, batch []Filing) ([]Result, error) {
	m, err := l.open(account, folder)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(batch))
	if l.together(ctx, m, batch, results) {
		return results, nil
	}
	for i := range batch {
		if err := l.file(ctx, m, &batch[i], &results[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// together files a batch in one step. Whatever stops it is found again, and told
// of, when they are filed one by one.
func (l Local) together(ctx context.Context, m *mailbox.Mailbox, batch []Filing, results []Result) bool {
	all := make([]*mailbox.Delivery, 0, len(batch))
	for i := range batch {
		f := &batch[i]
		draft := l.Store.NewDraft()
		defer draft.Close()
		if _, err := draft.Write(f.Text); err != nil {
			return false
		}
		text, err := draft.Body()
		if err != nil {
			return false
		}
		t := mailbox.Target{Mailbox: m, Flags: f.Flags, Keywords: f.Keywords, UIDL: f.UIDL, UID: f.UID}
		all = append(all, &mailbox.Delivery{Key: f.ID, Text: text, Received: f.Received, Targets: []mailbox.Target{t}})
	}
	if l.Store.DeliverAll(ctx, all...) != nil {
		return false
	}
	for i, d := range all {
		t := &d.Targets[0]
		if results[i] = (Result{UID: t.UID, Repeat: t.Repeat}); t.Err != nil {
			return false
		}
	}
	return true
}

// file files one message. The error is one of the whole store.
func (l Local) file(ctx context.Context, m *mailbox.Mailbox, f *Filing, r *Result) error {
	draft := l.Store.NewDraft()
	defer draft.Close()
	if _, err := draft.Write(f.Text); err != nil {
		return err
	}
	text, err := draft.Body()
	if err != nil {
		return err
	}
	t := mailbox.Target{Mailbox: m, Flags: f.Flags, Keywords: f.Keywords, UIDL: f.UIDL, UID: f.UID}
	targets := []mailbox.Target{t}
	for {
		d := mailbox.Delivery{Key: f.ID, Text: text, Received: f.Received, Targets: targets}
		err := l.Store.Deliver(ctx, &d)
		if err == nil {
			err = targets[0].Err
		}
		switch {
		case err == nil:
			r.UID, r.Repeat = targets[0].UID, targets[0].Repeat
			return nil
		case errors.Is(err, mailbox.ErrUID) && t.UID != 0: // the next one, then
			t.UID = 0
		case errors.Is(err, mailbox.ErrKeywords) && len(t.Keywords) > 0: // better without than not at all
			t.Keywords = nil
		case errors.Is(err, mailbox.ErrQuota), errors.Is(err, mailbox.ErrTooLarge):
			r.Error = err.Error()
			return nil
		default:
			return err
		}
		targets[0] = t
	}
}
