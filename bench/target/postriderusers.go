package target

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mailboxes is the part of the configuration that is about users and their mail.
func (s postriderSettings) mailboxes(tls string) string {
	var b strings.Builder
	if s.need.Mailboxes > 0 {
		fmt.Fprintf(&b, "\n[local]\ndomains = [%q]\n", s.need.MailboxDomain)
		fmt.Fprintf(&b, "\n[[listener]]\naddress = %q\nservice = \"lmtp\"\n", s.lmtp)
		fmt.Fprintf(&b, "\n[[listener]]\naddress = %q\nservice = \"pop3\"\ntls = %q\n", s.pop3, tls)
		fmt.Fprintf(&b, "\n[[listener]]\naddress = %q\nservice = \"imap\"\ntls = %q\n", s.imap, tls)
	}
	return b.String()
}

// postriderUsers makes the users u0 and on, whose passwords are stored in a form that
// is quick to check: a thousand logins with the usual one would take a minute, and it
// is not what a scenario measures.
func postriderUsers(ctx context.Context, binary, config string, n Need) error {
	if n.SlowHash {
		return postriderSlowUsers(ctx, binary, config, n)
	}
	salt := []byte("bench-salt")
	sum := sha512.Sum512(append([]byte(n.Password), salt...))
	stored := "{SSHA512}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
	var b strings.Builder
	for i := range max(1, n.Mailboxes) {
		fmt.Fprintf(&b, "u%d@%s:%s\n", i, n.MailboxDomain, stored)
	}
	name := filepath.Join(filepath.Dir(config), "passwd")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		return err
	}
	_, err := output(ctx, binary, "user", "import", "--format", "dovecot", name, "-c", config)
	return err
}

// postriderSlowUsers makes the users with a password stored as the program does it by
// itself; they share one stored form, since making a thousand takes as long as
// checking them.
func postriderSlowUsers(ctx context.Context, binary, config string, n Need) error {
	first := "u0@" + n.MailboxDomain
	cmd := exec.CommandContext(ctx, binary, "user", "add", first, "-c", config, "--password-stdin")
	cmd.Stdin = strings.NewReader(n.Password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("user add: %w: %s", err, bytes.TrimSpace(out))
	}
	name := filepath.Join(filepath.Dir(config), "users")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	_, fields, found := strings.Cut(string(text), first)
	if !found {
		return fmt.Errorf("%s: no line for %s", name, first)
	}
	fields, _, _ = strings.Cut(fields, "\n")
	b := bytes.NewBuffer(text)
	for i := 1; i < n.Mailboxes; i++ {
		fmt.Fprintf(b, "u%d@%s%s\n", i, n.MailboxDomain, fields)
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}
