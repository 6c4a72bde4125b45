package auth_test

import (
	"context"
	"errors"
	"sync"
	"testing"

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

// Who was disabled and tried the right password meanwhile is let in as soon as the
// operator says so.
func TestEnabledUserIsLetIn(t *testing.T) {
	off := &auth.Entry{Name: "ann@isp.example", Hash: "{PLAIN}right", Disabled: true}
	db := users{off.Name: off}
	a := auth.New(auth.Options{Databases: []auth.Database{db}, Limits: auth.Limits{Delay: -1}})
	defer a.Close()
	for range 2 {
		if _, err := a.Password(t.Context(), attempt("pop3"), off.Name, []byte("right")); !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("while disabled: %v", err)
		}
	}
	db[off.Name] = &auth.Entry{Name: off.Name, Hash: off.Hash}
	if _, err := a.Password(t.Context(), attempt("pop3"), off.Name, []byte("right")); err != nil {
		t.Errorf("enabled again: %v", err)
	}
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
