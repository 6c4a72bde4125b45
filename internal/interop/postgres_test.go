//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
	"postrider/internal/auth/password"
	"postrider/internal/auth/sqldb"
)

// postgres is a PostgreSQL server in a folder of its own.
type postgres struct {
	t        *testing.T
	dir      string // of the server's user, who must not be root
	addr     string
	ca       string
	identity *syscall.Credential
	cmd      *exec.Cmd
}

const ownerPassword = "owner's"

// newPostgres makes a cluster and starts it.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	// Not below t.TempDir, whose parents are closed to the server's user.
	dir, err := os.MkdirTemp("", "postrider-postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &postgres{t: t, dir: dir, addr: freeAddress(t)}
	pair := writePair(t, dir, "postgres")
	p.ca = pair.certificate
	secret := filepath.Join(dir, "pw")
	if err := os.WriteFile(secret, []byte(ownerPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		p.identity = identityOf(t, "postgres", "nobody")
		for _, path := range []string{dir, secret, pair.certificate, pair.key} {
			if err := os.Chown(path, int(p.identity.Uid), int(p.identity.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := p.as("initdb", "-D", filepath.Join(dir, "data"), "-A", "scram-sha-256", "--pwfile", secret, "-U", "owner", "-N", "--locale=C", "-E", "UTF8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p.start()
	return p
}

// as readies a program of the server's, as the server's user.
func (p *postgres) as(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.identity, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (p *postgres) start() {
	p.t.Helper()
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = p.as("postgres", "-D", "data", "-h", host, "-p", port, "-k", p.dir, "-c", "fsync=off",
		"-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(p.dir, "postgres.pem"), "-c", "ssl_key_file="+filepath.Join(p.dir, "postgres.key"))
	errLog, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer errLog.Close()
	p.cmd.Stderr = errLog
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd := p.cmd
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if !await(30*time.Second, func() bool { return exec.Command("pg_isready", "-q", "-h", host, "-p", port).Run() == nil }) {
		text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		p.t.Fatalf("PostgreSQL does not answer:\n%s", text)
	}
}

// stop ends the server and its connections at once.
func (p *postgres) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // whose error only says that it was told to
}

func (p *postgres) url(user, password, more string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/postgres?%s", user, password, p.addr, more)
}

func (p *postgres) run(sql string) {
	p.t.Helper()
	if out, err := tool(p.t, sql, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", p.url("owner", "owner%27s", "")); err != nil {
		p.t.Fatalf("psql: %v\n%s", err, out)
	}
}

// identityOf returns the first of these users.
func identityOf(t *testing.T, names ...string) *syscall.Credential {
	t.Helper()
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatalf("none of the users %v exists", names)
	return nil
}

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
