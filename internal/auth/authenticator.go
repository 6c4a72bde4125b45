package auth

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"postrider/internal/auth/password"
)

// negativeTTL is how long a wrong password is remembered. It spares the hash for a
// program that repeats itself, and such a repetition is no new guess.
const negativeTTL = time.Minute

// verifyTTL bounds how long a good login is remembered that the database checked
// itself, since a change there may not show in the entry.
const verifyTTL = 5 * time.Minute

// verifiers is how many questions of Entry.Verify are open at a time, and
// verifyTimeout how long each may take.
const (
	verifiers     = 16
	verifyTimeout = 20 * time.Second
)

// Authenticator takes logins. Close it when all sessions have ended.
type Authenticator struct {
	o      atomic.Pointer[Options]
	domain atomic.Pointer[string]
	keys   keyring
	hash   *hasher // slow hashes
	remote *hasher // questions to databases that check passwords themselves
	good   cache
	bad    cache
	limits *limiter
	dummy  string
}

// New starts an Authenticator.
func New(o Options) *Authenticator {
	o.fill()
	a := &Authenticator{dummy: password.Dummy()}
	a.keys.open()
	a.good.limit, a.bad.limit = o.CacheEntries, o.CacheEntries
	a.limits = newLimiter(o.Limits)
	a.hash = newHasher(o.Cores, o.Waiting)
	a.remote = newHasher(verifiers, o.Waiting)
	a.o.Store(&o)
	a.domain.Store(&o.Domain)
	return a
}

// Reload takes new options while logins go on; what was remembered stays. Cores,
// Waiting and the sizes of tables stay as they were.
func (a *Authenticator) Reload(o Options) {
	o.fill()
	a.limits.reload(o.Limits)
	a.o.Store(&o)
	a.domain.Store(&o.Domain)
}

// Close waits for the hashes under way. Attempts that wait are answered
// ErrUnavailable.
func (a *Authenticator) Close() {
	a.hash.close()
	a.remote.close()
}

// Password checks a name and a password as a protocol's own command has them. It
// may block for the slow hash and for the delay of a failure, until ctx ends. The
// password is not kept; whoever holds it may clear it afterwards.
func (a *Authenticator) Password(ctx context.Context, at *Attempt, user string, plain []byte) (*User, error) {
	return a.login(ctx, at, "USER", user, plain)
}

func (a *Authenticator) login(ctx context.Context, at *Attempt, mechanism, user string, plain []byte) (*User, error) {
	began := time.Now()
	out := Outcome{Attempt: at, Mechanism: mechanism, Name: a.resolve(user)}
	u := a.check(ctx, &out, plain)
	out.Took = time.Since(began)
	return u, a.conclude(ctx, &out)
}

// check sets out.Reason, and returns the user when that is OK.
func (a *Authenticator) check(ctx context.Context, out *Outcome, plain []byte) *User {
	if !a.limits.allow(out.Attempt.Client, out.Name, time.Now()) {
		out.Reason = Throttled
		return nil
	}
	e, err := a.entry(ctx, out)
	if err != nil {
		out.Reason, out.Err = Unavailable, err
		return nil
	}
	if len(plain) == 0 || len(plain) > password.MaxBytes {
		out.Reason = a.failure(e)
		return nil
	}
	if p := a.appPassword(e, plain); p != nil {
		switch {
		case e.Disabled:
			out.Reason = Disabled
		case !p.allows(out.Attempt.Protocol):
			out.Reason = WrongProtocol
		default:
			u := e.user()
			u.AppPassword = p.Name
			return u
		}
		return nil
	}
	a.weigh(ctx, out, e, plain)
	if out.Reason == OK {
		return e.user()
	}
	return nil
}

// entry looks out.Name up; nil: nobody.
func (a *Authenticator) entry(ctx context.Context, out *Outcome) (*Entry, error) {
	if out.Name == "" {
		return nil, nil
	}
	return a.lookup(ctx, out.Name)
}

// failure is the reason of a wrong password for e, which may be nil.
func (a *Authenticator) failure(e *Entry) Reason {
	switch {
	case e == nil:
		return UnknownUser
	case e.Disabled:
		return Disabled
	}
	return BadPassword
}

func (e *Entry) user() *User {
	return &User{Name: e.Name, Senders: e.Senders, QuotaBytes: e.QuotaBytes, QuotaMessages: e.QuotaMessages}
}

// stored is the form to check against. An unknown name, and a user who has no
// password, get one of the usual cost that fits nothing, or whose fit is not
// believed.
func (a *Authenticator) stored(e *Entry, name string) string {
	if e != nil && (e.Hash != "" || e.Verify != nil) {
		return e.Hash
	}
	for _, d := range a.o.Load().Databases {
		if d, ok := d.(Decoys); ok {
			if s := d.Decoy(name); s != "" {
				return s
			}
		}
	}
	return a.dummy
}

// weigh compares the password with the stored one, by what is remembered or by the
// hash. It does the same whether the user exists or not.
func (a *Authenticator) weigh(ctx context.Context, out *Outcome, e *Entry, plain []byte) {
	stored := a.stored(e, out.Name)
	key := a.keys.login(out.Name, stored, plain)
	now := time.Now()
	real := e != nil && !e.Disabled && (e.Hash != "" || e.Verify != nil)
	if a.bad.has(key, now) {
		out.Cached, out.Reason = true, a.failure(e)
		return
	}
	if a.good.has(key, now) { // that of an unknown name never gets there
		out.Cached, out.Reason = true, OK
		if !real {
			out.Reason = a.failure(e)
		}
		return
	}
	fits, err := a.compute(ctx, out, e, stored, key, plain)
	switch {
	case errors.Is(err, ErrThrottled):
		out.Reason = Throttled
	case err != nil:
		out.Reason, out.Err = Unavailable, err
	case fits && real:
		out.Reason = OK
		ttl := a.o.Load().Cache
		if e.Verify != nil {
			ttl = min(ttl, verifyTTL)
		}
		a.good.add(key, time.Now(), ttl)
	case fits && e != nil && e.Disabled: // not in bad: the user may be let in again
		out.Reason = Disabled
		a.good.add(key, time.Now(), negativeTTL)
	default:
		out.Reason = a.failure(e)
		a.bad.add(key, time.Now(), negativeTTL)
	}
}

// compute does the comparison itself. The limits are asked again when its turn has
// come, so that guesses which arrive all at once get no further than one by one.
func (a *Authenticator) compute(ctx context.Context, out *Outcome, e *Entry, stored string, key [32]byte, plain []byte) (bool, error) {
	run := func(plain []byte) (bool, error) {
		if !a.limits.allow(out.Attempt.Client, out.Name, time.Now()) {
			return false, ErrThrottled
		}
		if e == nil || e.Verify == nil {
			return password.Match(stored, plain)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verifyTimeout)
		defer cancel()
		return e.Verify(ctx, plain)
	}
	line := a.hash
	switch {
	case e != nil && e.Verify != nil:
		line = a.remote
	case password.IsFast(stored):
		return run(plain)
	}
	own := append([]byte(nil), plain...) // the caller may leave before its turn comes
	known := a.limits.knows(out.Attempt.Client, out.Name)
	return line.do(ctx, key, known, func() (bool, error) {
		defer clear(own)
		return run(own)
	})
}
