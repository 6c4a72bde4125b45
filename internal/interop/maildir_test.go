//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// dovecotHome is the home of a user whose mail Dovecot keeps in a Maildir; its
// programs are run as that user, each for one conversation.
type dovecotHome struct {
	t    *testing.T
	dir  string
	conf string
}

// newDovecotHome makes a home, which may hold a Maildir already.
func newDovecotHome(t *testing.T, dir string) *dovecotHome {
	t.Helper()
	h := &dovecotHome{t: t, dir: dir, conf: filepath.Join(dir, "dovecot.conf")}
	const conf = `mail_location = maildir:~/Maildir
first_valid_uid = 1
stats_writer_socket_path =
log_path = /dev/stderr
ssl = no
namespace inbox {
  inbox = yes
  separator = /
}
`
	if err := os.WriteFile(h.conf, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, uid, -1)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// say runs a program of Dovecot with the lines as input and returns what it says.
func (h *dovecotHome) say(program string, lines ...string) string {
	h.t.Helper()
	cmd := exec.Command("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "doveadm", "-c", h.conf, "exec", program)
	cmd.Env = append(os.Environ(), "HOME="+h.dir, "USER=nobody")
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\r\n") + "\r\n")
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// state is what IMAP and POP3 clients of Dovecot see: everything that an import
// is to keep.
func (h *dovecotHome) state(folders ...string) string {
	h.t.Helper()
	var lines []string
	for _, f := range folders {
		lines = append(lines, fmt.Sprintf("s STATUS %q (MESSAGES UNSEEN UIDVALIDITY UIDNEXT)", f), fmt.Sprintf("e EXAMINE %q", f),
			"f UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
	}
	text := h.say("imap", append(lines, `l LSUB "" "*"`, "o LOGOUT")...)
	var kept []string
	for line := range strings.Lines(text) { // without what is of the session
		if strings.HasPrefix(line, "* STATUS") || strings.HasPrefix(line, "* LSUB") || !strings.HasPrefix(line, "* ") || strings.Contains(line, " FETCH ") {
			kept = append(kept, line)
		}
	}
	text = strings.Join(kept, "")
	text = regexp.MustCompile(`\(\d+\.\d+ \+ [^)]*\)`).ReplaceAllString(text, "")
	text = regexp.MustCompile(` ?\\Recent`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "FLAGS ( ", "FLAGS (")
	return text + h.say("pop3", "UIDL", "QUIT")
}

// same wants the same state, and shows the lines that differ.
func same(t *testing.T, before, after string) {
	t.Helper()
	b, a := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(b) {
			x = b[i]
		}
		if i < len(a) {
			y = a[i]
		}
		if x != y {
			t.Errorf("line %d was %q and is %q", i, x, y)
		}
	}
}

// sharedHome makes a folder that another user can get to.
func sharedHome(t *testing.T) string {
	t.Helper()
	dir := sharedDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A Maildir++ of Dovecot is moved in and out again: its UIDs, UIDVALIDITY, flags,
// keywords, dates, texts, subscriptions and ids of POP3 are what they were.
func TestDovecotMaildir(t *testing.T) {
	h := newDovecotHome(t, sharedHome(t))
	lines := []string{`a CREATE "Sent/B&APw-ro"`, `a SUBSCRIBE "Sent/B&APw-ro"`, "a CREATE Empty"}
	for i := range 40 {
		text := fmt.Sprintf("Subject: %d\r\nFrom: a@b.example\r\n\r\n%s\r\nFrom x\r\n.\r\n", i, strings.Repeat("x", 13*i))
		box, flags := "INBOX", []string{"", `\Seen`, `\Flagged $Label1`, `\Answered \Draft work`, `\Deleted`}[i%5]
		if i%4 == 3 {
			box = "Sent/B&APw-ro"
		}
		lines = append(lines, fmt.Sprintf("a APPEND %q (%s) \" %d-Jan-2024 10:00:00 +0100\" {%d+}", box, flags, i%9+1, len(text)), text)
	}
	lines = append(lines, "a SELECT INBOX", "a UID STORE 3,5 +FLAGS (\\Deleted)", "a UID EXPUNGE 3,5", "a UID STORE 7 +FLAGS ($Junk)", "a LOGOUT")
	h.say("imap", lines...)
	folders := []string{"INBOX", "Sent/B&APw-ro", "Empty"}
	before := h.state(folders...)
	if strings.Count(before, "FETCH (") != 38 || !strings.Contains(before, "$Junk") {
		t.Fatalf("Dovecot did not do what it was told:\n%s", before)
	}
	r := newRelay(t, t.TempDir(), "discard", "[local]\ndomains = [\"isp.example\"]\n")
	move := func(want string, args ...string) {
		t.Helper()
		if out, code := r.command(append([]string{"mbox"}, args...)...); code != 0 || !strings.Contains(out, want) {
			t.Fatalf("mbox %s: exit %d, %s", args, code, out)
		}
	}
	move("imported 38 messages", "import", "user@isp.example", h.dir+"/Maildir")
	out := sharedHome(t)
	move("exported 38 messages", "export", "user@isp.example", out+"/Maildir")
	same(t, before, newDovecotHome(t, out).state(folders...))
	r.start() // from now on the daemon is asked
	move("imported 0 messages", "import", "user@isp.example", h.dir+"/Maildir")
	again := sharedHome(t)
	move("exported 38 messages", "export", "--crlf", "user@isp.example", again+"/Maildir")
	same(t, before, newDovecotHome(t, again).state(folders...))
	move("Sent/Büro", "list", "user@isp.example")
	move("nothing found", "fsck", "--texts")
	for range 2 { // what was imported is known over restarts
		if code := r.signal(15); code != 0 {
			t.Errorf("exit %d", code)
		}
		r.start()
	}
	move("imported 0 messages", "import", "user@isp.example", h.dir+"/Maildir")
	if code := r.signal(15); code != 0 {
		t.Errorf("exit %d", code)
	}
}
