//go:build !race && !invariants

package pop3_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Messages and listings of the store cost no allocation for each message, but where
// the index checks itself by the tag "invariants".
func TestNoAllocationsInTheStore(t *testing.T) {
	const messages = 500
	s := openStore(t, vfs.NewMem())
	text := newShelf(1, 4096).text.text
	for range messages {
		file(t, s, "", string(text))
	}
	dial := serveStore(t, s)
	t.Cleanup(func() { _ = s.Close() })
	nc := dial()
	t.Cleanup(func() { _ = nc.Close() })
	login(t, nc)
	buf := make([]byte, 64<<10)
	var all strings.Builder
	for i := range messages {
		fmt.Fprintf(&all, "RETR %d\r\n", i+1)
	}
	retr := []byte(all.String())
	if _, err := io.WriteString(nc, "LIST\r\nUIDL\r\n"); err != nil {
		t.Fatal(err)
	}
	var list, uidl int // octets of their answers
	for in, ends := bufio.NewReader(nc), 0; ends < 2; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			t.Fatal(err)
		}
		if ends == 0 {
			list += len(line)
		} else {
			uidl += len(line)
		}
		if string(line) == ".\r\n" {
			ends++
		}
	}
	for _, c := range []struct {
		commands []byte
		answer   int
	}{
		{retr, messages * (len("+OK 4098 octets\r\n.\r\n") + len(text))},
		{[]byte("LIST\r\n"), list},
		{[]byte("UIDL\r\n"), uidl},
	} {
		n := testing.AllocsPerRun(10, func() { exchange(t, nc, c.commands, buf, c.answer) })
		if each := n / messages; each > 0.1 {
			t.Errorf("%.4s: %v allocations for each message", c.commands, each)
		}
	}
}
