//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
	"postrider/internal/auth/password"
	"postrider/internal/auth/sqldb"
)

// logIn is a login by POP3 from somewhere.
func logIn(t *testing.T, db auth.Database, name, plain string) (*auth.User, error) {
	t.Helper()
	a := auth.New(auth.Options{Databases: []auth.Database{db}, Cache: -1, Limits: auth.Limits{Delay: -1}})
	defer a.Close()
	return a.Password(t.Context(), &auth.Attempt{Protocol: "pop3", Client: netip.MustParseAddr("192.0.2.1"), TLS: true}, name, []byte(plain))
}

// Users in a real PostgreSQL: they log in with what is stored, nobody else does, and
// neither a change of the tables nor an end of the server makes anybody unknown.
func TestUsersInPostgres(t *testing.T) {
	p := newPostgres(t)
	hash, err := password.Hash([]byte("ann's"))
	if err != nil {
		t.Fatal(err)
	}
	p.run(fmt.Sprintf(`
CREATE TABLE users (address text PRIMARY KEY, password text, quota bigint, off boolean NOT NULL DEFAULT false);
CREATE TABLE senders (address text REFERENCES users, sender text);
INSERT INTO users VALUES ('ann@example.org', '%s', 1000000, false), ('bob@example.org', NULL, NULL, false), ('off@example.org', '%s', 0, true);
INSERT INTO senders VALUES ('ann@example.org', 'info@example.org'), ('ann@example.org', '@example.com');
CREATE ROLE postrider LOGIN PASSWORD 'reader';
GRANT SELECT ON users, senders TO postrider;
`, hash, hash))
	open := func(url string, timeout time.Duration) *sqldb.DB {
		db, err := sqldb.New(sqldb.Options{
			URL: url,
			Query: `SELECT password AS hash, quota, off AS disabled,
				(SELECT array_agg(sender ORDER BY sender) FROM senders s WHERE s.address = u.address) AS senders
				FROM users u WHERE address = $1`,
			Guard: guard.Options{Entries: -1, Limits: guard.Limits{Timeout: timeout, Wait: 10 * time.Millisecond, MaxWait: 50 * time.Millisecond}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db
	}
	db := open(p.url("postrider", "reader", "sslmode=verify-full&sslrootcert="+p.ca), 20*time.Second)
	ann, err := logIn(t, db, "Ann@example.org", "ann's")
	if err != nil || ann.Name != "ann@example.org" || ann.QuotaBytes != 1000000 || !ann.MaySendAs("info@example.org", 0) || !ann.MaySendAs("x@example.com", 0) || ann.MaySendAs("bob@example.org", 0) {
		t.Errorf("got %+v, %v", ann, err)
	}
	for name, plain := range map[string]string{
		"ann@example.org": "wrong", "bob@example.org": "", "off@example.org": "ann's", "nobody@example.org": "ann's",
		`"' OR '1'='1"@example.org`: "ann's", "ann@example.org' --": "ann's",
	} {
		if u, err := logIn(t, db, name, plain); !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("%s: got %+v, %v", name, u, err)
		}
	}
	for _, name := range []string{"nobody@example.org", "' OR true --", "$1", "\x00", "%"} {
		e, err := db.Lookup(t.Context(), name)
		if e != nil || err == nil || name != "\x00" && !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%q: got %+v, %v", name, e, err)
		}
	}

	knows := func() bool {
		_, err := db.Lookup(t.Context(), "ann@example.org")
		if errors.Is(err, auth.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		return err == nil
	}
	p.run("ALTER TABLE users ALTER quota TYPE numeric") // under the prepared statement
	if !await(10*time.Second, knows) {
		t.Error("the change of a table was not got over")
	}
	p.stop()
	if knows() {
		t.Error("somebody is known without a server")
	}
	if _, err := logIn(t, db, "ann@example.org", "ann's"); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	p.start()
	if !await(20*time.Second, knows) {
		t.Error("the restart was not got over")
	}
	p.run("REVOKE SELECT ON users FROM postrider")
	if knows() {
		t.Error("somebody is known without the right to read")
	}
	for what, url := range map[string]string{
		"another password":     p.url("postrider", "wrong", "sslmode=disable"),
		"certificate not ours": p.url("postrider", "reader", "sslmode=verify-full"),
		"no such database":     strings.Replace(p.url("postrider", "reader", "sslmode=disable"), "/postgres?", "/none?", 1),
	} {
		if e, err := open(url, 20*time.Second).Lookup(t.Context(), "ann@example.org"); err == nil || errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: got %+v, %v", what, e, err)
		}
	}
}

// A table that somebody has locked holds a lookup for its time only, and is no
// unknown user.
func TestPostgresLocked(t *testing.T) {
	p := newPostgres(t)
	p.run("CREATE TABLE users (address text, hash text); INSERT INTO users VALUES ('ann@example.org', 'x')")
	db, err := sqldb.New(sqldb.Options{
		URL: p.url("owner", "owner%27s", ""), Query: "SELECT hash FROM users WHERE address = $1",
		Guard: guard.Options{Entries: -1, Limits: guard.Limits{Timeout: 200 * time.Millisecond, Failures: 1000}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	works := func() bool { _, err := db.Lookup(t.Context(), "ann@example.org"); return err == nil }
	if !await(10*time.Second, works) {
		t.Fatal("nobody is found")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lock := exec.CommandContext(ctx, "psql", "-X", "-q", p.url("owner", "owner%27s", ""),
		"-c", "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)")
	if err := lock.Start(); err != nil {
		t.Fatal(err)
	}
	if !await(20*time.Second, func() bool { return !works() }) {
		t.Error("the lock holds nobody")
	}
	if _, err := db.Lookup(t.Context(), "ann@example.org"); err == nil || errors.Is(err, auth.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	p.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()")
	_ = lock.Wait() // whose connection was ended
	if !await(20*time.Second, works) {
		t.Error("the end of the lock was not got over")
	}
}
