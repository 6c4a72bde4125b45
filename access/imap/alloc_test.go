//go:build !race && !invariants

package imap_test

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"postrider/access/imap"
)

// allocated returns how many allocations the process makes in f.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// exchange sends a line as it is and reads so many octets.
func exchange(t *testing.T, nc net.Conn, line, answer []byte) {
	t.Helper()
	if _, err := nc.Write(line); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, answer); err != nil {
		t.Fatal(err)
	}
}

// A command that has nothing to tell allocates nothing, IDLE and its end next to nothing.
func TestAllocCommands(t *testing.T) {
	h := newHouse(t)
	h.deliver("INBOX", "Subject: x\r\n\r\n")
	nc := login(t, h.serve()(), "INBOX").nc
	for _, c := range []struct {
		line, answer string
		most         float64 // of one command
	}{
		{"a NOOP\r\n", "a OK NOOP completed\r\n", 0.1},
		{"a CHECK\r\n", "a OK CHECK completed\r\n", 0.1},
		{"a IDLE\r\nDONE\r\n", "+ idling\r\na OK IDLE completed\r\n", 8},
	} {
		line, answer := []byte(c.line), make([]byte, len(c.answer))
		const times = 500
		exchange(t, nc, line, answer)
		got := allocated(func() {
			for range times {
				exchange(t, nc, line, answer)
			}
		})
		if string(answer) != c.answer {
			t.Fatalf("%q", answer)
		}
		if each := float64(got) / times; each > c.most {
			t.Errorf("%q: %.2f allocations", c.line, each)
		}
	}
}

// An idle session that is told of other flags allocates next to nothing for it: what the
// store's change takes itself is left out by comparing one session with nine.
func TestAllocWake(t *testing.T) {
	h := newHouse(t, func(o *imap.Options) { o.Limits.Park = time.Hour }) // which takes a goroutine
	h.deliver("INBOX", "Subject: x\r\n\r\n")
	dial := h.serve()
	writer := login(t, dial(), "INBOX").nc
	var idle []net.Conn
	begin := func(n int) {
		for range n {
			c := login(t, dial(), "INBOX")
			c.send("a IDLE\r\n")
			c.line()
			idle = append(idle, c.nc)
		}
	}
	const times = 25
	seen, unseen := "* 1 FETCH (FLAGS (\\Seen))\r\n", "* 1 FETCH (FLAGS ())\r\n"
	toggle := func() {
		for range times {
			for _, c := range []struct{ line, told string }{
				{"a STORE 1 +FLAGS.SILENT (\\Seen)\r\n", seen}, {"a STORE 1 -FLAGS.SILENT (\\Seen)\r\n", unseen},
			} {
				exchange(t, writer, []byte(c.line), make([]byte, len("a OK STORE completed\r\n")))
				for _, nc := range idle {
					if _, err := io.ReadFull(nc, make([]byte, len(c.told))); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	// What else the process does counts too, so the least of a few rounds is taken.
	least := func() uint64 {
		toggle()
		return min(allocated(toggle), allocated(toggle), allocated(toggle), allocated(toggle))
	}
	begin(1)
	one := least()
	begin(8)
	nine := least()
	// The test's own reading allocates one slice each time.
	each := (float64(nine)-float64(one))/(8*2*times) - 1
	t.Logf("%.2f allocations for one that is told", each)
	if each > 2 {
		t.Errorf("%.2f allocations for one that is told", each)
	}
}
