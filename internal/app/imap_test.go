package app_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"testing"
)

const imapListeners = mailboxes + `[[listener]]
address = "127.0.0.1:0"
service = "imap"
[[listener]]
address = "127.0.0.1:0"
service = "imaps"
tls = "off"
[local]
domains = ["here.example"]
[autoconfig]
address = "127.0.0.1:0"
`

// reader is a session of IMAP.
type reader struct {
	t *testing.T
	*textproto.Conn
}

// secure connects by TLS.
func (a *appliance) secure(n int) reader {
	a.t.Helper()
	c, err := tls.Dial("tcp", a.Addresses()[n], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		a.t.Fatal(err)
	}
	r := reader{a.t, textproto.NewConn(c)}
	a.t.Cleanup(func() { _ = r.Close() })
	r.until("* OK")
	return r
}

// until reads up to the line that begins so.
func (r reader) until(prefix string) (lines []string) {
	r.t.Helper()
	for {
		line, err := r.ReadLine()
		if err != nil {
			r.t.Fatalf("waiting for %q after %q: %v", prefix, lines, err)
		}
		lines = append(lines, line)
		if strings.HasPrefix(line, prefix) {
			return lines
		}
		if !strings.HasPrefix(line, "* ") {
			r.t.Fatalf("%q where %q was to come", lines, prefix)
		}
	}
}

// do sends a command, which must be done.
func (r reader) do(command string) string {
	r.t.Helper()
	if err := r.PrintfLine("a %s", command); err != nil {
		r.t.Fatal(err)
	}
	return strings.Join(r.until("a OK"), "\n")
}

// A mailbox is read by IMAP in clear turned to TLS and by TLS from the first octet,
// whatever tls says; a session that waits is told of mail; a reload takes a capability
// away from the one who is named; mail programs are told of IMAP before POP3.
func TestIMAP(t *testing.T) {
	dir := t.TempDir()
	addUser(t, dir, "alice@here.example", goodPassword)
	addUser(t, dir, "bob@here.example", goodPassword)
	config := configure(t, dir, imapListeners)
	a := startIn(t, dir, config, nil)
	defer a.stop()

	clear, err := net.Dial("tcp", a.Addresses()[2])
	if err != nil {
		t.Fatal(err)
	}
	defer clear.Close()
	start := reader{t, textproto.NewConn(clear)}
	start.until("* OK")
	start.do("STARTTLS")
	c := tls.Client(clear, &tls.Config{InsecureSkipVerify: true})
	starttls := reader{t, textproto.NewConn(c)}
	starttls.do(`LOGIN alice "` + goodPassword + `"`)
	starttls.do("SELECT INBOX")
	if err := starttls.PrintfLine("a IDLE"); err != nil {
		t.Fatal(err)
	}
	starttls.until("+ ")
	sender := a.dial("127.0.0.1").hello()
	sender.send("Subject: first\r\n\r\nbody", "alice@here.example")
	starttls.until("* 1 EXISTS")

	r := a.secure(3)
	before := r.do(`LOGIN alice@here.example "`+goodPassword+`"`) + r.do("CAPABILITY")
	if !strings.Contains(before, " QRESYNC") || !strings.Contains(before, " IDLE") {
		t.Errorf("capabilities: %s", before)
	}
	was, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text := string(was) + "[imap.disabled]\n\"Alice@here.example\" = [\"qresync\"]\n\"*\" = [\"IDLE\"]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	for user, list := range map[string][]string{"alice": {" QRESYNC", " IDLE"}, "bob": {" IDLE"}} {
		r := a.secure(3)
		r.do("LOGIN " + user + ` "` + goodPassword + `"`)
		offered := r.do("CAPABILITY")
		for _, name := range []string{" QRESYNC", " IDLE", " ENABLE"} {
			if withheld := strings.Contains(strings.Join(list, ""), name); strings.Contains(offered, name) == withheld {
				t.Errorf("%s, %s: %s", user, name, offered)
			}
		}
	}

	page := settingsPage(t, a)
	imaps, imap, pop3 := strings.Index(page, port(a, 3)), strings.Index(page, port(a, 2)), strings.Index(page, port(a, 1))
	if imaps < 0 || imap < imaps || pop3 >= 0 {
		t.Errorf("settings:\n%s", page)
	}
}

// What the operator has changed of a user's limits holds from the next login on, before
// any mail comes.
func TestLimitsOfLogin(t *testing.T) {
	dir := t.TempDir()
	addUser(t, dir, "alice@here.example", goodPassword)
	config := configure(t, dir, imapListeners)
	a := startIn(t, dir, config, nil)
	defer a.stop()
	login := func() string {
		t.Helper()
		r := a.secure(3)
		r.do(`LOGIN alice "` + goodPassword + `"`)
		return r.do("GETQUOTAROOT INBOX")
	}
	if got := login(); strings.Contains(got, "STORAGE") {
		t.Errorf("without a limit: %s", got)
	}
	was, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(was), "[local]\n", "[local]\nquota = \"1MiB\"\n", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := login(); !strings.Contains(got, "STORAGE 0 1024)") {
		t.Errorf("with a limit of 1 MiB: %s", got)
	}
}

// port is how the settings tell of a listener's port.
func port(a *appliance, n int) string {
	_, number, _ := strings.Cut(a.Addresses()[n], ":")
	return "<port>" + number + "</port>"
}

func settingsPage(t *testing.T, a *appliance) string {
	t.Helper()
	r, err := http.Get("http://" + a.SettingsAddress() + "/mail/config-v1.1.xml?emailaddress=alice@here.example")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
