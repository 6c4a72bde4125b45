package config_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/config"
	"postrider/internal/mail"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// golden compares got with a file, or writes it with -rewrite.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

// Every mistake of a file is reported, with its place and with what was meant.
//
// Covers N1.
func TestErrorsAreToldAllAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.Parse(filepath.Base(file), text)
			var errs config.Errors
			if c != nil || !errors.As(err, &errs) {
				t.Fatalf("taken: %v", err)
			}
			golden(t, strings.TrimSuffix(file, ".toml")+".golden", errs.Detail())
		})
	}
}

const contract = `
version  = 1
hostname = "mx1.isp.example"          # default: the system's name
data_dir = "postrider-data"

[[listener]]
address = "127.0.0.1:2525"            # or unix:PATH
service = "relay"
tls     = "optional"
[[listener]]
address = "unix:lmtp.sock"
service = "lmtp"
tls     = "off"

[tls]
certificate = "cert.pem"
key         = "/etc/key.pem"

[relay]
networks         = ["127.0.0.0/8", "::1/128"]
domains          = []
max_message_size = "50MB"

[local]
domains = ["isp.example"]
postmaster = ""
[users]
file = "users"

[queue]
lifetime  = "5d"
retry_min = "5m"
warn_after = "4h"

[dns]
servers = ["127.0.0.1:53"]

[outbound]
port = 25
allow_private_targets = ["127.0.0.0/8"]

[[route]]
domain = "HERE.example"
next_hop = "lmtp:unix:local.sock"
[[route]]
domain   = "*"
next_hop = "smtp:127.0.0.1:2526"
username = ""
password_file = ""

[limits]
connections_per_client = 50
connections = 0

[admin]
socket = "admin.sock"
http   = ""

[log]
events = "events.jsonl"
level  = "info"
`

func TestTheContractsFile(t *testing.T) {
	c, err := config.Parse("/etc/postrider/postrider.toml", []byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"data_dir":       c.DataDir == "/etc/postrider/postrider-data",
		"certificate":    c.TLS.Certificate == "/etc/postrider/cert.pem" && c.TLS.Key == "/etc/key.pem",
		"users":          c.Users.File == "/etc/postrider/users",
		"socket":         c.Admin.Socket == "/etc/postrider/postrider-data/admin.sock",
		"events":         c.Log.Events == "/etc/postrider/postrider-data/events.jsonl",
		"listener":       c.Listeners[0].Network == "tcp" && c.Listeners[0].Host == "127.0.0.1:2525",
		"unix listener":  c.Listeners[1].Network == "unix" && c.Listeners[1].Host == "/etc/postrider/postrider-data/lmtp.sock",
		"route":          c.Routes[0].Domain == "here.example" && c.Routes[0].Hop.Address == "/etc/postrider/postrider-data/local.sock",
		"next_hop":       c.Routes[1].Hop == mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "127.0.0.1:2526"},
		"queue":          c.Queue.Lifetime == 5*24*time.Hour && c.Queue.RetryMin == 5*time.Minute && c.Queue.WarnAfter == 4*time.Hour,
		"size":           c.Relay.MaxMessageSize == 50_000_000,
		"private target": len(c.Outbound.AllowPrivateTargets) == 1,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, c)
		}
	}
}

// What the contract calls the defaults is what no file gives.
func TestDefaults(t *testing.T) {
	empty, err := config.Parse("postrider.toml", []byte("version = 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := config.Default()
	for _, c := range []*config.Config{empty, d} {
		if len(c.Listeners) != 1 || c.Listeners[0].Host != "127.0.0.1:2525" || c.Listeners[0].Service != config.ServiceRelay ||
			c.DataDir != "postrider-data" || c.Hostname == "" || c.Log.Events != "postrider-data/events.jsonl" ||
			len(c.Relay.Networks) != 2 || !c.Relay.Networks[0].Addr().IsLoopback() || !c.Relay.Networks[1].Addr().IsLoopback() {
			t.Errorf("defaults: %+v", c)
		}
	}
}

// A file that is given says its version. One that is read while it is written in
// place is often empty yet, and must not stand for the defaults.
//
// Covers N1.
func TestAFileSaysItsVersion(t *testing.T) {
	for text, place := range map[string]string{
		"":                                  "f:1:1: ",
		"\n":                                "f:1:1: ",
		"# version = 1\n":                   "f:1:1: ",
		"hostname = \"mx.example\"\n":       "f:1:1: ",
		"[log]\nversion = 1\n":              "f:1:1: ",
		"version = 1":                       "",
		"hostname = \"a.b\"\nversion = 1\n": "",
	} {
		_, err := config.Parse("f", []byte(text))
		if place == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), place) || !strings.Contains(err.Error(), "; write version = 1 ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A socket's path that is too long for the kernel once it is resolved is told with
// its place, or where what made it long stands. One byte less is taken.
//
// Covers N1.
func TestASocketsPathIsTooLong(t *testing.T) {
	folder := "/" + strings.Repeat("d", 107-len("//admin.sock"))
	hop := "[[route]]\ndomain = \"*\"\nnext_hop = \"lmtp:unix:%s\"\n"
	for _, m := range []struct{ file, text, place string }{
		{"/f", "data_dir = \"" + folder + "\"\n", ""},
		{"/f", "data_dir = \"" + folder + "d\"\n", "/f:2:12: "},
		{folder + "/x/f", "", folder + "/x/f: "},
		{folder + "/x/f", "[admin]\nsocket = \"/run/admin.sock\"\n", ""},
		{folder + "/x/f", "[admin]\nsocket = \"\"\n", ""},
		{"/f", "[admin]\nsocket = \"" + folder + "/admin.sock\"\n", ""},
		{"/f", "[admin]\nsocket = \"" + folder + "/admin.sock2\"\n", "/f:3:10: "},
		{"/f", "data_dir = \"/d\"\n[[listener]]\naddress = \"unix:" + strings.Repeat("x", 105) + "\"\n", "/f:4:11: "},
		{"/f", "data_dir = \"/d\"\n[[listener]]\naddress = \"unix:" + strings.Repeat("x", 104) + "\"\n", ""},
		{"/f", "data_dir = \"/d\"\n" + fmt.Sprintf(hop, strings.Repeat("x", 105)), "/f:5:12: "},
		{"/f", "data_dir = \"/d\"\n" + fmt.Sprintf(hop, strings.Repeat("x", 104)), ""},
	} {
		_, err := config.Parse(m.file, []byte("version = 1\n"+m.text))
		if m.place == "" {
			if err != nil {
				t.Errorf("%s: %s: %v", m.file, m.text, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), m.place) ||
			!strings.Contains(err.Error(), " bytes, at most 107 ") || !strings.Contains(err.Error(), "; write a shorter ") {
			t.Errorf("%s: %s: %v", m.file, m.text, err)
		}
	}
}

// Covers A1, HO1.
func TestAnOpenRelayIsRefused(t *testing.T) {
	for networks, open := range map[string]bool{
		`"0.0.0.0/0"`:                true,
		`"::/0"`:                     true,
		`"0.0.0.0/1", "128.0.0.0/1"`: true,
		`"1.0.0.0/8", "2.0.0.0/8"`:   true,
		`"8.0.0.0/7"`:                true,
		`"2000::/3"`:                 true,
		`"2000::/16", "2001::/16"`:   true,
		`"126.0.0.0/7"`:              true,
		`"9.0.0.0/8", "9.1.0.0/16"`:  false,
		`"9.0.0.0/8"`:                false,
		`"2001:db8::/32"`:            false,
		`"10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12", "fc00::/7", "100.64.0.0/10"`: false,
		`"198.51.100.7", "2001:db8::1"`: false,
		``:                              false,
	} {
		_, err := config.Parse("f", []byte("version = 1\n[relay]\nnetworks = ["+networks+"]\n"))
		if refused := err != nil && strings.Contains(err.Error(), "open relay"); refused != open || !open && err != nil {
			t.Errorf("%s: %v", networks, err)
		}
	}
	for _, domain := range []string{"*", ".", ".example", "*.example", ""} {
		if _, err := config.Parse("f", []byte("version = 1\nrelay.domains = [\""+domain+"\"]\n")); err == nil {
			t.Errorf("relay.domains = %q is taken", domain)
		}
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := config.Find(); got == config.FolderFile {
		t.Errorf("found %q in an empty folder", got)
	}
	if err := os.WriteFile(config.FolderFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := config.Find(); got != config.FolderFile {
		t.Errorf("found %q", got)
	}
	var errs config.Errors
	if _, err := config.Load("none.toml"); !errors.As(err, &errs) || errs[0].Line != 0 {
		t.Errorf("a missing file: %v", err)
	}
}

func TestValuesRoundTrip(t *testing.T) {
	for _, s := range []string{"0", "5m", "4h", "5d", "90s", "36h", "250ms"} {
		d, err := config.ParseDuration(s)
		if err != nil || config.FormatDuration(d) != s {
			t.Errorf("%s: %v %v", s, config.FormatDuration(d), err)
		}
	}
	for _, s := range []string{"", "5", "m", "5x", "-5m", "1e3s", "5m ", "99999d", "1..5s"} {
		if _, err := config.ParseDuration(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
	for s, want := range map[string]int64{"50MB": 50e6, "256KiB": 256 << 10, "1.5GiB": 3 << 29, "7": 7, "7B": 7, "1tb": 1e12} {
		if n, err := config.ParseSize(s); err != nil || n != want {
			t.Errorf("%s: %d %v", s, n, err)
		}
	}
	for _, s := range []string{"", "MB", "-1", "1XB", "1e9", "9999999TB", "1 MB"} {
		if _, err := config.ParseSize(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
	for _, s := range []string{"mx", "local", "hold", "discard", "reject", "smtp:h.example:25", "smtp:[::1]:25", "lmtp:127.0.0.1:24", "lmtp:unix:/run/x"} {
		if h, err := config.ParseHop(s); err != nil || h.String() != s {
			t.Errorf("%s: %v %v", s, h, err)
		}
	}
}

// The reference page is written from the table that the parser uses.
func TestDocumentation(t *testing.T) {
	golden(t, "../../docs/configuration.md", config.Document())
}

// Whatever a file holds, the answer is a configuration or errors with places in
// it, each on one line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(contract))
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("f.toml", text)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v with error %v", c, err)
		}
		if err == nil {
			if c.Hostname == "" || c.DataDir == "" || c.Queue.Lifetime <= 0 || c.Relay.MaxMessageSize <= 0 {
				t.Fatalf("taken: %+v", c)
			}
			return
		}
		var errs config.Errors
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		lines := strings.Count(string(text), "\n") + 1
		for _, e := range errs {
			if e.Line < 0 || e.Line > lines || e.Message == "" || strings.ContainsAny(e.Error(), "\n\r\x1b") {
				t.Fatalf("%#v", e)
			}
			if n := strings.Count(e.Detail(), "\n"); n != 1 && n != 3 {
				t.Fatalf("detail of %d lines: %q", n, e.Detail())
			}
		}
	})
}
