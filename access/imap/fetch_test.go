package imap_test

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/access/imap"
	"postrider/delivery/mailbox"
)

// Each message and each item is answered once, however often a command names it.
//
// Covers HI4.
func TestFetchAnswersOnce(t *testing.T) {
	h := newHouse(t)
	h.deliver("INBOX", "Subject: one\r\n\r\nabc\r\n", "Subject: two\r\n\r\nabc\r\n")
	c := login(t, h.serve()(), "INBOX")
	got := c.ok("FETCH " + strings.Repeat("1,2:1,*,", 7000) + "1 (" + strings.Repeat("BODY.PEEK[]<0.1> ", 400) + "UID)")
	if want := "* 1 FETCH (BODY[]<0> {1}|S UID 1)|* 2 FETCH (BODY[]<0> {1}|S UID 2)"; strings.Join(got, "|") != want {
		t.Errorf("%.200q", got)
	}
	if _, r := c.do("FETCH 1 (" + strings.Repeat("UID ", 15000) + "UID)"); !strings.HasPrefix(r, "OK") {
		t.Errorf("the same item many times: %s", r)
	}
	var many strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&many, "BODY.PEEK[]<%d.1> ", i)
	}
	if _, r := c.do("FETCH 1 (" + many.String() + "UID)"); !strings.HasPrefix(r, "BAD") {
		t.Errorf("too many items: %s", r)
	}
}

// What a client has the server read for a few octets each is bounded.
//
// Covers HI4.
func TestFetchWorkIsBounded(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) { o.Limits.FetchWork = 1 << 20 })
	part := "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJD", 1<<16)
	for range 8 {
		h.deliver("INBOX", part)
	}
	c := login(t, h.serve()(), "INBOX")
	got, r := c.do("FETCH 1:* (BINARY.PEEK[1]<1000.1> BINARY.SIZE[1])")
	if n := len(got) / 2; !strings.HasPrefix(r, "NO [LIMIT]") || n < 1 || n > 3 {
		t.Errorf("%d messages, %s", n, r)
	}
	// Who reads what was read for him may have all.
	if _, r = c.do("FETCH 1:* (BODY.PEEK[] BINARY.PEEK[1])"); !strings.HasPrefix(r, "OK") {
		t.Error(r)
	}
}

// A client that leaves in the midst of an answer ends it: no more than the buffers on
// the way is read for it.
//
// Covers HI4.
func TestFetchEndsWhenTheClientLeaves(t *testing.T) {
	h := newHouse(t)
	h.deliver("INBOX", "Subject: large\r\n\r\n"+strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 100_000))
	c := login(t, h.serve()(), "INBOX")
	for range 7 {
		c.ok("COPY 1:* INBOX")
	}
	c.send("x FETCH 1:* (BODY.PEEK[])\r\n")
	if _, err := io.ReadFull(c.in, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := c.nc.Close(); err != nil {
		t.Fatal(err)
	}
	e := h.await(imap.Ended)
	if all := int64(128 * 4_500_000); e.Bytes > all/4 {
		t.Errorf("%d octets were sent of %d", e.Bytes, all)
	}
}

// await returns the first event of a kind, waiting at most ten seconds.
func (h *house) await(kind imap.EventKind) imap.Event {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		h.mu.Lock()
		for _, e := range h.events {
			if e.Kind == kind {
				h.mu.Unlock()
				return e
			}
		}
		h.mu.Unlock()
	}
	h.t.Fatalf("no event %d", kind)
	return imap.Event{}
}

// A change of many messages, and the marks of many that are read, are one group of the
// log each.
func TestStoreIsOneGroup(t *testing.T) {
	var groups atomic.Int64
	store, err := mailbox.Open(mailbox.Options{
		FS: vfs.NewMem(), Dir: "store", SegmentBytes: 4 << 20, ReserveBytes: -1, CompactEvery: -1, Clock: clock,
		Metrics: &mailbox.Metrics{Group: func(int, int, time.Duration, time.Duration) { groups.Add(1) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: store}
	h.furnish()
	h.deliver("INBOX", "Subject: one\r\n\r\nabc\r\n")
	c := login(t, h.serve()(), "")
	c.ok("ENABLE IMAP4rev2") // what is recent is noted lazily, in a group that may be any
	c.ok("SELECT INBOX")
	for range 10 {
		c.ok("COPY 1:* INBOX")
	}
	c.ok("NOOP")
	for _, command := range []string{
		`STORE 1:* +FLAGS.SILENT (\Flagged Work)`, `STORE 1:500,600:* FLAGS ()`, "FETCH 1:* BODY[TEXT]", "COPY 1:* INBOX", "NOOP",
		`STORE 5:1024 +FLAGS.SILENT (\Deleted)`, "EXPUNGE", "MOVE 1:4 INBOX",
	} {
		before := groups.Load()
		c.ok(command)
		want := int64(1)
		if command == "NOOP" {
			want = 0
		}
		if n := groups.Load() - before; n != want {
			t.Errorf("%s: %d groups", command, n)
		}
	}
}
