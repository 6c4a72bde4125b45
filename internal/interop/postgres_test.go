//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
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
