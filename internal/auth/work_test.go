package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
)

// Whoever is refused is refused after the same work, in the same words: one slow
// hash the first time, none when the same comes again.
//
// Covers HR4.
func TestSameWorkForEveryRefusal(t *testing.T) {
	db := users{
		"ann@isp.example": {Name: "ann@isp.example", Hash: hash(t, "right")},
		"off@isp.example": {Name: "off@isp.example", Hash: hash(t, "right"), Disabled: true},
		"app@isp.example": {Name: "app@isp.example", AppPasswords: []auth.AppPassword{{Name: "phone"}}},
	}
	a := auth.New(auth.Options{Databases: []auth.Database{db},
		Limits: auth.Limits{Delay: -1, PerAddress: auth.Allowance{Burst: -1}}})
	defer a.Close()
	const shape = "aaaa-bbbb-cccc-dddd-eeee-ffff-gg" // of an app password
	for _, c := range []struct{ name, plain string }{
		{"ann@isp.example", "wrong"}, {"off@isp.example", "wrong"}, {"off@isp.example", "right"},
		{"app@isp.example", "wrong"}, {"nobody@isp.example", "wrong"}, {"no address", "wrong"},
		{"ann@isp.example", shape}, {"app@isp.example", shape}, {"nobody@isp.example", shape},
	} {
		for again, want := range []uint64{1, 0, 0} {
			before := a.Stats().Hashed
			_, err := a.Password(t.Context(), attempt("smtp"), c.name, []byte(c.plain))
			if !errors.Is(err, auth.ErrCredentials) || err.Error() != auth.ErrCredentials.Error() {
				t.Errorf("%s %q: %v", c.name, c.plain, err)
			}
			if n := a.Stats().Hashed - before; n != want {
				t.Errorf("%s %q, time %d: %d hashes, want %d", c.name, c.plain, again+1, n, want)
			}
		}
	}
}

// decoys is a database that says what an unknown name costs.
type decoys struct {
	users
	form string
}

func (d decoys) Decoy(string) string { return d.form }

// The decoy is never believed, even where the guess fits it.
func TestDecoyIsNotBelieved(t *testing.T) {
	db := decoys{users{"app@isp.example": {Name: "app@isp.example"}}, "{PLAIN}right"}
	a := auth.New(auth.Options{Databases: []auth.Database{db}, Limits: auth.Limits{Delay: -1}})
	defer a.Close()
	for _, name := range []string{"nobody@isp.example", "app@isp.example"} {
		for range 2 {
			if _, err := a.Password(t.Context(), attempt("smtp"), name, []byte("right")); !errors.Is(err, auth.ErrCredentials) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A password that was changed ends the old one at once, whatever is remembered.
func TestChangedPasswordEndsTheOldOne(t *testing.T) {
	e := &auth.Entry{Name: "ann@isp.example", Hash: "{PLAIN}old"}
	db := users{e.Name: e}
	a := auth.New(auth.Options{Databases: []auth.Database{db}, Limits: auth.Limits{Delay: -1}})
	defer a.Close()
	try := func(plain string, want error) {
		t.Helper()
		if _, err := a.Password(t.Context(), attempt("imap"), e.Name, []byte(plain)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", plain, err, want)
		}
	}
	try("old", nil)
	try("old", nil)
	try("new", auth.ErrCredentials)
	db[e.Name] = &auth.Entry{Name: e.Name, Hash: "{PLAIN}new"}
	try("old", auth.ErrCredentials)
	try("new", nil)
	db[e.Name] = &auth.Entry{Name: e.Name, Hash: "{PLAIN}new", Disabled: true}
	try("new", auth.ErrCredentials)
	delete(db, e.Name)
	try("new", auth.ErrCredentials)
}

// slow is a database that checks passwords itself, when it is let.
type slow struct {
	let   chan bool
	asked atomic.Int64
	now   atomic.Int64 // open questions
}

func (s *slow) Lookup(_ context.Context, name string) (*auth.Entry, error) {
	return &auth.Entry{Name: name, Verify: func(ctx context.Context, plain []byte) (bool, error) {
		s.asked.Add(1)
		s.now.Add(1)
		defer s.now.Add(-1)
		select {
		case fits := <-s.let:
			return fits, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}}, nil
}

// Equal attempts are checked once, others wait for their turn, and one who leaves
// does not take the others' answer along.
func TestEqualAttemptsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slow{let: make(chan bool)}
		a := auth.New(auth.Options{Databases: []auth.Database{db}})
		defer a.Close()
		var all sync.WaitGroup
		var good atomic.Int64
		ctx, leave := context.WithCancel(t.Context())
		all.Go(func() { // the first, who does not stay
			if _, err := a.Password(ctx, attempt("smtp"), "ann@isp.example", []byte("right")); !errors.Is(err, auth.ErrUnavailable) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				if _, err := a.Password(t.Context(), attempt("smtp"), "ann@isp.example", []byte("right")); err == nil {
					good.Add(1)
				}
			})
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		db.let <- true
		all.Wait()
		if db.asked.Load() != 1 || good.Load() != 100 {
			t.Errorf("asked %d times, %d logged in", db.asked.Load(), good.Load())
		}
	})
}

// What waits is bounded; beyond it the answer is "later" at once, and a database
// that hangs is given up.
func TestLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slow{let: make(chan bool)}
		a := auth.New(auth.Options{Databases: []auth.Database{db}, Waiting: 10})
		defer a.Close()
		began := time.Now()
		var all sync.WaitGroup
		var later atomic.Int64
		for i := range 100 {
			if i <= 16 { // so many are checked at a time: they have left the line
				synctest.Wait()
			}
			all.Go(func() {
				_, err := a.Password(t.Context(), attempt("smtp"), "ann@isp.example", []byte{'p', byte(i)})
				if errors.Is(err, auth.ErrUnavailable) && time.Since(began) == 0 {
					later.Add(1)
				}
			})
		}
		synctest.Wait()
		if s := a.Stats(); s.Waiting != 10 || db.now.Load() != 16 || later.Load() != 100-10-16 {
			t.Errorf("%d wait, %d were sent away, %d are checked", s.Waiting, later.Load(), db.now.Load())
		}
		all.Wait()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("a database that hangs held logins for %v", took)
		}
	})
}

// A flood of guesses does not make those wait who log in from where they did before.
//
// Covers HR4.
func TestKnownAddressComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slow{let: make(chan bool)}
		a := auth.New(auth.Options{Databases: []auth.Database{db}, Waiting: 100, Cache: -1,
			Limits: auth.Limits{PerAddress: auth.Allowance{Burst: -1}}})
		defer a.Close()
		var all sync.WaitGroup
		try := func(client, plain string) (ended *atomic.Bool) {
			ended = new(atomic.Bool)
			at := &auth.Attempt{Client: netip.MustParseAddr(client)}
			all.Go(func() {
				_, _ = a.Password(t.Context(), at, "ann@isp.example", []byte(plain))
				ended.Store(true)
			})
			synctest.Wait()
			return ended
		}
		try("192.0.2.9", "right")
		db.let <- true
		all.Wait()
		for i := range 200 { // more than may wait
			try("198.51.100.7", fmt.Sprint("guess", i))
		}
		known := try("192.0.2.9", "right, in another session")
		stranger := try("192.0.2.10", "right, from elsewhere")
		for range 16 + 1 { // those under way, then the next
			db.let <- true
			synctest.Wait()
		}
		if !known.Load() || !stranger.Load() || a.Stats().Waiting != 100-16 {
			t.Errorf("the owner has an answer: %v; a stranger was sent away: %v; %d wait", known.Load(), stranger.Load(), a.Stats().Waiting)
		}
		for a.Stats().Waiting > 0 || db.now.Load() > 0 {
			db.let <- false
			synctest.Wait()
		}
		all.Wait()
	})
}

// An Authenticator computes no more slow hashes at a time than it was told to.
func TestCores(t *testing.T) {
	db := users{}
	form := hash(t, "right")
	for _, n := range []string{"a", "b", "c", "d"} {
		db[n+"@isp.example"] = &auth.Entry{Name: n + "@isp.example", Hash: form}
	}
	a := auth.New(auth.Options{Databases: []auth.Database{db}, Cores: 1})
	defer a.Close()
	var all sync.WaitGroup
	for name := range db {
		all.Go(func() {
			if _, err := a.Password(t.Context(), attempt("smtp"), name, []byte("right")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if s := a.Stats(); s.Hashed != 4 || s.Waiting != 0 || s.Remembered != 4 {
		t.Errorf("%+v", s)
	}
	if password.IsFast(form) {
		t.Error("this does not test slow hashes")
	}
}

// A database that fails says "later", and nothing is counted against anyone.
func TestDatabaseFails(t *testing.T) {
	broken := errors.New("no connection")
	var last auth.Outcome
	a := auth.New(auth.Options{Databases: []auth.Database{users{}, failing{broken}, users{"ann@isp.example": {}}},
		Observe: func(o *auth.Outcome) { last = *o }})
	defer a.Close()
	for range 100 {
		if _, err := a.Password(t.Context(), attempt("smtp"), "ann@isp.example", []byte("x")); !errors.Is(err, auth.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if last.Reason != auth.Unavailable || !errors.Is(last.Err, broken) {
		t.Errorf("%+v", last)
	}
	if _, _, err := a.Exists(t.Context(), "ann@isp.example"); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Lookup(context.Context, string) (*auth.Entry, error) { return nil, f.err }
