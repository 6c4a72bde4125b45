package smtp

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// ClientOptions say how a client presents itself.
type ClientOptions struct {
	Name     string // in EHLO: our host name or an address literal; "" is "localhost"
	LMTP     bool   // LHLO instead of EHLO, and no HELO (RFC 2033 section 4.1)
	Timeouts Timeouts
}

const (
	clientBufferBytes = 64 << 10 // a write goes out at the latest when this much waits
	clientPieceBytes  = 16 << 10 // text is stuffed in pieces, so the buffer overshoots by little
)

// Client is the sending side of one SMTP or LMTP conversation. Commands are
// appended to a buffer that Flush, or enough text, writes out; replies are read
// one by one. Which replies are due is the caller's business: it may send many
// commands ahead once the server has offered PIPELINING (RFC 2920).
//
// A client that sends far ahead must read in between: neither side reads while
// it writes, so replies that fill both socket buffers would stop it for good.
// The write deadline ends that, as a failure.
//
// A Client belongs to one goroutine; only Limit may be called from another.
type Client struct {
	conn    net.Conn // where the conversation is
	raw     net.Conn // below it, when it is encrypted; else the same
	replies ReplyReader
	out     []byte
	sent    int64 // bytes that conn took
	err     error // of the first failed write; everything after it fails too
	name    string
	lmtp    bool
	t       Timeouts

	readBy, writeBy time.Time     // deadlines as set on conn
	replyIn         time.Duration // for the reply being read; 0 once its deadline is set
	limit           atomic.Int64  // Unix nanoseconds no deadline may pass; 0: none

	// Extensions are what the server offered; set by Hello.
	Extensions Extensions
}

// NewClient returns a client on conn, which stays the caller's to close.
func NewClient(conn net.Conn, o ClientOptions) *Client {
	c := &Client{}
	c.Reset(conn, o)
	return c
}

// Reset readies c for another connection and keeps its memory.
func (c *Client) Reset(conn net.Conn, o ClientOptions) {
	auth := c.Extensions.AuthText[:0]
	c.conn, c.raw = conn, conn
	c.replies.Reset((*replySource)(c))
	c.out = c.out[:0]
	c.sent, c.err = 0, nil
	c.name, c.lmtp, c.t = o.Name, o.LMTP, o.Timeouts.withDefaults()
	if c.name == "" {
		c.name = "localhost"
	}
	c.readBy, c.writeBy = time.Time{}, time.Time{}
	c.limit.Store(0)
	c.Extensions = Extensions{AuthText: auth}
}

// Limit sets a moment that no deadline of the conversation may pass from now
// on; a later call can only bring it forward. It may be called while c is in use.
func (c *Client) Limit(t time.Time) {
	nano := t.UnixNano()
	for {
		was := c.limit.Load()
		if was != 0 && was <= nano {
			return
		}
		if c.limit.CompareAndSwap(was, nano) {
			break
		}
	}
	// An error means that the connection is closed already: nothing to limit.
	_ = c.raw.SetDeadline(t)
}

// Greeting reads the server's greeting.
func (c *Client) Greeting(a *Answer) error { return c.Read(a, c.t.Greeting) }

// ErrEarly reports bytes that the server sent before they were asked for, at a
// moment when that can't be right.
var ErrEarly = errors.New("smtp: the server spoke out of turn")

// Hello says EHLO, or HELO when the server knows no EHLO, or LHLO, and fills
// Extensions. a is the last reply; a code other than 250 means that the server
// does not want to talk.
func (c *Client) Hello(a *Answer) error {
	verb := "EHLO "
	if c.lmtp {
		verb = "LHLO "
	}
	if err := c.hello(verb, a); err != nil {
		return err
	}
	if (a.Code == 500 || a.Code == 502) && !c.lmtp {
		return c.hello("HELO ", a) // RFC 5321 section 3.2
	}
	if a.Code != 250 {
		return nil
	}
	c.Extensions = Extensions{AuthText: c.Extensions.AuthText[:0]}
	_, lines, more := bytes.Cut(a.Text, newline) // the first line is the server's name
	for more {
		var line []byte
		line, lines, more = bytes.Cut(lines, newline)
		c.Extensions.Add(line)
	}
	return nil
}

var newline = []byte{'\n'}

func (c *Client) hello(verb string, a *Answer) error {
	if c.replies.Buffered() > 0 {
		return ErrEarly
	}
	c.out = append(append(append(c.out, verb...), c.name...), '\r', '\n')
	return c.Ask(a, c.t.Hello)
}

// Ask flushes and reads one reply within timeout.
func (c *Client) Ask(a *Answer, timeout time.Duration) error {
	if err := c.Flush(); err != nil {
		return err
	}
	return c.Read(a, timeout)
}

// Read reads the next reply, which must be there within timeout. What was
// appended must be flushed first.
func (c *Client) Read(a *Answer, timeout time.Duration) error {
	c.replyIn = timeout
	return c.replies.Read(a)
}

// replySource is a Client's connection as its ReplyReader sees it. The first
// wait for a reply sets the deadline that all of the reply must keep.
type replySource Client

func (s *replySource) Read(p []byte) (int, error) {
	if s.replyIn > 0 {
		s.readBy = (*Client)(s).deadline(s.readBy, s.replyIn, s.raw.SetReadDeadline)
		s.replyIn = 0
	}
	return s.conn.Read(p)
}

// Ready reports whether a reply, or its beginning, can be read without waiting
// for the network.
func (c *Client) Ready() bool { return c.replies.Ready() }

// Buffered returns how many bytes of the server wait to be read.
func (c *Client) Buffered() int { return c.replies.Buffered() }

// WriteErr returns the error that ended the sending side, nil while it works.
func (c *Client) WriteErr() error { return c.err }

// Timeouts returns the timeouts in use.
func (c *Client) Timeouts() *Timeouts { return &c.t }

// deadline keeps a deadline about timeout from now and returns it. It leaves one
// that is within a second of that: setting a deadline costs more than a reply.
func (c *Client) deadline(is time.Time, timeout time.Duration, set func(time.Time) error) time.Time {
	now := time.Now()
	want := now.Add(timeout)
	for {
		limit := c.limit.Load()
		if limit != 0 && want.UnixNano() > limit {
			want = time.Unix(0, limit)
		}
		if off := want.Sub(is); off < time.Second && off > -time.Second && want.Sub(now) > 2*time.Second {
			return is
		}
		// An error means that the connection is closed: the next read says so.
		_ = set(want)
		is = want
		if c.limit.Load() == limit {
			return want
		}
	}
}

// Flush writes everything that waits. After an error c can't send any more.
func (c *Client) Flush() error {
	if c.err == nil && len(c.out) > 0 {
		c.err = c.write(c.out)
	}
	c.out = c.out[:0]
	return c.err
}

func (c *Client) write(p []byte) error {
	c.writeBy = c.deadline(c.writeBy, c.t.Block, c.raw.SetWriteDeadline)
	n, err := c.conn.Write(p)
	c.sent += int64(n)
	return err
}

// Sent returns how many bytes the connection has taken, for comparison with
// End. It tells, once the conversation broke, what the server can have seen.
func (c *Client) Sent() int64 { return c.sent }

// End returns the place in the outgoing stream where the next byte will go.
// It is not meaningful after an error.
func (c *Client) End() int64 { return c.sent + int64(len(c.out)) }

// Raw appends bytes as they are.
func (c *Client) Raw(p []byte) { c.out = append(c.out, p...) }

// RawString appends a string as it is.
func (c *Client) RawString(s string) { c.out = append(c.out, s...) }

// Quit says goodbye and gives the server a moment to answer, so that its last
// write meets an open socket. How it ends changes nothing.
func (c *Client) Quit(a *Answer) {
	c.Limit(time.Now().Add(c.t.Quit))
	c.out = append(c.out, "QUIT\r\n"...)
	_ = c.Ask(a, c.t.Quit)
}
