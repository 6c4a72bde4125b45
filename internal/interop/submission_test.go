//go:build interop

package interop

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const mailPassword = "interop-pass-4e1d"

// mailHost is a relay with a user, alice@here.example, and the two listeners that
// mail programs send to.
type mailHost struct {
	*relay
	submission, submissions string
	dump                    string // where what leaves is written
}

func newMailHost(t *testing.T) *mailHost {
	t.Helper()
	sink, dump := smtpSink(t)
	h := &mailHost{dump: dump, submission: freeAddress(t), submissions: freeAddress(t)}
	h.relay = newRelay(t, t.TempDir(), "smtp:"+sink, fmt.Sprintf(`[[listener]]
address = %q
service = "submission"
[[listener]]
address = %q
service = "submissions"
[local]
domains = ["here.example"]
[users]
delay = "0s"
[log]
level = "debug"
`, h.submission, h.submissions))
	if out, err := tool(t, mailPassword+"\n", binary(t, "postrider"), "user", "add", "alice@here.example", "--password-stdin", "-c", h.config); err != nil {
		t.Fatalf("user add: %v: %s", err, out)
	}
	h.start()
	return h
}

// left returns the texts that were delivered, once there are n.
func (h *mailHost) left(n int) []string {
	h.t.Helper()
	var texts []string
	if !await(30*time.Second, func() bool { texts = dumped(h.t, h.dump); return len(texts) >= n }) {
		h.t.Fatalf("%d messages left, want %d", len(texts), n)
	}
	drained(h.t, h.relay)
	return dumped(h.t, h.dump)
}

// swaks logs in by each mechanism at both ports, and is refused where it must be.
//
// Covers R12, R24, A8.
func TestSwaksLogsIn(t *testing.T) {
	h := newMailHost(t)
	run := func(address string, args ...string) (string, error) {
		host, port, _ := net.SplitHostPort(address)
		return tool(t, "", "swaks", append([]string{"--server", host, "--port", port, "--helo", "pc.example", "--to", "bob@far.example", "--timeout", "30"}, args...)...)
	}
	good := []string{"--from", "alice@here.example", "--auth-user", "alice@here.example", "--auth-password", mailPassword}
	sent := 0
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		for address, protection := range map[string]string{h.submission: "--tls", h.submissions: "--tls-on-connect"} {
			out, err := run(address, append([]string{protection, "--auth", mechanism}, good...)...)
			if err != nil {
				t.Fatalf("%s at %s: %v: %s", mechanism, address, err, out)
			}
			sent++
		}
	}
	// By a short name, and without a Date and a Message-ID.
	out, err := run(h.submission, "--tls", "--auth", "PLAIN", "--auth-user", "alice", "--auth-password", mailPassword,
		"--from", "alice+news@here.example", "--data", "Subject: bare\nFrom: Alice <alice+news@here.example>\n\ntext\n")
	if err != nil {
		t.Fatalf("a bare text: %v: %s", err, out)
	}
	sent++
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no login":                {[]string{"--tls", "--from", "alice@here.example"}, "530 5.7.0"},
		"no login in clear":       {[]string{"--from", "alice@here.example"}, "530 5.7.0"},
		"not offered in clear":    {append([]string{"--auth", "PLAIN"}, good...), "requested type not available"},
		"a wrong password":        {[]string{"--tls", "--auth", "PLAIN", "--from", "alice@here.example", "--auth-user", "alice@here.example", "--auth-password", "wrong"}, "535 5.7.8"},
		"an unknown user":         {[]string{"--tls", "--auth", "LOGIN", "--from", "alice@here.example", "--auth-user", "bob@here.example", "--auth-password", "wrong"}, "535 5.7.8"},
		"another's reverse-path":  {[]string{"--tls", "--auth", "PLAIN", "--from", "ceo@here.example", "--auth-user", "alice@here.example", "--auth-password", mailPassword}, "553 5.7.1"},
		"another's From":          {append([]string{"--tls", "--auth", "PLAIN", "--h-From", "ceo@here.example"}, good...), "550 5.7.1"},
		"a mechanism of old days": {append([]string{"--tls", "--auth", "CRAM-MD5"}, good...), "requested type not available"},
	} {
		out, err := run(h.submission, c.args...)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v, want %q:\n%s", name, err, c.want, out)
		}
	}
	texts := h.left(sent)
	if len(texts) != sent {
		t.Errorf("%d messages left, want %d", len(texts), sent)
	}
	for _, text := range texts {
		for _, want := range []string{"\nDate: ", "\nMessage-I", "\nFrom: ", " with ESMTPSA id "} {
			if strings.Count(strings.ReplaceAll(text, "\nMessage-Id", "\nMessage-ID"), want) != 1 {
				t.Errorf("not one %q in %s", want, text)
			}
		}
	}
	h.holdsNo(mailPassword)
}

// Python's smtplib logs in with whatever the server offers and it knows.
//
// Covers R12.
func TestSmtplibLogsIn(t *testing.T) {
	h := newMailHost(t)
	script := `
import smtplib, ssl, sys
from email.message import EmailMessage
context = ssl._create_unverified_context()
def letter(sender):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = sender, "bob@far.example", "smtplib"
    m.set_content("text")
    return m
host, port = sys.argv[1].rsplit(":", 1)
with smtplib.SMTP(host, int(port), timeout=30) as s:
    try:
        s.login("alice@here.example", sys.argv[3])
        sys.exit("logged in in clear")
    except smtplib.SMTPAuthenticationError as e:
        sys.exit("asked for a password in clear: %s" % e)
    except smtplib.SMTPException:
        pass # nothing that it knows is offered
    s.starttls(context=context)
    for wrong in ("wrong", sys.argv[3] + " "):
        try:
            s.login("alice@here.example", wrong)
            sys.exit("logged in with " + wrong)
        except smtplib.SMTPAuthenticationError as e:
            assert e.smtp_code == 535, e
    s.login("alice@here.example", sys.argv[3])
    s.send_message(letter("Alice <alice@here.example>"))
    try:
        s.send_message(letter("bob@here.example"))
        sys.exit("sent as another")
    except smtplib.SMTPSenderRefused as e:
        assert e.smtp_code == 553, e
host, port = sys.argv[2].rsplit(":", 1)
for mechanism in ("auth_plain", "auth_login"):
    with smtplib.SMTP_SSL(host, int(port), timeout=30, context=context) as s:
        s.ehlo()
        s.user, s.password = "alice", sys.argv[3]
        code, _ = s.auth(mechanism[5:].upper(), getattr(s, mechanism), initial_response_ok=mechanism == "auth_plain")
        assert code == 235, code
        s.send_message(letter("alice+x@here.example"))
`
	if out, err := tool(t, script, "python3", "-", h.submission, h.submissions, mailPassword); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := len(h.left(3)); n != 3 {
		t.Errorf("%d messages left, want 3", n)
	}
	told := func() bool { // lines are written within a second
		return len(h.events(`"ev":"login"`, `"user":"alice@here.example"`)) == 3 && len(h.events(`"ev":"login_failed"`)) > 0
	}
	if !await(10*time.Second, told) {
		t.Errorf("logins:\n%s", strings.Join(h.events(`"ev":"login`), "\n"))
	}
	h.holdsNo(mailPassword)
}

// The second port is encrypted from the first octet: who speaks in clear is not heard.
//
// Covers R12.
func TestSubmissionsIsEncryptedAtOnce(t *testing.T) {
	h := newMailHost(t)
	nc, err := net.Dial("tcp", h.submissions)
	if err != nil {
		t.Fatal(err)
	}
	c := wrapSMTP(t, tls.Client(nc, &tls.Config{InsecureSkipVerify: true}))
	if got := c.ask("EHLO pc.example"); !strings.Contains(got, "AUTH ") || strings.Contains(got, "STARTTLS") {
		t.Errorf("EHLO: %q", got)
	}
	clear, err := net.Dial("tcp", h.submissions)
	if err != nil {
		t.Fatal(err)
	}
	defer clear.Close()
	if err := clear.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := clear.Write([]byte("EHLO pc.example\r\n")); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, 512)
	if n, _ := clear.Read(heard); strings.Contains(string(heard[:n]), "220") || strings.Contains(string(heard[:n]), "250") {
		t.Errorf("in clear: %q", heard[:n])
	}
}

// holdsNo looks for a password in all that the daemon wrote: as it is, and in base64
// wherever it begins.
func (h *mailHost) holdsNo(password string) {
	h.t.Helper()
	forms := []string{password}
	for pad, skip := range []int{0, 2, 3} {
		form := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:pad] + password))
		forms = append(forms, form[skip:len(form)-2])
	}
	err := filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, s := range forms {
			if strings.Contains(string(text), s) {
				h.t.Errorf("%s holds %s", path, s)
			}
		}
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}
