//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Python's imaplib, by STARTTLS and TLS.
const imaplibScript = `
import imaplib, ssl, sys, time
host, port, sport, user, password = sys.argv[1:]
context = ssl._create_unverified_context()
def starttls():
    m = imaplib.IMAP4(host, int(port)); m.starttls(context); return m
def tls():
    return imaplib.IMAP4_SSL(host, int(sport), ssl_context=context)
def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]
m = starttls()
assert "STARTTLS" not in m.capabilities and "AUTH=PLAIN" in m.capabilities, m.capabilities
try:
    m.login(user, "wrong"); sys.exit("logged in")
except imaplib.IMAP4.error as e:
    assert "AUTHENTICATIONFAILED" in str(e), e
ok(m.login(user, password))
ok(m.create("Python"))
assert b"Python" in b" ".join(ok(m.list('""', '"*"')))
text = b"Subject: from python\r\n\r\n" + b"x" * 990 + b"\r\n\xfc\r\n"
assert ok(m.append("Python", r"(\Seen)", imaplib.Time2Internaldate(1700000000), text))
assert int(ok(m.select("Python"))[0]) == 1
data = ok(m.fetch("1", "(UID FLAGS INTERNALDATE BODY.PEEK[])"))
assert data[0][1] == text, data
assert imaplib.Internaldate2tuple(data[0][0]) is not None, data
assert b"Seen" in b" ".join(imaplib.ParseFlags(data[0][0])), data
assert ok(m.search(None, "SUBJECT", "python")) == [b"1"]
assert ok(m.uid("SEARCH", "CHARSET", "UTF-8", "UNSEEN")) == [b""]
assert ok(m.sort("SUBJECT", "UTF-8", "ALL")) == [b"1"]
assert ok(m.thread("REFERENCES", "UTF-8", "ALL")) == [b"(1)"]
ok(m.store("1", "+FLAGS", r"(\Flagged)"))
ok(m.copy("1", "INBOX"))
ok(m.store("1", "+FLAGS", r"(\Deleted)"))
assert ok(m.expunge()) == [b"1"]
ok(m.status("INBOX", "(MESSAGES UNSEEN)"))
ok(m.rename("Python", "Snake")); ok(m.subscribe("Snake")); ok(m.unsubscribe("Snake"))
ok(m.namespace()); ok(m.getquotaroot("INBOX")); ok(m.noop()); ok(m.check())
ok(m.close())
ok(m.enable("UTF8=ACCEPT"))
ok(m.delete("Snake"))
assert m.logout()[0] == "BYE"
m = tls()
ok(m.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (user, password)).encode()))
n = int(ok(m.select("INBOX", readonly=True))[0])
for i in range(1, n + 1):
    size = int(ok(m.fetch(str(i), "(RFC822.SIZE)"))[0].split()[-1].rstrip(b")"))
    assert len(ok(m.fetch(str(i), "(BODY.PEEK[])"))[0][1]) == size
    ok(m.fetch(str(i), "(ENVELOPE BODYSTRUCTURE)"))
try:
    ok(m.store("1", "+FLAGS", r"(\Seen)")); sys.exit("stored")
except (imaplib.IMAP4.error, AssertionError):
    pass
m.logout()
`

func TestIMAPLib(t *testing.T) {
	s := newIMAPServer(t, 8, "imaplib")
	host, port, _ := net.SplitHostPort(s.imap)
	_, sport, _ := net.SplitHostPort(s.imaps)
	execute(t, t.TempDir(), []int{0}, "python3", "-c", imaplibScript, host, port, sport, "imaplib@isp.example", popPassword)
}

// curl reads, searches, lists and adds.
func TestIMAPCurl(t *testing.T) {
	const messages = 16
	s := newIMAPServer(t, messages, "curl")
	dir := t.TempDir()
	curl := func(argv ...string) string {
		return execute(t, dir, []int{0}, append([]string{"curl", "-sSk", "--ssl-reqd", "-u", "curl@isp.example:" + popPassword}, argv...)...)
	}
	var texts []string
	for i := range messages {
		way := []string{"imap://" + s.imap, "imaps://" + s.imaps}[i%2]
		options := [][]string{{}, {"--login-options", "AUTH=PLAIN"}, {"--login-options", "AUTH=LOGIN"}, {"--login-options", "AUTH=PLAIN", "--sasl-ir"}}[i/2%4]
		texts = append(texts, curl(append(options, fmt.Sprintf("%s/INBOX;UID=%d", way, i+1))...))
	}
	s.compare("curl", texts, 0, messages-1)
	head := curl(fmt.Sprintf("imaps://%s/INBOX;UID=1;SECTION=HEADER.FIELDS%%20(SUBJECT)", s.imaps))
	if head != "Subject: message 0\r\n\r\n" {
		t.Errorf("header: %q", head)
	}
	if got := curl("imaps://" + s.imaps + "/INBOX?SUBJECT%20%22message%203%22"); strings.TrimSpace(got) != "* SEARCH 4" {
		t.Errorf("search: %q", got)
	}
	if got := curl("imaps://" + s.imaps + "/"); !strings.Contains(got, `INBOX`) {
		t.Errorf("list: %q", got)
	}
	letter := filepath.Join(dir, "letter")
	text := "Subject: from curl\r\n\r\n\xff\r\n"
	if err := os.WriteFile(letter, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	curl("-T", letter, "imaps://"+s.imaps+"/Drafts")
	if texts, _ := s.texts("curl", "Drafts"); len(texts) != 1 || texts[0] != text {
		t.Errorf("uploaded: %q", texts)
	}
	curl("-X", `STORE 1 +FLAGS \Deleted`, "imaps://"+s.imaps+"/INBOX")
	curl("-X", "EXPUNGE", "imaps://"+s.imaps+"/INBOX")
	if texts, _ := s.texts("curl", "INBOX"); len(texts) != messages-1 {
		t.Errorf("after EXPUNGE: %d messages", len(texts))
	}
	execute(t, dir, []int{67}, "curl", "-sSk", "-u", "curl@isp.example:wrong", "imaps://"+s.imaps)
}

// mutt, in a terminal: it opens, flags, moves and deletes messages, and shows a new
// one while it idles.
func TestIMAPMutt(t *testing.T) {
	s := newIMAPServer(t, 6, "mutt")
	dir := t.TempDir()
	host := "localhost"
	_, port, _ := net.SplitHostPort(s.imaps)
	rc := filepath.Join(dir, "muttrc")
	text := fmt.Sprintf(`set folder = "imaps://mutt@isp.example@%[1]s:%[2]s/"
set spoolfile = "+INBOX"
set imap_user = "mutt@isp.example"
set imap_pass = "%[3]s"
set imap_idle = yes
set ssl_force_tls = yes
set certificate_file = "%[4]s"
set ssl_ca_certificates_file = "%[4]s"
set ssl_verify_host = no
set confirmappend = no
set delete = yes
set move = no
set quit = yes
set timeout = 1
set mail_check = 1
set sort = mailbox-order
set beep = no
set header_cache = "%[5]s/cache"
`, host, port, popPassword, s.pair.certificate, dir)
	if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	term := newTerminal(t, dir, "mutt", "-n", "-F", rc)
	term.shows("message 5")
	term.keys("1", "Enter", "Enter") // jump to the first and open it
	term.shows("plain")
	term.keys("i") // back
	term.keys("2", "Enter", "F")
	term.keys("3", "Enter", "s")
	term.shows("Save to mailbox")
	term.keys("C-u", "=Archive", "Enter")
	term.keys("4", "Enter", "d")
	term.keys("$") // write the changes
	term.shows("Msgs:4")
	c := s.session("mutt")
	if _, err := c.OK("SELECT INBOX"); err != nil {
		t.Fatal(err)
	}
	res, err := c.OK("FETCH 1:* (UID FLAGS)")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(&c.Selected.Messages[0], &c.Selected.Messages[1], c.Selected.UIDs()); got != `1 [\seen] 2 [\flagged] [1 2 5 6]` {
		t.Errorf("after mutt: %s, %v", got, res.Untagged)
	}
	if texts, _ := s.texts("mutt", "Archive"); len(texts) != 1 || !strings.Contains(texts[0], "Subject: message 2") {
		t.Errorf("moved: %q", texts)
	}
	s.deliver(6, "mutt")
	term.shows("message 6") // it idles
	if _, err := c.OK(`STORE 2 +FLAGS (\Answered)`); err != nil {
		t.Fatal(err)
	}
	term.keys("q")
	term.ends()
	if err := c.Logout(); err != nil {
		t.Fatal(err)
	}
}
