//go:build interop

package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"postrider/bench/access"
	"postrider/bench/result"
)

// dovecot is a private Dovecot with its mail in a scratch folder.
type dovecot struct {
	t                              *testing.T
	dir, config                    string
	lmtp, pop3, pop3s, imap, imaps string
	cmd                            *exec.Cmd
	exited                         chan struct{}
}

// startDovecot runs one that takes mail for anybody and lets everybody in with the
// password "secret".
func startDovecot(t *testing.T) *dovecot {
	t.Helper()
	d := &dovecot{t: t, dir: t.TempDir(), lmtp: freeAddress(t), pop3: freeAddress(t), pop3s: freeAddress(t), imap: freeAddress(t), imaps: freeAddress(t)}
	d.config = filepath.Join(d.dir, "dovecot.conf")
	mail := filepath.Join(d.dir, "mail")
	if err := os.Mkdir(mail, 0o777); err != nil {
		t.Fatal(err)
	}
	// The mail belongs to the user "nobody", who must be able to get there.
	for dir, mode := range map[string]os.FileMode{filepath.Dir(d.dir): 0o755, d.dir: 0o755, mail: 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	writeCertificate(t, filepath.Join(d.dir, "cert.pem"), filepath.Join(d.dir, "key.pem"))
	text := fmt.Sprintf(dovecotConfig, d.dir, portOf(t, d.imap), portOf(t, d.imaps), portOf(t, d.pop3), portOf(t, d.pop3s), portOf(t, d.lmtp))
	if err := os.WriteFile(d.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	d.start()
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
			t.Logf("log of dovecot:\n%s", text[max(0, len(text)-8000):])
		}
		d.end(syscall.SIGTERM)
	})
	return d
}

// dovecotConfig gets the folder and the ports of IMAP, IMAPS, POP3, POP3S, LMTP.
const dovecotConfig = `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
listen = 127.0.0.1
protocols = imap pop3 lmtp
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
first_valid_uid = 1
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=%[1]s/mail/%%u
}
service imap-login {
  service_count = 0
  inet_listener imap {
    port = %[2]s
  }
  inet_listener imaps {
    port = %[3]s
    ssl = yes
  }
}
service pop3-login {
  service_count = 0
  inet_listener pop3 {
    port = %[4]s
  }
  inet_listener pop3s {
    port = %[5]s
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = %[6]s
  }
}
`

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (d *dovecot) start() {
	d.t.Helper()
	d.cmd = exec.Command("dovecot", "-F", "-c", d.config)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // it is told to end
		close(exited)
	}(d.cmd, d.exited)
	for _, addr := range []string{d.lmtp, d.pop3, d.imap} {
		if !await(20*time.Second, func() bool { return dials(addr) }) {
			text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
			d.t.Fatalf("dovecot does not listen on %s:\n%s", addr, text)
		}
	}
}

// end sends a signal to the whole group of processes and waits.
func (d *dovecot) end(s syscall.Signal) {
	_ = syscall.Kill(-d.cmd.Process.Pid, s) // gone already, or going
	select {
	case <-d.exited:
	case <-time.After(30 * time.Second):
		d.t.Error("dovecot does not end")
	}
}

// writeCertificate makes a self-signed one for an hour.
func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// options are those of a workload against d.
func (d *dovecot) options(w access.Workload) access.Options {
	return access.Options{
		POP3: d.pop3, IMAP: d.imap, LMTP: d.lmtp, Password: "secret",
		UserFormat: "u%d@bench.test", Workload: w, Users: 12, Conns: 6, Sessions: 60, Keep: 5, Seed: 7, Timeout: 20 * time.Second,
	}
}

// clean wants some of each operation, no error and no violation.
func clean(t *testing.T, lines []result.AccessResult, err error, operations ...string) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		t.Logf("%-6s %-9s %-22s %5d errors %d p50 %6d us p99 %6d us", l.Protocol, l.Workload, l.Operation, l.Count, l.Errors, l.Latency.P50, l.Latency.P99)
		seen[l.Operation] = l.Count > 0
		if l.Errors != 0 || l.Violations != 0 {
			t.Errorf("%s: %d errors, %d violations: %q", l.Operation, l.Errors, l.Violations, l.Described)
		}
	}
	for _, op := range operations {
		if !seen[op] {
			t.Errorf("no %s was made", op)
		}
	}
}

// Every workload of mail readers finds in Dovecot's mailboxes what was delivered.
func TestDovecotWorkloads(t *testing.T) {
	d := startDovecot(t)
	for i, c := range []struct {
		workload access.Workload
		change   func(*access.Options)
		want     []string
	}{
		{access.Poll, func(o *access.Options) {}, []string{"LOGIN", "STAT", "UIDL", "QUIT", "delivery"}},
		{access.Poll, func(o *access.Options) { o.Protocol, o.TLS = "imap", access.TLSStart }, []string{"STATUS", "LOGOUT"}},
		{access.Download, func(o *access.Options) { o.TLS = access.TLSStart }, []string{"LIST", "RETR", "DELE", "QUIT"}},
		{access.Sync, func(o *access.Options) { o.Arrivals = 2 }, []string{"SELECT", "FETCH FLAGS", "FETCH BODY", "STORE", "EXPUNGE"}},
		{access.Webmail, func(o *access.Options) { o.Rate = 100; o.IMAP, o.TLS = d.imaps, access.TLSImplicit }, []string{"FETCH ENVELOPE", "FETCH BODYSTRUCTURE", "SEARCH"}},
		{access.Idle, func(o *access.Options) {}, []string{"IDLE", "EXISTS after delivery", "EXISTS after 250"}},
		{access.Idle, func(o *access.Options) { o.Rate = 60 }, []string{"IDLE", "EXISTS after delivery"}},
	} {
		t.Run(string(c.workload), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			o := d.options(c.workload)
			c.change(&o)
			o.UserFormat = fmt.Sprintf("u%%d.%d@bench.test", i)
			b, err := access.New(o)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := b.Fill(ctx, 8)
			clean(t, lines, err, "delivery")
			lines, err = b.Run(ctx)
			clean(t, lines, err, c.want...)
			lines, err = b.Check(ctx, true)
			clean(t, lines, err, "LOGIN")
		})
	}
}
