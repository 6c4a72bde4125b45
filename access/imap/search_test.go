package imap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/access/imap"
)

// longMailbox files messages that take a while to search.
func longMailbox(h *house) {
	h.t.Helper()
	for i := range 20 {
		h.deliver("INBOX", fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("The quick brown fox\r\n", 3500)))
	}
}

// A search that takes long says so, by its tag, and how far it is.
func TestSearchInProgress(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) { o.Limits.Progress = 1 })
	longMailbox(h)
	c := login(t, h.serve()(), "INBOX")
	untagged, tagged := c.do("SEARCH BODY nowhere")
	if tagged != "OK SEARCH completed" {
		t.Fatal(tagged)
	}
	if n := len(untagged); n < 20 || untagged[n-1] != "* SEARCH" || untagged[0] != `* OK [INPROGRESS ("t3" 0 20)] Still searching` {
		t.Errorf("%d lines, %q to %q", n, untagged[0], untagged[n-1])
	}
}

// A search has its share and no more; what it should have saved is nothing then.
//
// Covers HI4.
func TestSearchTooLong(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) { o.Limits.Progress, o.Limits.Search = 1, 1 })
	longMailbox(h)
	c := login(t, h.serve()(), "INBOX")
	c.ok("SEARCH RETURN (SAVE) 1:3") // which looks at nothing for long
	for _, command := range []string{"SEARCH RETURN (SAVE) TEXT nowhere", "SORT (SUBJECT) UTF-8 BODY fox", "UID THREAD REFERENCES UTF-8 BODY fox"} {
		if _, tagged := c.do(command); tagged != "NO [LIMIT] Search takes too long, ask for less" {
			t.Errorf("%s: %s", command, tagged)
		}
	}
}

// A search ends when its client has gone, though more of them wait than could be done in
// that time.
//
// Covers HI4.
func TestSearchCancelled(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) { o.Limits.Progress = 1 })
	longMailbox(h)
	c := login(t, h.serve()(), "INBOX")
	c.send(strings.Repeat("x SEARCH BODY nowhere\r\n", 2000))
	if got := c.line(); !strings.HasPrefix(got, "* OK [INPROGRESS") {
		t.Fatal(got)
	}
	if err := c.nc.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !h.ended() {
		if ctx.Err() != nil {
			t.Fatal("the session goes on")
		}
		runtime.Gosched()
	}
}

// ended reports that a session has ended.
func (h *house) ended() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.events, func(e imap.Event) bool { return e.Kind == imap.Ended })
}

// A drain ends searches.
func TestSearchDrained(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) { o.Limits.Progress = 1 })
	longMailbox(h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := imap.NewServer("test", nil, func() *imap.Options { return h.o })
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := login(t, nc, "INBOX")
	c.send(strings.Repeat("x SEARCH BODY nowhere\r\n", 2000))
	if got := c.line(); !strings.HasPrefix(got, "* OK [INPROGRESS") {
		t.Fatal(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := errors.Join(s.Shutdown(ctx), <-served); err != nil {
		t.Error(err)
	}
	n := 0
	for line := c.line(); line != "* BYE [UNAVAILABLE] Shutting down, come back soon"; line = c.line() {
		if line == "x OK SEARCH completed" {
			n++
		}
	}
	if n == 2000 {
		t.Error("all searches were done to their end")
	}
}
