package delivery

import (
	"bytes"
	"context"
	"errors"
	"time"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// holder is whose an address is.
type holder struct {
	user    string
	folder  string           // that the address names; "": none
	account *mailbox.Account // nil: not made yet
	inbox   *mailbox.Mailbox
	until   time.Time // it is taken for granted until then
}

// mostHolders bounds what is remembered of addresses.
const mostHolders = 4096

// find returns the mailbox for an address, whose account it makes when it is the
// first mail for its user. A status says that there is none.
func (a *Agent) find(ctx context.Context, address []byte) (*mailbox.Mailbox, mail.Status) {
	h, st := a.holder(ctx, address, true)
	if !st.IsZero() {
		return nil, st
	}
	if h.folder != "" {
		if m, err := h.account.Mailbox(h.folder); err == nil {
			return m, mail.Status{}
		}
	}
	return h.inbox, mail.Status{}
}

// holder returns whose an address is, with its account when there is one, or made is
// set.
func (a *Agent) holder(ctx context.Context, address []byte, made bool) (holder, mail.Status) {
	now := a.o.Clock()
	a.mu.Lock()
	h, ok := a.holders[string(address)]
	a.mu.Unlock()
	if ok && now.Before(h.until) && (h.account != nil || !made) {
		return h, mail.Status{}
	}
	h, st := a.lookUp(ctx, address)
	if !st.IsZero() {
		return holder{}, st
	}
	if err := a.open(ctx, &h, made); err != nil {
		return holder{}, a.statusOf(err)
	}
	h.until = now.Add(a.o.Remember)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.holders) >= mostHolders {
		for old := range a.holders { // any: what is in use comes back
			delete(a.holders, old)
			break
		}
	}
	a.holders[string(address)] = h
	return h, mail.Status{}
}

// lookUp asks the user databases: for the address, then for what stands before the
// separator.
func (a *Agent) lookUp(ctx context.Context, address []byte) (holder, mail.Status) {
	at := bytes.LastIndexByte(address, '@')
	if at <= 0 || at == len(address)-1 || len(address) > mail.MaxAddressLen {
		return holder{}, statusBad
	}
	user, ok, err := a.o.Users.Exists(ctx, string(address))
	if err != nil {
		return holder{}, statusUnsure
	}
	if ok {
		return holder{user: user}, mail.Status{}
	}
	local := address[:at]
	separator := a.settings.Load().Separator
	cut := bytes.IndexByte(local, separator)
	if separator == 0 || cut <= 0 || local[0] == '"' {
		return holder{}, statusNoUser
	}
	base := string(local[:cut]) + string(address[at:])
	switch user, ok, err = a.o.Users.Exists(ctx, base); {
	case err != nil:
		return holder{}, statusUnsure
	case !ok:
		return holder{}, statusNoUser
	}
	return holder{user: user, folder: string(local[cut+1:])}, mail.Status{}
}

// open finds the account of a holder, or makes it.
func (a *Agent) open(ctx context.Context, h *holder, made bool) error {
	account, err := a.o.Store.Account(h.user)
	if errors.Is(err, mailbox.ErrNoAccount) {
		if !made {
			return nil
		}
		account, err = a.o.Store.CreateAccount(ctx, h.user)
	}
	if err != nil {
		return err
	}
	if err := a.limit(ctx, h.user, account); err != nil {
		return err
	}
	h.account = account
	h.inbox, err = account.Mailbox(inbox)
	return err
}

const inbox = "INBOX"

// limit puts a user's limits in force.
func (a *Agent) limit(ctx context.Context, user string, account *mailbox.Account) error {
	if a.o.Quota == nil {
		return nil
	}
	limitBytes, limitMessages, err := a.o.Quota(ctx, user)
	if err != nil {
		return err
	}
	if q := account.Quota(); q.LimitBytes == limitBytes && q.LimitMessages == limitMessages {
		return nil
	}
	return account.SetQuota(ctx, limitBytes, limitMessages)
}

// forgetHolders drops what is remembered of the recipients that have no outcome.
func (a *Agent) forgetHolders(w *work, d *mail.Delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, place := range w.places {
		if d.Outcomes[place].IsZero() {
			delete(a.holders, string(d.Envelope.Recipients[d.Recipients[place]].Address))
		}
	}
}
