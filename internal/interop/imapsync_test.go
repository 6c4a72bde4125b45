//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/access/imap/imaptest"
)

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
