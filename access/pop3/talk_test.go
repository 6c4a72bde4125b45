package pop3_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// talk is a client that reads lines.
type talk struct {
	t  *testing.T
	nc net.Conn
	in *bufio.Reader
}

func newTalk(t *testing.T, nc net.Conn) *talk {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := &talk{t, nc, bufio.NewReader(nc)}
	c.want("", "+OK mx.example POP3 postrider")
	return c
}

// line reads one.
func (c *talk) line() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// want sends a command, if any, and compares the line that answers it.
func (c *talk) want(command, line string) {
	c.t.Helper()
	if command != "" {
		if _, err := io.WriteString(c.nc, command+"\r\n"); err != nil {
			c.t.Fatal(err)
		}
	}
	if got := c.line(); got != line {
		c.t.Fatalf("%q: got %q, want %q", command, got, line)
	}
}

func (c *talk) login(user, answer string) {
	c.t.Helper()
	c.want("USER "+user, "+OK Say PASS")
	c.want("PASS "+password, answer)
}

// end waits for the server to close.
func (c *talk) end() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("%q, %v", rest, err)
	}
}

// rest reads the lines of a multi-line answer.
func (c *talk) rest() (lines []string) {
	c.t.Helper()
	for {
		line := c.line()
		if line == "." {
			return lines
		}
		lines = append(lines, line)
	}
}

func (c *talk) list(command string) []string {
	c.t.Helper()
	c.want(command, "+OK")
	return c.rest()
}
