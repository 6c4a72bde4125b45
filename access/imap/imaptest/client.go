package imaptest

import (
	"bufio"
	"compress/flate"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// patience is how long a server may take to answer.
const patience = 60 * time.Second

// A ViolationError is a rule that a server has broken.
type ViolationError struct{ What string }

func (e *ViolationError) Error() string { return "protocol violation: " + e.What }

func violation(format string, args ...any) error {
	return &ViolationError{fmt.Sprintf(format, args...)}
}

// Client is a session.
type Client struct {
	Name     string
	Selected *Selected // what was told of the selected mailbox; nil: none is
	Lines    []string  // the last lines of both sides, for reports

	nc                       net.Conn
	low                      *bufio.Reader // of what comes
	in                       *bufio.Reader // of what it says: low, or what is compressed in it
	out                      *bufio.Writer
	deflate                  *flate.Writer // below out, when the session compresses
	serial                   int
	running                  string // the name of the command that runs; empty: none
	condstore, qresync, rev2 bool
	loose                    bool // mod-sequences of messages may go back
}

// Result is the answer to a command.
type Result struct {
	Response // the tagged one
	Untagged []*Response
}

// NewClient takes over a connection and reads the greeting.
func NewClient(name string, nc net.Conn) (*Client, error) {
	c := &Client{Name: name}
	c.over(nc)
	r, err := c.read()
	if err == nil && (r.Tag != "*" || r.Name != "OK") {
		err = violation("greeting %v", r)
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

// over goes on over another connection.
func (c *Client) over(nc net.Conn) {
	c.nc, c.low, c.out = nc, bufio.NewReader(nc), bufio.NewWriter(nc)
	c.in = c.low
}

// Close breaks the connection.
func (c *Client) Close() error { return c.nc.Close() }

// StartTLS goes on encrypted.
func (c *Client) StartTLS() error {
	if _, err := c.OK("STARTTLS"); err != nil {
		return err
	}
	t := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true})
	c.over(t)
	return t.Handshake()
}

// Compress goes on with compression (RFC 4978).
func (c *Client) Compress() error {
	if _, err := c.OK("COMPRESS DEFLATE"); err != nil {
		return err
	}
	w, err := flate.NewWriter(c.nc, flate.DefaultCompression)
	c.deflate, c.in, c.out = w, bufio.NewReaderSize(flate.NewReader(c.low), 1<<16), bufio.NewWriter(w)
	return err
}

// Literal is an argument that is sent as a synchronizing literal.
type Literal string

func (c *Client) note(line string) {
	if len(c.Lines) >= 60 {
		c.Lines = append(c.Lines[:0], c.Lines[20:]...)
	}
	c.Lines = append(c.Lines, line[:min(len(line), 400)])
}

func (c *Client) read() (*Response, error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	r, err := Read(c.in)
	if err != nil {
		return nil, err
	}
	c.note("S: " + r.String())
	return r, nil
}

func (c *Client) send(text string) error {
	c.note("C: " + strings.TrimSuffix(text[:min(len(text), 160)], "\r\n"))
	if err := c.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.out.WriteString(text); err != nil {
		return err
	}
	if err := c.out.Flush(); err != nil || c.deflate == nil {
		return err
	}
	return c.deflate.Flush()
}

// Do runs a command, whose parts are strings and Literals, and follows in Selected
// what the server says meanwhile. An answer of NO or BAD is no error.
func (c *Client) Do(parts ...any) (*Result, error) {
	tag, err := c.begin(parts)
	if err != nil {
		return nil, err
	}
	return c.finish(tag)
}

// OK is Do for a command that must succeed.
func (c *Client) OK(parts ...any) (*Result, error) {
	r, err := c.Do(parts...)
	if err == nil && r.Name != "OK" {
		err = fmt.Errorf("%s: %.300v: %s %v %s", c.Name, parts, r.Name, r.Code, r.Text)
	}
	return r, err
}

// begin sends a command. Of what comes before a "+" for a literal it takes note.
func (c *Client) begin(parts []any) (tag string, err error) {
	c.serial++
	tag = fmt.Sprintf("%s%d", c.Name, c.serial)
	line := tag + " "
	for _, p := range parts {
		switch p := p.(type) {
		case Literal:
			if c.running == "" {
				c.running = name(parts)
			}
			if err := c.send(fmt.Sprintf("%s{%d}\r\n", line, len(p))); err != nil {
				return tag, err
			}
			r, err := c.until("+", tag, nil)
			if err != nil {
				return tag, err
			}
			if r.Tag == tag {
				return tag, fmt.Errorf("%s: literal refused: %v", c.Name, r)
			}
			line = string(p)
		default:
			line += fmt.Sprint(p)
		}
	}
	c.running = name(parts)
	switch c.running {
	case "SELECT", "EXAMINE":
		c.Selected = &Selected{ReadOnly: c.running == "EXAMINE"}
	}
	return tag, c.send(line + "\r\n")
}

// name is that of a command, "UID FETCH" say.
func name(parts []any) string {
	words := strings.Fields(strings.ToUpper(fmt.Sprint(parts[0])))
	if len(words) > 1 && words[0] == "UID" {
		return "UID " + words[1]
	}
	return words[0]
}

// until reads up to a response with one of two tags.
func (c *Client) until(tag, other string, res *Result) (*Response, error) {
	for {
		r, err := c.read()
		if err != nil {
			return nil, err
		}
		switch {
		case r.Tag == tag || r.Tag == other:
			return r, nil
		case r.Tag != "*":
			return nil, violation("%s: tag %q while %q runs", c.Name, r.Tag, c.running)
		}
		if err := c.heard(r); err != nil {
			return nil, err
		}
		if res != nil {
			res.Untagged = append(res.Untagged, r)
		}
	}
}

func (c *Client) finish(tag string) (*Result, error) {
	res := &Result{}
	r, err := c.until(tag, tag, res)
	if err != nil {
		return nil, err
	}
	res.Response = *r
	return res, c.done(res)
}
