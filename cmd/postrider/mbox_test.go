package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/config"
)

// runMbox runs the verb and returns what it printed and its exit code.
func runMbox(t *testing.T, cfg *config.Config, args ...string) (string, int) {
	t.Helper()
	cmd := mboxCommand(func() (*config.Config, error) { return cfg, nil })
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetIn(strings.NewReader("secret\n"))
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	var exit *exitError
	switch {
	case err == nil:
		return out.String(), exitOK
	case errors.As(err, &exit):
		return out.String() + err.Error(), exit.code
	}
	return out.String() + err.Error(), exitUsage
}

// The verbs work on the store itself while no daemon runs, with the exit codes that
// scripts rely on.
func TestMbox(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Default()
	cfg.DataDir, cfg.Admin.Socket = dir, dir+"/admin.sock"
	cfg.Mailboxes.Segment, cfg.Mailboxes.Cache = 1<<20, 1<<20
	in := dir + "/in"
	for name, text := range map[string]string{"cur/1.a:2,S": "Subject: 1\n\n", "cur/2.a:2,F": "Subject: 2\n\n", ".Sent/cur/3.a:2,": "Subject: 3\n\n", "box": "From a Sat Jan  3 01:05:34 1996\nSubject: 4\n\n"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(in+"/"+name), 0o700), os.WriteFile(in+"/"+name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"list", 3, "no mailboxes yet"},
		{"import u@a.example " + in + "/none", 1, "no such Maildir"},
		{"import u@a.example ftp://a@b", 2, "none of imap"},
		{"import u@a.example imaps://b", 2, "needs a user"},
		{"import u@a.example imaps://a:b@b", 2, "no password"},
		{"import u@a.example imap://a@127.0.0.1:1 --password-stdin", 1, "refused"},
		{"import u@a.example", 2, "accepts 2 arg(s)"},
		{"import u@a.example " + in + " --dry-run", 0, "imported 3 messages"},
		{"import u@a.example " + in, 0, "imported 3 messages (42 B) in 2 folders\n"},
		{"import U@A.Example " + in, 0, "imported 0 messages (0 B) in 2 folders, 3 were there\n"},
		{"import ../u@a.example " + in, 2, "not an address"},
		{"import u " + in, 2, "no domain"},
		{"import u@a.example " + in + "/box --mailbox Old/Mail", 0, "imported 1 messages"},
		{"import u@a.example " + in + " --into Copy --only Sent --json", 0, `"messages":1`},
		{"list", 0, "u@a.example\n"},
		{"list nobody@a.example", 3, "no such account"},
		{"list U@a.example", 0, "Copy/Sent  1         1       14 B\n"},
		{"stat u@a.example", 0, `\Sent`},
		{"stat u@a.example --json", 0, `"name":"Old/Mail","messages":1`},
		{"export nobody@a.example " + dir + "/out", 3, "no such account"},
		{"export u@a.example " + dir + "/out --format zip", 2, "unknown format"},
		{"export u@a.example " + dir + "/out", 0, "exported 5 messages"},
		{"export u@a.example " + dir + "/out2 --format mbox --only INBOX", 0, "exported 2 messages"},
		{"fsck --texts", 0, "1 accounts, 6 mailboxes, 5 messages, 5 texts, 68 B read: nothing found\n"},
		{"rebuild", 0, "1 accounts, 5 messages\n"},
		{"fsck --json", 0, `"messages":5`},
		{"export u@a.example " + dir + "/out3", 0, "exported 5 messages"},
		{"nonsense", 2, "unknown command"},
	} {
		out, code := runMbox(t, cfg, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("mbox %s: exit %d, %q; want %d, %q", c.args, code, out, c.code, c.want)
		}
	}
	if err := os.Symlink("/etc/passwd", in+"/cur/4.a:2,"); err != nil {
		t.Fatal(err)
	}
	if out, code := runMbox(t, cfg, "import", "u@a.example", in); code != 4 || !strings.Contains(out, "failed: ") || !strings.Contains(out, "1 failed") {
		t.Errorf("exit %d, %q", code, out)
	}
	text, err := os.ReadFile(dir + "/out2/INBOX.mbox")
	if err != nil || strings.Count(string(text), "\nStatus: ") != 2 {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(dir + "/out"); err != nil {
		t.Error(err)
	}
}
