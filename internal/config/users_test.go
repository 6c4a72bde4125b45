package config_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/config"
)

const usersFile = `
version = 1
data_dir = "/data"
[[listener]]
address = ":587"
service = "submission"
tls = "required"
[[listener]]
address = ":465"
service = "submissions"
[[listener]]
address = ":110"
service = "pop3"
[[listener]]
address = ":995"
service = "pop3s"
[[listener]]
address = "127.0.0.1:143"
service = "imap"
[[listener]]
address = "127.0.0.1:993"
service = "imaps"
[submission]
check_sender = false
hide_client = true
[local]
domains = ["isp.example"]
separator = "-"
quota = "2GB"
quota_messages = 100000
over_quota = "permanent"
direct = false
[mailboxes]
segment = "16MiB"
cache = "32MiB"
reserve = "1GB"
[users]
file = "accounts"
cache = "30m"
cores = 2
delay = "500ms"
max_delay = "5s"
clear_text = "never"
[users.sql]
url_file = "sql"
query = "SELECT password FROM users WHERE name = $1"
[users.ldap]
url = "ldaps://ldap.example"
base = "ou=people,dc=isp,dc=example"
bind_dn = "cn=postrider"
bind_password_file = "ldap"
tls_ca = "ca.pem"
name_attribute = "mail"
senders_attribute = "proxyAddresses"
quota_attribute = "mailQuota"
disabled_attribute = "mailOff"
[users.oauth]
issuer = "https://id.example"
audience = "mail"
client_id = "postrider"
client_secret_file = "oauth"
[imap]
idle_timeout = "2h"
sessions_per_user = 7
append_limit = "10MB"
compress = false
special_folders = false
disabled = { "*" = ["notify"], "Bob@Example.org" = ["QRESYNC", "compress=deflate"] }
[pop3]
exclusive = false
login_delay = "1m"
expire = "30d"
[autoconfig]
address = "127.0.0.1:8080"
[limits]
login_failures_per_client = 5
login_failures_per_network = 50
login_failures_per_account = 10
login_window = "1h"
`

func TestKeysOfUsers(t *testing.T) {
	c, err := config.Parse("/etc/postrider/postrider.toml", []byte(usersFile))
	if err != nil {
		t.Fatal(err)
	}
	u, l := c.Users, c.Limits
	for what, ok := range map[string]bool{
		"services":   c.Listeners[0].Service.Submits() && c.Listeners[1].Service.ImplicitTLS() && c.Listeners[3].Service.ImplicitTLS() && !c.Listeners[2].Service.Submits(),
		"submission": c.Submission == config.Submission{HideClient: true},
		"local":      c.Local.Separator == "-" && c.Local.Quota == 2e9 && c.Local.QuotaMessages == 1e5 && c.Local.OverQuota == config.OverQuotaPermanent && !c.Local.Direct,
		"mailboxes":  c.Mailboxes == config.Mailboxes{Segment: 16 << 20, Cache: 32 << 20, Reserve: 1e9},
		"users":      u.File == "/etc/postrider/accounts" && u.Cache == 30*time.Minute && u.Cores == 2 && u.Delay == 500*time.Millisecond && u.MaxDelay == 5*time.Second && u.ClearText == config.ClearTextNever,
		"sql":        u.SQL.URLFile == "/etc/postrider/sql" && u.SQL.URL == "" && strings.HasSuffix(u.SQL.Query, "$1") && u.SQL.Connections == 4,
		"ldap": u.LDAP.URL == "ldaps://ldap.example" && u.LDAP.StartTLS && u.LDAP.TLSCA == "/etc/postrider/ca.pem" && u.LDAP.Filter == "(mail={user})" && u.LDAP.BindDN == "cn=postrider" &&
			u.LDAP.NameAttribute == "mail" && u.LDAP.SendersAttribute == "proxyAddresses" && u.LDAP.QuotaAttribute == "mailQuota" && u.LDAP.OffAttribute == "mailOff",
		"oauth": u.OAuth.Configured() && u.OAuth.UserClaim == "email" && u.OAuth.Audience == "mail",
		"imap": c.IMAP.IdleTimeout == 2*time.Hour && c.IMAP.SessionsPerUser == 7 && c.IMAP.AppendLimit == 10e6 && !c.IMAP.Compress && !c.IMAP.SpecialFolders &&
			maps.EqualFunc(c.IMAP.Disabled, map[string][]string{"*": {"NOTIFY"}, "bob@example.org": {"QRESYNC", "COMPRESS=DEFLATE"}}, slices.Equal),
		"pop3":       c.POP3 == config.POP3{LoginDelay: time.Minute, Expire: 30},
		"autoconfig": c.Autoconfig.Address == "127.0.0.1:8080",
		"limits":     l.LoginFailuresPerClient == 5 && l.LoginFailuresPerNetwork == 50 && l.LoginFailuresPerAccount == 10 && l.LoginWindow == time.Hour,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, c)
		}
	}
	d := config.Default()
	if d.Users.File != "users" || d.POP3 != (config.POP3{Exclusive: true, Expire: -1}) || !d.Submission.CheckSender || d.Submission.HideClient ||
		d.Local.Separator != "+" || !d.Local.Direct || d.Local.OverQuota != config.OverQuotaTemporary || d.Users.ClearText != config.ClearTextLoopback || d.Users.OAuth.Configured() {
		t.Errorf("defaults: %+v", d)
	}
	if c, err := config.Parse("/etc/postrider/postrider.toml", []byte("version = 1\n")); err != nil || c.Users.File != "/etc/postrider/users" {
		t.Errorf("the default file: %+v, %v", c.Users, err)
	}
}

// The secrets of databases come from files, and nothing that formats the
// configuration shows them.
//
// Covers HR5.
func TestSecretsOfUsers(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "postrider.toml")
	for name, text := range map[string]string{"postrider.toml": usersFile, "sql": "postgres://u:s3cret-1@h/d\n", "ldap": "s3cret-2\n", "oauth": "s3cret-3\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Users.SQL.URL != "postgres://u:s3cret-1@h/d" || c.Users.LDAP.BindPassword != "s3cret-2" || c.Users.OAuth.ClientSecret != "s3cret-3" {
		t.Errorf("read %q", []string{string(c.Users.SQL.URL), string(c.Users.LDAP.BindPassword), string(c.Users.OAuth.ClientSecret)})
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if strings.Contains(fmt.Sprintf(form, *c), "s3cret") {
			t.Errorf("%s shows a secret", form)
		}
	}
	if err := os.Chmod(filepath.Join(folder, "ldap"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(file); err == nil || !strings.Contains(err.Error(), "others than its owner and group") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a file that all can read: %v", err)
	}
}

// What is allowed but cannot be meant is told with its place, and the file is taken.
func TestWarnings(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "f")
	for _, m := range []struct{ text, want string }{
		{"[[listener]]\naddress = \"192.0.2.1:587\"\nservice = \"submission\"\ntls = \"off\"\n[users.sql]\nurl_file = \"u\"\nquery = \"$1\"\n", ":5:7: without TLS no password is taken"},
		{"[[listener]]\naddress = \"127.0.0.1:587\"\nservice = \"submission\"\ntls = \"off\"\n[users.sql]\nurl_file = \"u\"\nquery = \"$1\"\n", ""},
		{"[[listener]]\naddress = \"127.0.0.1:587\"\nservice = \"submission\"\ntls = \"off\"\n[users]\nclear_text = \"never\"\n[users.sql]\nurl_file = \"u\"\nquery = \"$1\"\n", ":5:7: without TLS no password is taken"},
		{"[[listener]]\naddress = \":587\"\nservice = \"submission\"\n", ":4:11: there are no users yet: " + folder + "/users does not exist; postrider user add ADDRESS"},
		{"[[listener]]\naddress = \":587\"\nservice = \"submission\"\n[users]\nfile = \"other\"\n", ":6:8: there are no users yet: " + folder + "/other does not exist"},
		{"[[listener]]\naddress = \":587\"\nservice = \"submission\"\n[users]\nfile = \"f\"\n", ""},
		{"[[listener]]\naddress = \":25\"\n", ""},
	} {
		for name, text := range map[string]string{"f": "version = 1\n" + m.text, "u": "postgres://h/d"} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := config.Load(file)
		if err != nil {
			t.Errorf("%s: %v", m.text, err)
			continue
		}
		got := c.Warnings.Error()
		if m.want == "" && got != "" || m.want != "" && !strings.HasPrefix(got, file+m.want) || len(c.Warnings) > 1 {
			t.Errorf("%s: warned %q, want %q", m.text, got, m.want)
		}
	}
}

// A listener that is looked at for a warning may be in a file that holds errors, of
// which its own address may be one.
func TestWarningsBesideErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{
		"[[listener]]\nservice = \"pop3\"\ntls = \"off\"\n",
		"hostname = 1\n[[listener]]\naddress = \"127.0.0.1:110\"\nservice = \"submission\"\ntls = \"off\"\n",
	} {
		if err := os.WriteFile(file, []byte("version = 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file); err == nil {
			t.Errorf("%s: taken", text)
		}
	}
}
