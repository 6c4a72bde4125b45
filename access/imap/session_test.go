package imap_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"postrider/access/imap"
	"postrider/internal/wire"
)

// has reports whether the house was told of such an event, and waits for it.
func (h *house) has(f func(e *imap.Event) bool) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		h.mu.Lock()
		for i := range h.events {
			if f(&h.events[i]) {
				h.mu.Unlock()
				return true
			}
		}
		h.mu.Unlock()
	}
	return false
}

// A user has so many sessions from an address; one that ends makes room, and so does one
// that UNAUTHENTICATE gives up.
func TestSessionsOfAUser(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) {
		o.Sessions = imap.NewSessions()
		o.Limits.SessionsPerUser = 2
	})
	dial := h.serve()
	first, second := login(t, dial(), ""), login(t, dial(), "")
	third := dialed(t, dial())
	try := `LOGIN user "` + password + `"`
	if _, got := third.do(try); !strings.HasPrefix(got, "NO [LIMIT]") {
		t.Fatal(got)
	}
	third.ok(`LOGIN other "` + password + `"`)
	third.ok("UNAUTHENTICATE")
	second.ok("UNAUTHENTICATE")
	third.ok(try)
	if _, got := second.do(try); !strings.HasPrefix(got, "NO [LIMIT]") {
		t.Fatal(got)
	}
	first.ok("LOGOUT")
	if !h.has(func(e *imap.Event) bool { return e.Kind == imap.Ended && e.Conn.Ended == wire.ReasonQuit }) {
		t.Fatal("no end of the first")
	}
	second.ok(try)
}

// A panic ends its session, which says so, and no other.
func TestPanic(t *testing.T) {
	h := newHouse(t)
	dial := h.serve()
	other := login(t, dial(), "INBOX")
	c := dialed(t, dial())
	c.send(`a LOGIN panic "` + password + "\"\r\n")
	if got := c.line(); got != "* BYE [SERVERBUG] Internal error, come back later" {
		t.Fatal(got)
	}
	if _, err := io.ReadAll(c.in); err != nil {
		t.Error(err)
	}
	if !h.has(func(e *imap.Event) bool { return e.Kind == imap.Panicked }) {
		t.Error("nobody was told")
	}
	other.ok("NOOP")
}

// A session whose mailbox another one deletes is ended, in IDLE at once.
//
// Covers HI10.
func TestMailboxDeleted(t *testing.T) {
	h := newHouse(t)
	h.deliver("work", "Subject: x\r\n\r\n")
	dial := h.serve()
	idle, busy, other := login(t, dial(), "work"), login(t, dial(), "work"), login(t, dial(), "")
	idle.send("a IDLE\r\n")
	idle.line()
	other.ok("DELETE work")
	if got := idle.line(); got != "* BYE The selected mailbox was deleted" {
		t.Error(got)
	}
	busy.send("a NOOP\r\n")
	if got := busy.line(); got != "* BYE The selected mailbox was deleted" {
		t.Error(got)
	}
}

// A client that goes away in the middle of a message, of a literal or of IDLE leaves
// nothing behind.
//
// Covers HI10.
func TestGone(t *testing.T) {
	h := newHouse(t)
	h.deliver("INBOX", "Subject: x\r\n\r\n")
	dial := h.serve()
	for _, last := range []string{"a APPEND INBOX {1000}\r\nhalf of it", "a APPEND INBOX {1000+}\r\nhalf of it", "a STATUS {5+}\r\nIN", "a IDLE\r\n", "a FETCH 1 BODY[]\r\n"} {
		c := login(t, dial(), "INBOX")
		c.send(last)
		if err := c.nc.Close(); err != nil {
			t.Error(err)
		}
	}
	ended := func() (n int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range h.events {
			if e.Kind == imap.Ended {
				n++
			}
		}
		return n
	}
	for deadline := time.Now().Add(10 * time.Second); ended() < 5 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	if n := ended(); n != 5 {
		t.Errorf("%d sessions have ended", n)
	}
	if got := h.box("INBOX").Status().Messages; got != 1 {
		t.Errorf("%d messages", got)
	}
}
