//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// imapCounter is a client that is quicker than any server: it looks for the ends of
// lines and steps over literals, and takes nothing apart.
type imapCounter struct {
	t    *testing.T
	conn net.Conn
	tag  int
	buf  []byte
	a, b int // buf[a:b] is not used yet
}

// imapTally is what a command brought.
type imapTally struct {
	fetches  int // lines "* n FETCH"
	untagged int // lines "* ...", those included
	literals int
	bytes    int64
	took     time.Duration // to the tagged reply
	kept     []byte        // the last line but the tagged one that is no FETCH
}

// dialIMAP connects and logs in.
func dialIMAP(t *testing.T, address, user, password string) *imapCounter {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &imapCounter{t: t, conn: conn, buf: make([]byte, 64<<10)}
	if line, err := c.line(); err != nil || !bytes.HasPrefix(line, []byte("* OK")) {
		t.Fatalf("the greeting of %s is %q, %v", address, line, err)
	}
	c.do("LOGIN " + user + " " + strconv.Quote(password))
	return c
}

// do sends a command and counts until its reply, which must be OK.
func (c *imapCounter) do(command string) imapTally {
	c.t.Helper()
	return c.pipeline([]string{command})
}

// pipeline sends commands at once and counts until the reply to the last; all must
// be OK.
func (c *imapCounter) pipeline(commands []string) (total imapTally) {
	c.t.Helper()
	if err := c.conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	first := c.tag + 1
	var text bytes.Buffer
	for _, command := range commands {
		c.tag++
		fmt.Fprintf(&text, "t%d %s\r\n", c.tag, command)
	}
	began := time.Now()
	sent := make(chan error, 1)
	if text.Len() < 4<<10 {
		_, err := c.conn.Write(text.Bytes())
		sent <- err
	} else {
		go func() {
			_, err := c.conn.Write(text.Bytes())
			sent <- err
		}()
	}
	for tag := first; tag <= c.tag; tag++ {
		if err := c.reply(&total, "t"+strconv.Itoa(tag)+" "); err != nil {
			c.t.Fatalf("%.100s: %v", commands[tag-first], err)
		}
	}
	total.took = time.Since(began)
	if err := <-sent; err != nil {
		c.t.Fatal(err)
	}
	return total
}

// reply counts up to the tagged reply.
func (c *imapCounter) reply(total *imapTally, tag string) error {
	for begins := true; ; { // of a response, not of what follows a literal
		line, err := c.line()
		if err != nil {
			return err
		}
		total.bytes += int64(len(line))
		if begins && line[0] != '*' {
			if !strings.HasPrefix(string(line), tag+"OK") {
				return fmt.Errorf("answered by %q", line)
			}
			return nil
		}
		if begins {
			total.untagged++
			if isFetch(line) {
				total.fetches++
			} else {
				total.kept = append(total.kept[:0], line...)
			}
		}
		size, literal := literalSize(line)
		begins = !literal
		if literal {
			total.literals++
			total.bytes += size
			if err := c.skip(size); err != nil {
				return err
			}
		}
	}
}

// isFetch reports "* n FETCH ...".
func isFetch(line []byte) bool {
	i := 2
	for i < len(line) && line[i] >= '0' && line[i] <= '9' {
		i++
	}
	return i > 2 && len(line) > i+6 && string(line[i:i+7]) == " FETCH "
}

// literalSize returns the size of the literal that line announces.
func literalSize(line []byte) (size int64, announced bool) {
	end := len(line) - len("}\r\n")
	if end < 0 || line[end] != '}' {
		return 0, false
	}
	open := bytes.LastIndexByte(line[:end], '{')
	if open < 0 {
		return 0, false
	}
	size, err := strconv.ParseInt(string(line[open+1:end]), 10, 64)
	return size, err == nil
}

// line returns the next line with its end, valid until the next call.
func (c *imapCounter) line() ([]byte, error) {
	for looked := 0; ; {
		if i := bytes.IndexByte(c.buf[c.a+looked:c.b], '\n'); i >= 0 {
			line := c.buf[c.a : c.a+looked+i+1]
			c.a += len(line)
			return line, nil
		}
		looked = c.b - c.a
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// skip steps over a literal.
func (c *imapCounter) skip(size int64) error {
	for {
		n := int(min(int64(c.b-c.a), size))
		c.a += n
		if size -= int64(n); size == 0 {
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// fill reads more, behind what is not used yet.
func (c *imapCounter) fill() error {
	if c.a > 0 {
		copy(c.buf, c.buf[c.a:c.b])
		c.a, c.b = 0, c.b-c.a
	}
	if c.b == len(c.buf) {
		c.buf = append(c.buf, make([]byte, len(c.buf))...) // a long line, as of SEARCH
	}
	n, err := c.conn.Read(c.buf[c.b:])
	c.b += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
