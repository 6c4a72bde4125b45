package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
)

// operator runs commands in a folder of its own.
type operator struct {
	t      *testing.T
	dir    string
	config string
}

func newOperator(t *testing.T) *operator {
	o := &operator{t: t, dir: t.TempDir()}
	o.config = o.write("postrider.toml", "version = 1\nhostname = \"mx.isp.example\"\n[local]\ndomains = [\"isp.example\", \"two.example\"]\n")
	return o
}

func (o *operator) write(name, text string) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// run returns the exit code and what was written.
func (o *operator) run(stdin string, args ...string) (code int, out, errs string) {
	o.t.Helper()
	var stdout, stderr bytes.Buffer
	root := rootCommand()
	root.SetArgs(append([]string{"user", "-c", o.config}, args...))
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err := root.ExecuteContext(o.t.Context())
	var exit *exitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		code = exit.code
	default:
		code = exitUsage
	}
	if err != nil {
		stderr.WriteString(err.Error())
	}
	return code, stdout.String(), stderr.String()
}

func (o *operator) expect(code int, out, stdin string, args ...string) {
	o.t.Helper()
	c, stdout, stderr := o.run(stdin, args...)
	if c != code || !strings.Contains(stdout, out) || out == "" && stdout != "" {
		o.t.Errorf("%q: exit %d, %q, %q; want %d, %q", args, c, stdout, stderr, code, out)
	}
}

func (o *operator) user(name string) *auth.Entry {
	o.t.Helper()
	table, err := userfile.Load(filepath.Join(o.dir, "users"))
	if err != nil {
		o.t.Fatal(err)
	}
	return table.Lookup(name)
}

func (o *operator) fits(name, plain string) bool {
	o.t.Helper()
	fits, err := password.Match(o.user(name).Hash, []byte(plain))
	return fits && err == nil
}

func TestUserVerbs(t *testing.T) {
	o := newOperator(t)
	o.expect(exitOK, "", "", "list")
	o.expect(exitOK, "added ann@isp.example", "right\nmore\n", "add", "Ann", "--password-stdin", "--quota", "5GB", "--send-as", "@ann.example,Info@isp.example")
	if u := o.user("ann@isp.example"); !o.fits(u.Name, "right") || u.Scram == nil || u.QuotaBytes != 5e9 || len(u.Senders) != 2 {
		t.Errorf("%+v", u)
	}
	o.expect(exitFailed, "", "other\n", "add", "ann@isp.example", "--password-stdin")
	o.expect(exitFailed, "", "\n", "add", "bob", "--password-stdin")
	o.expect(exitUsage, "", "", "add", "b o b", "--no-password")
	o.expect(exitUsage, "", "", "add", "bob", "--no-password", "--quota", "much")
	o.expect(exitUsage, "", "", "add", "bob", "--no-password", "--send-as", "nonsense")
	o.expect(exitUsage, "", "", "add")
	o.expect(exitOK, "added bob@two.example", "", "add", "bob@two.example", "--no-password")
	o.expect(exitOK, "added eve@else.example", "", "add", "eve@else.example", "--no-password") // with a note
	if _, _, errs := o.run("", "add", "eve2@else.example", "--no-password"); !strings.Contains(errs, "local.domains") {
		t.Errorf("no note about the domain: %q", errs)
	}

	o.expect(exitOK, "changed the password of ann@isp.example", "newer", "passwd", "ann", "--password-stdin")
	if !o.fits("ann@isp.example", "newer") || o.fits("ann@isp.example", "right") {
		t.Error("the password was not changed")
	}
	o.expect(exitNoMatch, "", "newer", "passwd", "zoe", "--password-stdin")
	o.expect(exitUsage, "", "", "set", "ann")
	o.expect(exitOK, "changed ann@isp.example", "", "set", "ann", "--disable", "--quota", "none")
	if u := o.user("ann@isp.example"); !u.Disabled || u.QuotaBytes != -1 || len(u.Senders) != 2 {
		t.Errorf("%+v", u)
	}
	o.expect(exitOK, "changed", "", "set", "ann", "--enable", "--send-as", "")
	if u := o.user("ann@isp.example"); u.Disabled || len(u.Senders) != 0 {
		t.Errorf("%+v", u)
	}

	code, out, _ := o.run("", "list", "ann", "--json")
	var line userLine
	if err := json.Unmarshal([]byte(out), &line); err != nil || code != exitOK || line.Name != "ann@isp.example" || line.Password != "argon2id" || !line.Scram {
		t.Errorf("%d, %s, %v", code, out, err)
	}
	if u := o.user("ann@isp.example"); strings.Contains(out, u.Hash) || strings.Contains(out, u.Scram.String()) {
		t.Error("list tells secrets")
	}
	o.expect(exitNoMatch, "", "", "list", "zoe")
	o.expect(exitPartly, "removed bob@two.example", "", "rm", "bob@two.example", "zoe")
	o.expect(exitNoMatch, "", "", "rm", "bob@two.example")
}

func TestAppPasswordVerbs(t *testing.T) {
	o := newOperator(t)
	o.expect(exitOK, "added", "right\n", "add", "ann", "--password-stdin")
	code, out, _ := o.run("", "app-password", "add", "ann", "--name", "my phone", "--scope", "pop3,imap")
	plain := strings.TrimSpace(out)
	if code != exitOK || auth.BareAppPassword([]byte(plain)) == nil {
		t.Fatalf("%d, %q", code, out)
	}
	f, err := userfile.Open(filepath.Join(o.dir, "users"))
	if err != nil {
		t.Fatal(err)
	}
	a := auth.New(auth.Options{Databases: []auth.Database{f}, Secret: f.Secret, Limits: auth.Limits{Delay: -1}})
	defer a.Close()
	for protocol, want := range map[string]error{"pop3": nil, "imap": nil, "smtp": auth.ErrCredentials} {
		if _, err := a.Password(t.Context(), &auth.Attempt{Protocol: protocol}, "ann@isp.example", []byte(plain)); !errors.Is(err, want) {
			t.Errorf("%s: %v", protocol, err)
		}
	}
	o.expect(exitFailed, "", "", "app-password", "add", "ann", "--name", "my phone")
	o.expect(exitUsage, "", "", "app-password", "add", "ann")
	o.expect(exitUsage, "", "", "app-password", "add", "ann", "--name", "x", "--scope", "ftp")
	o.expect(exitNoMatch, "", "", "app-password", "add", "zoe", "--name", "x")
	o.expect(exitOK, "my phone  pop3,imap\n", "", "app-password", "list", "ann")
	o.expect(exitNoMatch, "", "", "app-password", "rm", "ann", "--name", "other")
	o.expect(exitOK, "removed", "", "app-password", "rm", "ann", "--name", "my phone")
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Password(t.Context(), &auth.Attempt{Protocol: "pop3"}, "ann@isp.example", []byte(plain)); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("taken back: %v", err)
	}
}

func TestImportVerb(t *testing.T) {
	o := newOperator(t)
	const ssha = "{SSHA}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O" // of "Hello world!"
	file := o.write("old", "ann:"+ssha+"\nbob:{PLAIN}x\nsys:*\n")
	o.expect(exitUsage, "", "", "import", file)
	o.expect(exitUsage, "", "", "import", "--format", "csv", file)
	o.expect(exitFailed, "", "", "import", "--format", "dovecot", file+"x")
	o.expect(exitPartly, "would be added 1, replaced 0, left as they are 0, without a password 1, refused 1", "", "import", "--format", "dovecot", "--dry-run", file)
	if o.user("ann@isp.example") != nil {
		t.Error("a dry run wrote")
	}
	o.expect(exitPartly, "added 1,", "", "import", "--format", "dovecot", file)
	o.expect(exitOK, "added 1, replaced 0, left as they are 1,", "", "import", "--format", "dovecot", "--allow-plain", file)
	if !o.fits("ann@isp.example", "Hello world!") || !o.fits("bob@isp.example", "x") || password.IsPlain(o.user("bob@isp.example").Hash) {
		t.Error("the passwords do not fit, or one stands in clear")
	}
	o.expect(exitOK, "added 0, replaced 1", "bob@isp.example:"+ssha, "import", "--format", "dovecot", "--replace", "-")
	if !o.fits("bob@isp.example", "Hello world!") {
		t.Error("the password was not replaced")
	}
	o.expect(exitNoMatch, "added 0", "", "import", "--format", "dovecot", "-")
}
