//go:build interop

package interop

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/access/imap/imaptest"
)

// tuid is a line that mbsync puts into what it copies.
var tuid = regexp.MustCompile(`(?m)^X-TUID: .*\n`)

// replica is a tree of Maildirs that a client keeps equal to what is on the server.
// What it holds has bare line feeds.
type replica struct {
	t   *testing.T
	dir string
}

// box returns the texts and flags ("FRS", say) of a mailbox, by text.
func (r replica) box(name string) map[string]string {
	r.t.Helper()
	texts := map[string]string{}
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(r.dir, name, sub))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(r.dir, name, sub, e.Name()))
			if err != nil {
				r.t.Fatal(err)
			}
			_, flags, _ := strings.Cut(e.Name(), ":2,")
			texts[tuid.ReplaceAllString(string(b), "")] = flags
		}
	}
	return texts
}

// file returns the path of the message with a text in it.
func (r replica) file(box, part string) string {
	r.t.Helper()
	found := ""
	err := filepath.WalkDir(filepath.Join(r.dir, box), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.Contains(path, "/cur/") && !strings.Contains(path, "/new/") {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), part) {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		r.t.Fatalf("no message with %q in %s: %v", part, box, err)
	}
	return found
}

// mark gives the message with a text in it other flags.
func (r replica) mark(box, part, flags string) {
	r.t.Helper()
	path := r.file(box, part)
	name, _, _ := strings.Cut(filepath.Base(path), ":2,")
	if err := os.Rename(path, filepath.Join(r.dir, box, "cur", name+":2,"+flags)); err != nil {
		r.t.Fatal(err)
	}
}

// add puts a message into a mailbox.
func (r replica) add(box, name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, box, "cur", name+":2,S"), []byte(strings.ReplaceAll(text, "\r\n", "\n")), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// same wants the replica of a mailbox to be what is on the server, octet for octet,
// with the flags that a Maildir has.
func (r replica) same(s *imapServer, user, box string, want int) {
	r.t.Helper()
	_, found := s.texts(user, box)
	here := r.box(box)
	if len(found) != want || len(here) != want {
		r.t.Errorf("%s: %d messages on the server, %d here, want %d", box, len(found), len(here), want)
	}
	for _, f := range found {
		flags, ok := here[tuid.ReplaceAllString(strings.ReplaceAll(f.Text, "\r\n", "\n"), "")]
		if !ok {
			r.t.Errorf("%s: message %d is not here: %.200q", box, f.UID, f.Text)
			continue
		}
		var letters []string
		for flag, letter := range map[string]string{`\draft`: "D", `\flagged`: "F", `\answered`: "R", `\seen`: "S", `\deleted`: "T"} {
			if f.Flags[flag] {
				letters = append(letters, letter)
			}
		}
		slices.Sort(letters)
		if got := strings.Join(letters, ""); got != flags {
			r.t.Errorf("%s: message %d has %q on the server, %q here", box, f.UID, got, flags)
		}
	}
}

// syncing runs a client that keeps a replica through changes on both sides. Of the
// corpus it gets all but some, with which the client itself cannot deal.
func syncing(t *testing.T, s *imapServer, user string, r replica, run func(), but ...string) {
	t.Helper()
	c := s.session(user)
	must := func(parts ...any) {
		t.Helper()
		if _, err := c.OK(parts...); err != nil {
			t.Fatal(err)
		}
	}
	must("CREATE Work")
	must("CREATE Work/below")
	corpus := slices.DeleteFunc(imapCorpus(), func(l imapLetter) bool { return slices.Contains(but, l.name) })
	for _, l := range corpus {
		must(`APPEND INBOX (\Flagged) "10-Feb-2020 10:00:00 +0000" `, imaptest.Literal(l.text))
	}
	for i := range 8 {
		must(`APPEND Work/below `, imaptest.Literal(popMessage(i)))
	}
	n := len(corpus)
	run()
	r.same(s, user, "INBOX", n)
	r.same(s, user, "Work/below", 8)

	// Changes there.
	must("SELECT INBOX")
	must(`STORE 1 -FLAGS (\Flagged)`)
	must(`STORE 2:3 +FLAGS (\Seen \Answered)`)
	must(`STORE 4:5 +FLAGS (\Deleted)`)
	must("EXPUNGE")
	must("UID COPY 6 Work")
	must("UID MOVE 7 Work")
	run()
	r.same(s, user, "INBOX", n-3)
	r.same(s, user, "Work", 2)

	// Changes here.
	r.mark("INBOX", "Subject: quoted", "FRS")
	r.add("Work", "1000000001.one.here", "From: me@isp.example\r\nSubject: new here\r\n\r\nGr\xfc\xdfe\r\n.\r\n")
	r.add("INBOX", "1000000002.two.here", popMessage(4))
	for _, part := range []string{"Subject: rfc822", "Subject: long\n"} {
		if err := os.Remove(r.file("INBOX", part)); err != nil {
			t.Fatal(err)
		}
	}
	run()
	r.same(s, user, "INBOX", n-4)
	r.same(s, user, "Work", 3)

	// Nothing more to do.
	must("NOOP")
	before := fmt.Sprint(r.box("INBOX"))
	status := statusOf(t, s, user)
	run()
	if fmt.Sprint(r.box("INBOX")) != before || statusOf(t, s, user) != status {
		t.Errorf("a run without a change changed something: %s, was %s", statusOf(t, s, user), status)
	}
	must("LOGOUT")
}

func statusOf(t *testing.T, s *imapServer, user string) string {
	t.Helper()
	c := s.session(user)
	res, err := c.OK("STATUS INBOX (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(res.Untagged, c.Logout())
}

// mbsync, over TLS and STARTTLS, with compression and without.
func TestIMAPMbsync(t *testing.T) {
	s := newIMAPServer(t, 0, "deflate", "plain")
	for i, user := range []string{"deflate", "plain"} {
		t.Run(user, func(t *testing.T) {
			dir := t.TempDir()
			r := replica{t, folder(t, dir, "mail")}
			addr, how := s.imaps, "SSLType IMAPS"
			if i == 1 {
				addr, how = s.imap, "SSLType STARTTLS\nDisableExtension COMPRESS=DEFLATE"
			}
			_, port, _ := net.SplitHostPort(addr)
			rc := filepath.Join(dir, "mbsyncrc")
			text := fmt.Sprintf(`IMAPAccount a
Host localhost
Port %s
User %s@isp.example
Pass "%s"
%s
CertificateFile %s

IMAPStore far
Account a

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
`, port, user, popPassword, how, s.pair.certificate, r.dir, r.dir)
			if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			said := ""
			syncing(t, s, user, r, func() { said += execute(t, dir, []int{0}, "mbsync", "-D", "-c", rc, "-a") },
				"nobody") // mbsync copies no message whose header does not end
			if got := strings.Contains(said, "COMPRESS DEFLATE"); got != (i == 0) {
				t.Errorf("compressed: %v", got)
			}
		})
	}
}

// OfflineIMAP.
func TestIMAPOffline(t *testing.T) {
	s := newIMAPServer(t, 0, "offline")
	dir := t.TempDir()
	r := replica{t, folder(t, dir, "mail")}
	_, port, _ := net.SplitHostPort(s.imaps)
	rc := filepath.Join(dir, "rc")
	text := fmt.Sprintf(`[general]
accounts = a
metadata = %s/state
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
sep = /
localfolders = %s
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %s
remoteuser = offline@isp.example
remotepass = %s
ssl = yes
sslcacertfile = %s
`, dir, r.dir, port, popPassword, s.pair.certificate)
	if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	syncing(t, s, "offline", r, func() { execute(t, dir, []int{0}, "offlineimap", "-c", rc, "-o", "-u", "basic") },
		// It writes what Python's email package has read, which mends some.
		"nested", "unterminated", "noparts", "noboundary", "nobody", "headless")
}
