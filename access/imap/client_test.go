package imap_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// client speaks to a server in lines.
type client struct {
	t  testing.TB
	nc net.Conn
	in *bufio.Reader
	n  int
}

// dialed makes a client of a connection, and reads the greeting.
func dialed(t testing.TB, nc net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	c := &client{t: t, nc: nc, in: bufio.NewReader(nc)}
	if got := c.line(); !strings.HasPrefix(got, "* OK ") {
		t.Fatalf("greeting %q", got)
	}
	return c
}

// login returns a client that is logged in as user, with a mailbox selected when one is
// named.
func login(t testing.TB, nc net.Conn, box string) *client {
	t.Helper()
	c := dialed(t, nc)
	c.ok(`LOGIN user "` + password + `"`)
	if box != "" {
		c.ok("SELECT " + box)
	}
	return c
}

// line reads a line, without its end, waiting at most ten seconds.
func (c *client) line() string {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	s, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q, %v", s, err)
	}
	return strings.TrimSuffix(s, "\r\n")
}

// send sends text as it is.
func (c *client) send(text string) {
	c.t.Helper()
	if err := c.nc.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.WriteString(c.nc, text); err != nil {
		c.t.Fatal(err)
	}
}

// do sends a command without its tag, and returns the untagged lines and the tagged one
// without its tag.
func (c *client) do(command string) (untagged []string, tagged string) {
	c.t.Helper()
	c.n++
	tag := "t" + string(rune('0'+c.n%10))
	c.send(tag + " " + command + "\r\n")
	for {
		line := c.line()
		if rest, found := strings.CutPrefix(line, tag+" "); found {
			return untagged, rest
		}
		untagged = append(untagged, line)
	}
}

// ok is do for a command that must succeed.
func (c *client) ok(command string) []string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("%s: %s", command, tagged)
	}
	return untagged
}
