package mailbox

import (
	"context"
	"errors"
	"slices"

	"postrider/delivery/mailbox/internal/record"
)

// CreateAccount makes an account with an INBOX, or returns the one that exists.
func (s *Store) CreateAccount(ctx context.Context, name string) (*Account, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	name, err := accountName(name)
	if err != nil {
		return nil, err
	}
	if a, err := s.account(name); !errors.Is(err, ErrNoAccount) {
		return a, err
	}
	if !s.names.claim(name, ctx.Done()) {
		return nil, ctx.Err()
	}
	defer s.names.release(name)
	if a, err := s.account(name); !errors.Is(err, ErrNoAccount) {
		return a, err
	}
	if err := s.space.admit(0, grows); err != nil {
		return nil, err
	}
	id := s.nextAccount.Add(1) - 1
	validity := s.validity(0)
	o := s.newOp(false)
	o.head = record.AppendAccount(o.head, &record.Account{ID: id, Version: 1, LastValidity: validity, NextMailbox: 2, Name: []byte(name)})
	o.head = record.AppendMailbox(o.head, &record.Mailbox{
		Box: record.Box{Account: id, Mailbox: 1}, Version: 1, UIDValidity: validity, Name: []byte(inbox),
	})
	o.head = record.AppendSubscriptions(o.head, id, 1, []string{inbox})
	o.append(nil, 0)
	if err := o.end(ctx); err != nil {
		return nil, err
	}
	return s.account(name)
}

// end waits for o and gives it back.
func (o *op) end(ctx context.Context) error {
	err := o.wait(ctx)
	o.free()
	return err
}

// validity returns a UIDVALIDITY above last: the time, so that it also differs from
// what an account of the same name had in an earlier life.
func (s *Store) validity(last uint32) uint32 {
	return max(last+1, uint32(s.o.Clock().Unix()))
}

// DeleteAccount removes an account with all that it holds.
func (s *Store) DeleteAccount(ctx context.Context, name string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	a, err := s.account(name)
	if err != nil {
		return err
	}
	return a.alter(ctx, frees, func(o *op) error {
		p := a.partLocked()
		p.Deleted = true
		o.head = record.AppendAccount(o.head, &p)
		a.deleted = true
		o.undo = func() { a.deleted = false }
		return nil
	})
}

// alter makes a change of the account: it takes the account's turn, lets f write
// the parts under the account's lock, and waits. f may set o.undo, which is called
// under the lock when the change fails.
func (a *Account) alter(ctx context.Context, why purpose, f func(o *op) error) error {
	return a.inTurn(ctx, why, func() error { return a.alterInTurn(ctx, f) })
}

// inTurn calls f in the account's turn: until it returns nothing but deliveries
// change the account.
func (a *Account) inTurn(ctx context.Context, why purpose, f func() error) error {
	if err := a.s.enter(ctx); err != nil {
		return err
	}
	defer a.s.leave()
	if err := a.s.space.admit(0, why); err != nil {
		return err
	}
	if err := a.takeTurn(ctx); err != nil {
		return err
	}
	defer a.endTurn()
	return f()
}

func (a *Account) alterInTurn(ctx context.Context, f func(o *op) error) error {
	o := a.s.newOp(false)
	a.mu.Lock()
	err := error(nil)
	if a.deleted {
		err = ErrNoAccount
	} else {
		err = f(o)
	}
	idle := err != nil || len(o.head) == record.HeadLen
	if idle {
		o.giveBackLocked()
	} else {
		o.append(nil, 0)
	}
	a.mu.Unlock()
	if idle {
		o.free()
		return err
	}
	err = o.wait(ctx)
	if err != nil && o.undo != nil {
		a.mu.Lock()
		o.undo()
		a.mu.Unlock()
	}
	o.free()
	return err
}

// SetQuota sets the limits; 0: none.
func (a *Account) SetQuota(ctx context.Context, limitBytes, limitMessages int64) error {
	return a.alter(ctx, frees, func(o *op) error {
		if a.quota.LimitBytes == limitBytes && a.quota.LimitMessages == limitMessages {
			return nil
		}
		p := a.partLocked()
		p.LimitBytes, p.LimitMessages = max(limitBytes, 0), max(limitMessages, 0)
		o.head = record.AppendAccount(o.head, &p)
		return nil
	})
}

// Create makes a mailbox.
func (a *Account) Create(ctx context.Context, name string, use Attributes) (*Mailbox, error) {
	name, err := boxName(name)
	if err != nil {
		return nil, err
	}
	err = a.alter(ctx, grows, func(o *op) error {
		if a.byName[name] != nil {
			return ErrExists
		}
		if len(a.sorted) >= maxMailboxes {
			return ErrTooMany
		}
		a.newBoxLocked(o, name, use)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.Mailbox(name)
}

// newBoxLocked writes the part of a new mailbox.
func (a *Account) newBoxLocked(o *op, name string, use Attributes) {
	id := a.nextMailbox
	a.nextMailbox++
	a.lastValidity = a.s.validity(a.lastValidity)
	o.head = record.AppendMailbox(o.head, &record.Mailbox{
		Box: record.Box{Account: a.id, Mailbox: id}, Version: 1, UIDValidity: a.lastValidity, Attributes: uint16(use), Name: []byte(name),
	})
}

// SetAttributes changes the special uses of a mailbox.
func (a *Account) SetAttributes(ctx context.Context, name string, use Attributes) error {
	m, err := a.Mailbox(name)
	if err != nil {
		return err
	}
	return a.alter(ctx, frees, func(o *op) error {
		if m.gone {
			return ErrNoMailbox
		}
		p := m.partLocked()
		p.Attributes = uint16(use)
		o.head = record.AppendMailbox(o.head, &p)
		return nil
	})
}

// Subscribe adds a name, of a mailbox or not, to the subscriptions, or removes it.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error {
	name, err := boxName(name)
	if err != nil {
		return err
	}
	return a.alter(ctx, frees, func(o *op) error {
		i, there := slices.BinarySearch(a.subs, name)
		subs := slices.Clone(a.subs)
		switch {
		case there == on:
			return nil
		case on && len(subs) >= maxSubscribed:
			return ErrTooMany
		case on:
			subs = slices.Insert(subs, i, name)
		default:
			subs = slices.Delete(subs, i, i+1)
		}
		o.head = record.AppendSubscriptions(o.head, a.id, a.subsVersion+1, subs)
		return nil
	})
}
