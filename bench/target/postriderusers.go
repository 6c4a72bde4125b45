package target

import (
	"bytes"
	"context"
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
	}
	return b.String()
}

// postriderUsers makes the users u0 and on: the first by the program, which hashes the
// password, the others with the same line, since a thousand hashes would take a
// minute.
func postriderUsers(ctx context.Context, binary, config string, n Need) error {
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
	_, line, found := strings.Cut(string(text), first)
	if !found {
		return fmt.Errorf("%s: no line for %s", name, first)
	}
	line, _, _ = strings.Cut(line, "\n")
	var b strings.Builder
	b.Write(text)
	for i := 1; i < n.Mailboxes; i++ {
		fmt.Fprintf(&b, "u%d@%s%s\n", i, n.MailboxDomain, line)
	}
	return os.WriteFile(name, []byte(b.String()), 0o600)
}
