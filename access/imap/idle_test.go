package imap_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/access/imap"
)

// A session in IDLE is told of mail that comes.
func TestIdle(t *testing.T) {
	h := newHouse(t)
	h.deliver("INBOX", "Subject: one\r\n\r\n")
	dial := h.serve()
	c := login(t, dial(), "INBOX")
	c.send("a IDLE\r\n")
	if got := c.line(); got != "+ idling" {
		t.Fatal(got)
	}
	h.deliver("INBOX", "Subject: two\r\n\r\n")
	for _, want := range []string{"* 2 EXISTS", "* 2 RECENT"} {
		if got := c.line(); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	c.send("DONE\r\n")
	if got := c.line(); got != "a OK IDLE completed" {
		t.Fatal(got)
	}
	if got := c.ok("NOOP"); len(got) != 0 {
		t.Fatal(got)
	}
	got := strings.Join(c.ok("CLOSE"), "\n")
	if got != "" {
		t.Fatal(got)
	}
	c.ok("LOGOUT")
}

// A session that has parked in IDLE goes on with what the client says, and with mail
// that comes, however often.
func TestIdleParked(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) { o.Limits.Park = time.Millisecond })
	dial := h.serve()
	c := login(t, dial(), "INBOX")
	for n := 0; n < 40; {
		c.send("a IDLE\r\n")
		if got := c.line(); got != "+ idling" {
			t.Fatal(got)
		}
		for range 2 {
			n++
			h.deliver("INBOX", "Subject: one\r\n\r\n")
			for _, want := range []string{fmt.Sprintf("* %d EXISTS", n), fmt.Sprintf("* %d RECENT", n)} {
				if got := c.line(); got != want {
					t.Fatalf("%q, want %q", got, want)
				}
			}
		}
		c.send("DONE\r\n")
		if got := c.line(); got != "a OK IDLE completed" {
			t.Fatal(got)
		}
	}
	c.ok("LOGOUT")
}
