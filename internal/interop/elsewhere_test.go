//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/auth/password"
)

// mailProgram is one: it sends one letter by submission with a login, or reads
// what is in a mailbox.
const mailProgram = `
import poplib, smtplib, sys
verb, host, port, user, password = sys.argv[1:6]
if verb == "send":
    try:
        with smtplib.SMTP(host, int(port), timeout=60) as s:
            s.login(user, password)
            s.sendmail(user, sys.argv[6:], "From: %s\r\nSubject: to %s\r\n\r\nhello\r\n" % (user, sys.argv[6]))
        print("sent")
    except smtplib.SMTPAuthenticationError as e:
        print("login", e.smtp_code)
    except smtplib.SMTPSenderRefused as e:
        print("sender", e.smtp_code)
    except smtplib.SMTPRecipientsRefused as e:
        print("recipient", *[code for code, _ in e.recipients.values()])
else:
    try:
        p = poplib.POP3(host, int(port), timeout=60)
        p.user(user); p.pass_(password)
        n = p.stat()[0]
        print(n, *[line.decode() for i in range(n) for line in p.retr(i + 1)[1] if line.startswith(b"Subject: ")], sep="|")
        p.quit()
    except poplib.error_proto as e:
        print(e.args[0].decode() if isinstance(e.args[0], bytes) else e.args[0])
`

// The daemon with users in PostgreSQL and in OpenLDAP: they write to each other and
// fetch it. While a database is down its users' mail and logins wait, and nobody is
// told that somebody does not exist.
func TestUsersElsewhere(t *testing.T) {
	p, s, dir := newPostgres(t), newSlapd(t), t.TempDir()
	hash, err := password.Hash([]byte("sql's"))
	if err != nil {
		t.Fatal(err)
	}
	p.run(fmt.Sprintf("CREATE TABLE users (address text PRIMARY KEY, hash text); INSERT INTO users VALUES ('sue@example.org', '%s')", hash))
	for name, text := range map[string]string{"sql.url": p.url("owner", "owner%27s", "sslmode=disable"), "ldap.password": "reader"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	submission, pop3 := freeAddress(t), freeAddress(t)
	r := newRelay(t, dir, "hold", fmt.Sprintf(`
[[listener]]
address = %q
service = "submission"
tls = "off"
[[listener]]
address = %q
service = "pop3"
tls = "off"
[local]
domains = ["example.org"]
[users]
file = ""
delay = "0s"
[users.sql]
url_file = "sql.url"
query = "SELECT hash FROM users WHERE address = $1"
timeout = "2s"
[users.ldap]
url = "ldaps://%s"
tls_ca = %q
base = "ou=people,dc=example,dc=org"
filter = "(|(mail={user})(mailLocalAddress={user}))"
bind_dn = "cn=postrider,dc=example,dc=org"
bind_password_file = "ldap.password"
name_attribute = "mail"
senders_attribute = "mailLocalAddress"
timeout = "2s"
`, submission, pop3, s.tls, s.ca))
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	// What is for users here is not for the route of the rest.
	text = []byte(strings.Replace(string(text), "[[route]]\n", "[[route]]\ndomain = \"example.org\"\nnext_hop = \"local\"\n[[route]]\n", 1))
	if err := os.WriteFile(r.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	program := func(verb, addr, user, password string, more ...string) string {
		host, port, _ := strings.Cut(addr, ":")
		out, err := tool(t, mailProgram, "python3", append([]string{"-", verb, host, port, user, password}, more...)...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
		return strings.TrimSpace(out)
	}
	send := func(user, password string, to ...string) string {
		return program("send", submission, user, password, to...)
	}
	for _, one := range []struct{ got, want string }{
		{send("sue@example.org", "sql's", "ann@example.org"), "sent"},
		{send("ann@example.org", "ann's", "sue@example.org", "info@example.org"), "sent"},
		{send("sue@example.org", "ann's", "ann@example.org"), "login 535"},
		{send("ann@example.org", "sql's", "sue@example.org"), "login 535"},
		{send("nobody@example.org", "x", "sue@example.org"), "login 535"},
		{send("sue@example.org", "sql's", "nobody@example.org"), "recipient 550"},
		{program("fetch", pop3, "sue@example.org", "sql's"), "1|Subject: to sue@example.org"},
		{program("fetch", pop3, "ann@example.org", "ann's"), "2|Subject: to ann@example.org|Subject: to sue@example.org"},
	} {
		if one.got != one.want {
			t.Errorf("got %q, want %q", one.got, one.want)
		}
	}
	s.kill()
	p.stop()
	for _, one := range []struct{ got, want string }{
		{send("tom@example.org", "sql's", "ann@example.org"), "login 454"},
		{program("fetch", pop3, "tom@example.org", "x"), "-ERR [SYS/TEMP] Logins are not possible now"},
	} {
		if one.got != one.want {
			t.Errorf("without databases: got %q, want %q", one.got, one.want)
		}
	}
	p.start()
	s.start()
	back := func() bool { return send("sue@example.org", "sql's", "ann@example.org") == "sent" }
	if !await(time.Minute, back) {
		t.Error("the end of the trouble was not got over")
	}
	// Each server is asked again after a pause of its own.
	got := ""
	fetched := func() bool {
		got = program("fetch", pop3, "ann@example.org", "ann's")
		return strings.HasPrefix(got, "3|")
	}
	if !await(time.Minute, fetched) {
		t.Errorf("got %q", got)
	}
}
