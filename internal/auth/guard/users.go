package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postrider/internal/auth"
)

// Options are those of Users.
type Options struct {
	Limits
	Entries int           // remembered at most; 0: 10,000, below: none
	TTL     time.Duration // how long each; 0: 30 s, below: not at all
}

// Users is an auth.Database over one that asks a server.
type Users struct {
	ask   func(ctx context.Context, name string) (*auth.Entry, error)
	gate  *Gate
	known *Cache[string, *auth.Entry]
	ttl   time.Duration
}

// NewUsers returns a database whose answers come from ask: an entry, an error that
// is auth.ErrUnknown, a *DataError, or any other one, which is a failure of the
// server. gate may be shared with other questions to the same server.
func NewUsers(gate *Gate, o Options, ask func(ctx context.Context, name string) (*auth.Entry, error)) *Users {
	if o.Entries == 0 {
		o.Entries = 10_000
	}
	if o.TTL == 0 {
		o.TTL = 30 * time.Second
	}
	return &Users{ask: ask, gate: gate, known: NewCache[string, *auth.Entry](o.Entries), ttl: o.TTL}
}

// Lookup returns the user of a canonical name.
func (u *Users) Lookup(ctx context.Context, name string) (*auth.Entry, error) {
	if e, ok := u.known.Get(name); ok {
		return e, nil
	}
	var entry *auth.Entry
	var said error // by the server, of this user
	err := u.gate.Do(ctx, func(ctx context.Context) (err error) {
		entry, err = u.ask(ctx, name)
		var data *DataError
		if errors.Is(err, auth.ErrUnknown) || errors.As(err, &data) {
			said, err = err, nil
		}
		return err
	})
	if err = errors.Join(err, said); err != nil {
		return nil, err
	}
	u.known.Put(name, entry, u.ttl)
	return entry, nil
}

// Forget makes the next lookups ask, as after a change of the configuration.
func (u *Users) Forget() { u.known.Clear() }

// DataError says that the server knows a user, but holds something of which no
// entry can be made. It is temporary to whoever asked, as somebody must mend it, and
// no failure of the server.
type DataError struct {
	Name  string // of the user
	Field string // column or attribute; "": the whole
	Cause error
}

func (e *DataError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("entry of %s: %v", e.Name, e.Cause)
	}
	return fmt.Sprintf("entry of %s: %s: %v", e.Name, e.Field, e.Cause)
}

// Unwrap returns the cause.
func (e *DataError) Unwrap() error { return e.Cause }
