package app_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

const mailboxes = relayListener + `[[listener]]
address = "127.0.0.1:0"
service = "pop3"
tls = "off"
`

// fetch reads a mailbox by POP3, and removes what it has read when remove is set.
func (a *appliance) fetch(user, password string, remove bool) (texts []string) {
	a.t.Helper()
	c, err := textproto.Dial("tcp", a.Addresses()[1])
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	ok := func(format string, args ...any) string {
		a.t.Helper()
		if format != "" {
			if err := c.PrintfLine(format, args...); err != nil {
				a.t.Fatal(err)
			}
		}
		line, err := c.ReadLine()
		if err != nil || !strings.HasPrefix(line, "+OK") {
			a.t.Fatalf(format+": %q, %v", append(args, line, err)...)
		}
		return line
	}
	ok("")
	ok("USER %s", user)
	ok("PASS %s", password)
	var n int
	if _, err := fmt.Sscanf(ok("STAT"), "+OK %d", &n); err != nil {
		a.t.Fatal(err)
	}
	for i := range n {
		ok("RETR %d", i+1)
		text, err := c.ReadDotBytes()
		if err != nil {
			a.t.Fatal(err)
		}
		texts = append(texts, string(text))
		if remove {
			ok("DELE %d", i+1)
		}
	}
	ok("QUIT")
	return texts
}

// Mail for a user here goes straight into the mailbox, is there after a restart, and
// what QUIT has removed is gone after the next. Mail for others beside it goes on
// its way by the queue.
func TestMailStaysHere(t *testing.T) {
	dir := t.TempDir()
	addUser(t, dir, "alice@here.example", goodPassword)
	addUser(t, dir, "bob@here.example", goodPassword)
	text := mailboxes + "[local]\ndomains = [\"here.example\"]\n" + route("far.example", "hold")
	a := startIn(t, dir, configure(t, dir, text), nil)
	c := a.dial("127.0.0.1").hello()
	c.want("MAIL FROM:<sender@example.org>", "250 ")
	c.want("RCPT TO:<carol@here.example>", "550 5.1.1 ")
	c.want("RSET", "250 ")
	direct := c.send("Subject: first\r\n\r\nbody", "Alice@here.example", "bob+notes@here.example")
	mixed := c.send("Subject: second\r\n\r\nbody", "alice@here.example", "u@far.example")
	await(t, "the mixed message has reached the mailbox", func() bool { return a.Engine().Ledger().Ended == 3 })
	got := a.fetch("alice@here.example", goodPassword, false)
	if len(got) != 2 || !strings.HasPrefix(got[0], "Return-Path: <sender@example.org>\nDelivered-To: Alice@here.example\nReceived: ") ||
		!strings.HasSuffix(got[0], "\nSubject: first\n\nbody\n") || !strings.Contains(got[1], "\nSubject: second\n") {
		t.Errorf("alice has %q", got)
	}
	if l := a.Engine().Ledger(); l.Accepted != 4 || l.Queued != 1 || l.Imbalance() != 0 {
		t.Errorf("ledger %+v", l)
	}
	a.stop()
	if len(a.events(direct, `"ev":"delivered"`)) != 2 || len(a.events(direct, `"ev":"accepted"`)) != 1 || len(a.events(mixed, `"ev":"delivered"`)) != 1 {
		t.Errorf("life of %s and %s:\n%s", direct, mixed, strings.Join(a.events(""), ""))
	}
	a = startIn(t, dir, configure(t, dir, text), nil)
	if again := a.fetch("alice@here.example", goodPassword, true); len(again) != 2 || again[0] != got[0] || again[1] != got[1] {
		t.Errorf("after a restart alice has %q", again)
	}
	if bob := a.fetch("bob@here.example", goodPassword, false); len(bob) != 1 || !strings.Contains(bob[0], "\nDelivered-To: bob+notes@here.example\n") {
		t.Errorf("bob has %q", bob)
	}
	a.stop()
	a = startIn(t, dir, configure(t, dir, text), nil)
	if left := a.fetch("alice@here.example", goodPassword, false); len(left) != 0 {
		t.Errorf("removed messages are back: %q", left)
	}
	a.stop()
}

// A service that is encrypted from the first byte is, whatever tls says.
func TestPOP3SWithoutSTLS(t *testing.T) {
	a := start(t, relayListener+`[[listener]]
address = "127.0.0.1:0"
service = "pop3s"
tls = "off"
[local]
domains = ["here.example"]
`)
	defer a.stop()
	c, err := tls.Dial("tcp", a.Addresses()[1], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line, err := textproto.NewConn(c).ReadLine(); err != nil || !strings.HasPrefix(line, "+OK ") {
		t.Errorf("the greeting is %q, %v", line, err)
	}
}

// A mail program is told of the listeners at which a password is safe.
func TestSettingsAreTold(t *testing.T) {
	a := start(t, mailboxes+`[[listener]]
address = "127.0.0.1:0"
service = "pop3s"
[[listener]]
address = "127.0.0.1:0"
service = "submission"
tls = "required"
[local]
domains = ["here.example"]
[autoconfig]
address = "127.0.0.1:0"
`)
	r, err := http.Get("http://" + a.SettingsAddress() + "/mail/config-v1.1.xml?emailaddress=alice@here.example")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{2: "SSL", 3: "STARTTLS"} {
		_, port, _ := strings.Cut(a.Addresses()[n], ":")
		if !strings.Contains(string(page), "<port>"+port+"</port>") || !strings.Contains(string(page), want) {
			t.Errorf("port %s with %s is not in\n%s", port, want, page)
		}
	}
	if _, port, _ := strings.Cut(a.Addresses()[1], ":"); strings.Contains(string(page), port) {
		t.Errorf("a listener without TLS is told of:\n%s", page)
	}
	http.DefaultClient.CloseIdleConnections()
	a.stop()
}
