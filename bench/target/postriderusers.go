package target

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
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

// postriderUsers makes the users u0 and on, whose passwords are stored in a form that
// is quick to check: a thousand logins with the usual one would take a minute, and it
// is not what a scenario measures.
func postriderUsers(ctx context.Context, binary, config string, n Need) error {
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
