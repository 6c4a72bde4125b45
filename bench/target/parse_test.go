package target

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, name := range Names() {
		tg, err := Parse(name, Options{})
		if err != nil {
			// This one is in the list as a form to be filled in.
			if strings.HasPrefix(name, "external") && errors.Is(err, ErrExternal) {
				continue
			}
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tg.Name() != name {
			t.Errorf("%s calls itself %s", name, tg.Name())
		}
	}
	for _, name := range []string{
		"", "sendmail", "postfix:", "postfix:fast", "direct:isp", "gosmtp:x", "postrider:", ":", "Postfix",
		"external", "external:", "external:smtp=1",
	} {
		if tg, err := Parse(name, Options{}); err == nil {
			t.Errorf("%q: %T, want an error", name, tg)
		}
	}
}

func TestParseExternal(t *testing.T) {
	for _, c := range []struct {
		text string
		want External
	}{
		{"smtp=127.0.0.1:25", External{SMTP: "127.0.0.1:25"}},
		{"pop3=[::1]:110,imap=host:143,lmtp=h:24", External{POP3: "[::1]:110", IMAP: "host:143", LMTP: "h:24"}},
		{"pid=12,smtp=a:1,class=D2,version=KumoMTA 2026.01,name=kumo", External{SMTP: "a:1", PID: 12, Class: "D2", Version: "KumoMTA 2026.01", Name: "kumo"}},
		{"smtp=a:1,cgroup=/sys/fs/cgroup/x", External{SMTP: "a:1", Cgroup: "/sys/fs/cgroup/x"}},
	} {
		if got, err := ParseExternal(c.text); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
	for _, text := range []string{
		"", "pid=1", "smtp", "smtp=", "smtp=a", "smtp=:25", "smtp=a:0", "smtp=a:x", "smtp=a:70000", "smtp=a:1,smtp=b:1",
		"smtp=a:1,pid=0", "smtp=a:1,pid=-4", "smtp=a:1,pid=x", "smtp=a:1,pid=1,cgroup=/x", "smtp=a:1,class=D5",
		"smtp=a:1,class=2", "smtp=a:1,,", "smtp=a:1,port=3",
	} {
		if got, err := ParseExternal(text); !errors.Is(err, ErrExternal) {
			t.Errorf("%q: %+v, %v, want ErrExternal", text, got, err)
		}
	}
}

func FuzzParseExternal(f *testing.F) {
	for _, seed := range []string{"smtp=127.0.0.1:25,pid=3", "imap=[::1]:143,cgroup=/a,class=D0", "version=1.2,lmtp=x:24", "smtp=,=", ",,,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseExternal(text)
		if err != nil {
			if !errors.Is(err, ErrExternal) {
				t.Fatalf("%v", err)
			}
			return
		}
		if x.SMTP+x.LMTP+x.POP3+x.IMAP == "" || x.PID < 0 || x.PID > 0 && x.Cgroup != "" {
			t.Fatalf("%+v", x)
		}
	})
}

// A program that is not there is named together with the package that has it.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	name := "no-such-server"
	if _, err := find(name, "its-package"); !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "its-package") {
		t.Errorf("%v", err)
	}
	tg, err := Parse("postrider", Options{Postrider: filepath.Join(t.TempDir(), "postrider")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tg.Start(t.Context(), Need{Dir: t.TempDir(), NextHop: "127.0.0.1:9"}); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("%v, want ErrNotInstalled", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for name, mode := range map[string]os.FileMode{"program": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := find("program", "x"); err != nil || got != filepath.Join(dir, "program") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := find("text", "x"); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("a file that is no program: %v", err)
	}
}

func TestResolvConf(t *testing.T) {
	for _, c := range []struct{ dns, want string }{
		{"127.77.0.53", "nameserver 127.77.0.53\n"},
		{"127.77.0.53:53", "nameserver 127.77.0.53\n"},
		{"::1", "nameserver ::1\n"},
		{"127.0.0.1:5353", ""},
		{"localhost", ""},
		{"", ""},
	} {
		got, err := resolvConf(c.dns)
		if c.want == "" && err == nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %q, %v", c.dns, got, err)
		}
	}
}
