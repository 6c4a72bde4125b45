package auth

import (
	"context"
	"errors"
)

// Exists reports the user that an address belongs to, logged in or not.
func (a *Authenticator) Exists(ctx context.Context, address string) (name string, ok bool, err error) {
	name = a.resolve(address)
	if name == "" {
		return "", false, nil
	}
	e, err := a.lookup(ctx, name)
	if e == nil || err != nil {
		return "", false, err
	}
	return e.Name, true, nil
}

// Quota returns what the databases say of a user's mailboxes (see Entry); zeros for
// one that they do not know.
func (a *Authenticator) Quota(ctx context.Context, name string) (bytes, messages int64, err error) {
	e, err := a.lookup(ctx, name)
	if e == nil || err != nil {
		return 0, 0, err
	}
	return e.QuotaBytes, e.QuotaMessages, nil
}

// secret is the installation's, or one of this process.
func (a *Authenticator) secret() []byte {
	if f := a.o.Load().Secret; f != nil {
		if s := f(); len(s) > 0 {
			return s
		}
	}
	return a.keys.secret[:]
}

// lookup asks the databases in turn; nil: no such user.
func (a *Authenticator) lookup(ctx context.Context, name string) (*Entry, error) {
	for _, d := range a.o.Load().Databases {
		e, err := d.Lookup(ctx, name)
		switch {
		case err == nil:
			return e, nil
		case !errors.Is(err, ErrUnknown):
			return nil, err
		}
	}
	return nil, nil
}
