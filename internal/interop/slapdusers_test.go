//go:build interop

package interop

import (
	"errors"
	"net/url"
	"syscall"
	"testing"
	"time"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
	"postrider/internal/auth/ldapdb"
)

// Users in a real OpenLDAP: over each kind of connection they log in with what the
// directory checks, and nobody else does.
func TestUsersInSlapd(t *testing.T) {
	s := newSlapd(t)
	for name, change := range map[string]func(*ldapdb.Options){
		"ldaps":    nil,
		"StartTLS": func(o *ldapdb.Options) { o.URL, o.StartTLS = "ldap://"+s.plain, true },
		"ldapi":    func(o *ldapdb.Options) { o.URL, o.TLS = "ldapi://"+url.PathEscape(s.unixPath), nil },
		"in clear": func(o *ldapdb.Options) { o.URL, o.TLS = "ldap://"+s.plain, nil },
	} {
		t.Run(name, func(t *testing.T) {
			db := s.open(change)
			for range 3 {
				ann, err := logIn(t, db, "Ann@example.org", "ann's")
				if err != nil || ann.Name != "ann@example.org" || !ann.MaySendAs("a.smith@example.org", 0) || ann.MaySendAs("twins@example.org", 0) {
					t.Errorf("got %+v, %v", ann, err)
				}
				// Another address of hers, and the same mailbox.
				if e, err := db.Lookup(t.Context(), "info@example.org"); err != nil || e.Name != "ann@example.org" {
					t.Errorf("got %+v, %v", e, err)
				}
				for user, plain := range map[string]string{
					"ann@example.org": "wrong", "nobody@example.org": "ann's", "none@example.org": "x",
					"*@example.org": "ann's", "ann@example.org)(mail=*": "ann's", "*": "ann's",
				} {
					if u, err := logIn(t, db, user, plain); !errors.Is(err, auth.ErrCredentials) {
						t.Errorf("%s: got %+v, %v", user, u, err)
					}
				}
				if u, err := logIn(t, db, "ann@example.org", ""); err == nil {
					t.Errorf("without a password: got %+v", u)
				}
			}
			for _, user := range []string{"*", "ann@example.org)(uid=*", `\2a`, "ann*"} {
				if e, err := db.Lookup(t.Context(), user); !errors.Is(err, auth.ErrUnknown) {
					t.Errorf("%s: got %+v, %v", user, e, err)
				}
			}
			if e, err := db.Lookup(t.Context(), "twins@example.org"); err == nil || errors.Is(err, auth.ErrUnknown) {
				t.Errorf("twins: got %+v, %v", e, err)
			}
		})
	}
	for what, change := range map[string]func(*ldapdb.Options){
		"certificate not ours": func(o *ldapdb.Options) { o.TLS = nil },
		"not on StartTLS":      func(o *ldapdb.Options) { o.URL, o.StartTLS, o.TLS = "ldap://"+s.plain, true, nil },
		"password of ours":     func(o *ldapdb.Options) { o.BindPassword = "wrong" },
		"no such base":         func(o *ldapdb.Options) { o.Base = "ou=none,dc=example,dc=org" },
		"no right to read":     func(o *ldapdb.Options) { o.BindDN, o.BindPassword = "", "" },
	} {
		if e, err := s.open(change).Lookup(t.Context(), "ann@example.org"); err == nil || errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: got %+v, %v", what, e, err)
		}
	}
}

// A directory that is killed or that hangs makes nobody unknown and no password wrong,
// and when it is back nobody has to do anything.
func TestSlapdTrouble(t *testing.T) {
	s := newSlapd(t)
	db := s.open(nil)
	works := func() bool {
		u, err := logIn(t, db, "ann@example.org", "ann's")
		if err != nil && !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("got %+v, %v", u, err)
		}
		return err == nil
	}
	if !works() {
		t.Fatal("nobody can log in")
	}
	for range 3 {
		s.kill()
		if works() {
			t.Error("somebody logged in without a directory")
		}
		s.start()
		if !await(20*time.Second, works) {
			t.Error("the restart was not got over")
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	hasty := s.open(func(o *ldapdb.Options) {
		o.Guard.Timeout, o.Guard.Failures = 100*time.Millisecond, 2
		o.Guard.Wait, o.Guard.MaxWait = time.Hour, time.Hour
	})
	down := 0
	for range 50 {
		_, err := hasty.Lookup(t.Context(), "ann@example.org")
		if err == nil || errors.Is(err, auth.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		if errors.Is(err, guard.ErrDown) {
			down++
		}
	}
	if down != 48 {
		t.Errorf("%d of 50 lookups were not held up, want 48", down)
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !await(30*time.Second, works) {
		t.Error("the pause was not got over")
	}
}
