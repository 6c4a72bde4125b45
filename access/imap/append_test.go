package imap_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/access/imap"
)

// A client that leaves in the middle of a message leaves nothing, however far it had
// come and whatever the form of the command; what was to be added in the same step goes
// with it, and files too.
//
// Covers HI10.
func TestAppendCutShort(t *testing.T) {
	fs := vfs.NewMem()
	m := &imap.Metrics{}
	h := newHouseOn(t, fs, func(o *imap.Options) { o.Metrics = m })
	dial := h.serve()
	h.deliver("INBOX", "Subject: kept\r\n\r\n")
	account := h.box("INBOX").Account()
	before := account.Quota()
	large := strings.Repeat("x", 300<<10) // becomes a file of its own
	for _, start := range []string{
		"a APPEND INBOX {100+}\r\nSubject",
		"a APPEND INBOX {500000+}\r\n" + large,
		"a APPEND INBOX {10+}\r\nSubject: a {10+}\r\nSub",
		"a APPEND INBOX {300000+}\r\n" + large[:300_000] + " {10+}\r\nSub",
		"a APPEND INBOX {10+}\r\nSubject: a",
		"a APPEND INBOX CATENATE (URL \"/INBOX/;UID=1\" TEXT {10+}\r\nSub",
		"a APPEND INBOX CATENATE (TEXT {10+}\r\nSubject: a URL {20+}\r\n/INB",
		"a UID REPLACE 1 INBOX {10+}\r\nSubj",
	} {
		c := login(t, dial(), "INBOX")
		c.send(start)
		if err := c.nc.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); m.Connections.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("sessions go on")
		}
	}
	c := login(t, dial(), "")
	if got := c.ok("STATUS INBOX (MESSAGES UIDNEXT)"); got[0] != "* STATUS INBOX (MESSAGES 1 UIDNEXT 2)" {
		t.Errorf("status %v", got)
	}
	if q := account.Quota(); q != before {
		t.Errorf("quota %+v, was %+v", q, before)
	}
	if files, err := fs.List("store/large"); err != nil || len(files) > 0 {
		t.Errorf("files %q are left, %v", files, err)
	}
}

// A message larger than any buffer arrives as it was sent, and is not held in memory
// while it does.
func TestAppendLarge(t *testing.T) {
	h := newHouse(t)
	c := login(t, h.serve()(), "INBOX")
	text := "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 100_000)
	c.send("a APPEND INBOX {1800018+}\r\n" + text + "\r\n")
	for c.line() != "* 1 EXISTS" {
	}
	if got := c.ok("STATUS INBOX (SIZE)"); got[len(got)-1] != "* STATUS INBOX (SIZE 1800018)" {
		t.Errorf("status %q", got)
	}
}
