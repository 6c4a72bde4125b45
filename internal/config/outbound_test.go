package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/config"
	"postrider/internal/mail"
)

const outbound = `
version = 1
data_dir = "/data"
[outbound]
own_addresses = ["192.0.2.1", "2001:db8::1"]
replies_file = "replies.toml"
providers_file = "providers.toml"
[[source]]
name = "a"
address = "192.0.2.1"
address6 = "2001:db8::1"
hello = "Out-A.example"
[[source]]
name = "b"
pool = "bulk"
weight = 0
[[route]]
sender = "News@Example.org"
user = "@Example.org"
client = "10.0.0.0/8"
next_hop = "mx"
pool = "bulk"
fallback = "lmtp:unix:last.sock"
fallback_after = 3
[[route]]
domain = "x.example"
next_hop = "smtp:smart.example:587"
pool = "a"
username = "user"
password_file = "password"
tls = "verify"
[[route]]
sender = "<>"
next_hop = "hold"
[[tls_policy]]
domain = ".Bank.example"
level = "verify"
names = ["mx.bank.example", ".bank.example"]
[[tls_policy]]
domain = "pinned.example"
level = "fingerprint"
fingerprints = ["00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"]
[[limit]]
provider = "big"
connections = 5
connects = "1.5/s"
messages = "6000/m"
[[limit]]
source = "a"
messages = "864000/d"
messages_per_connection = 20
recipients_per_transaction = 10
[aliases]
file = "aliases"
[srs]
domain = "SRS.example"
secret_file = "srs"
[bounce]
templates = "texts"
`

func TestOutboundKeys(t *testing.T) {
	c, err := config.Parse("/etc/postrider/postrider.toml", []byte(outbound))
	if err != nil {
		t.Fatal(err)
	}
	first, second := c.Routes[0], c.Routes[1]
	for what, ok := range map[string]bool{
		"own addresses":      len(c.Outbound.OwnAddresses) == 2 && c.Outbound.OwnAddresses[1] == netip.MustParseAddr("2001:db8::1"),
		"outbound files":     c.Outbound.RepliesFile == "/etc/postrider/replies.toml" && c.Outbound.ProvidersFile == "/etc/postrider/providers.toml",
		"outbound defaults":  c.Outbound.TotalConnections == 1000 && c.Outbound.MessagesPerConnection == 1000 && c.Outbound.Connections == 20,
		"source a":           c.Sources[0] == config.Source{Name: "a", Pool: "default", Address: netip.MustParseAddr("192.0.2.1"), Address6: netip.MustParseAddr("2001:db8::1"), Hello: "out-a.example", Weight: 1},
		"source b":           c.Sources[1] == config.Source{Name: "b", Pool: "bulk"},
		"conditions":         first.Domain == "*" && first.Sender == "news@example.org" && first.User == "@example.org" && first.Client == netip.MustParsePrefix("10.0.0.0/8"),
		"fallback":           first.Fallback == mail.Hop{Kind: mail.HopLMTP, Network: "unix", Address: "/data/last.sock"} && first.FallbackAfter == 3 && first.Pool == "bulk",
		"login":              second.Username == "user" && second.PasswordFile == "/etc/postrider/password" && second.Password == "" && second.TLSLevel() == mail.TLSVerify,
		"fallback_after":     second.Fallback.Kind == mail.HopNone && second.FallbackAfter == 5,
		"null sender":        c.Routes[2].Sender == "<>" && c.Routes[2].Domain == "*",
		"policy":             c.Policies[0].Domain == ".bank.example" && c.Policies[0].Level == mail.TLSVerify && c.Policies[0].Names[1] == ".bank.example",
		"fingerprint":        c.Policies[1].Fingerprints[0][1] == 0x11 && c.Policies[1].Fingerprints[0][31] == 0xff,
		"caps":               c.Caps[0] == config.Cap{Provider: "big", Connections: 5, ConnectsPerSecond: 1.5, MessagesPerSecond: 100},
		"caps of the source": c.Caps[1] == config.Cap{Source: "a", MessagesPerSecond: 10, MessagesPerConnection: 20, RecipientsPerTransaction: 10},
		"aliases":            c.Aliases.File == "/etc/postrider/aliases",
		"srs":                c.SRS.Domain == "srs.example" && c.SRS.SecretFile == "/etc/postrider/srs" && c.SRS.MaxAge == 21*24*time.Hour && c.SRS.HashLength == 6,
		"bounce":             c.Bounce.Templates == "/etc/postrider/texts" && c.Bounce.PerVictim == 50,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, c)
		}
	}
}

// Secrets come from files that strangers cannot read, and are never shown: not by
// what formats the configuration, and not by what says that a file is no good.
func TestSecrets(t *testing.T) {
	const password, signing, older = "the password!", "a signing secret", "an older secret "
	folder := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("postrider.toml", outbound, 0o644)
	load := func() (*config.Config, error) { return config.Load(filepath.Join(folder, "postrider.toml")) }

	write("password", password+"\r\nanother line\n", 0o640)
	write("srs", "\n"+signing+"\n"+older+"\n", 0o600)
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Routes[1].Password) != password || len(c.SRS.Secrets) != 2 || string(c.SRS.Secrets[0]) != signing || string(c.SRS.Secrets[1]) != older {
		t.Errorf("read %q and %q", string(c.Routes[1].Password), c.SRS.Secrets)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(form, *c); strings.Contains(text, password) || strings.Contains(text, signing) {
			t.Errorf("%s shows a secret", form)
		}
	}
	for _, m := range []struct {
		name, text string
		mode       os.FileMode
		place      string
		want       string
	}{
		{"password", password, 0o644, ":30:17: ", "others than its owner and group"},
		{"password", password, 0o602, ":30:17: ", "others than its owner and group"},
		{"password", "\n" + password, 0o600, ":30:17: ", "first line of the password file is empty"},
		{"password", password + "\x00", 0o600, ":30:17: ", "not a text file"},
		{"srs", signing[:15] + "\n", 0o600, ":57:15: ", "line 1 has less than 16 characters"},
		{"srs", "\n\n", 0o600, ":57:15: ", "no secret is in the file"},
		{"srs", strings.Repeat(signing, 5000), 0o600, ":57:15: ", "larger than 64KiB"},
	} {
		write("password", password, 0o600)
		write("srs", signing, 0o600)
		write(m.name, m.text, m.mode)
		_, err := load()
		if err == nil || !strings.Contains(err.Error(), m.place) || !strings.Contains(err.Error(), m.want) || strings.Contains(err.Error(), "sword!") || strings.Contains(err.Error(), "signing") {
			t.Errorf("%s with mode %o: %v; want %s%s", m.name, m.mode, err, m.place, m.want)
		}
	}
	// Both files are told of at once.
	write("password", password, 0o604)
	if err := os.Remove(filepath.Join(folder, "srs")); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "chmod 600 ") {
		t.Errorf("both: %v", err)
	}
	if err := os.Mkdir(filepath.Join(folder, "srs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestRates(t *testing.T) {
	for s, want := range map[string]float64{"": 0, "10/s": 10, "600/m": 10, "1/h": 1. / 3600, "0.5/s": .5, "86400/d": 1} {
		if got, err := config.ParseRate(s); err != nil || got < want*(1-1e-9) || got > want*(1+1e-9) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"10", "/s", "10/", "-1/s", "1e3/s", "0/s", "10/ms", "10/w", "inf/s", "NaN/s", "9999999/s", "1/s ", "1..0/s", "0x1/s"} {
		if got, err := config.ParseRate(s); err == nil {
			t.Errorf("%q is taken: %v", s, got)
		}
	}
}
