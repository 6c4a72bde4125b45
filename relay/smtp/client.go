package smtp

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"postrider/internal/mail"
)

// Timeouts bound the phases of a client's conversation; zero fields take the
// values of RFC 5321 section 4.5.3.2. Each is the whole time that one reply, or
// one block of text, may take: a peer that moves a byte now and then does not
// prolong it.
type Timeouts struct {
	Greeting time.Duration // the 220; 0: 5 min
	Hello    time.Duration // EHLO, HELO, LHLO, STARTTLS; 0: 5 min
	TLS      time.Duration // the handshake; 0: 1 min
	Auth     time.Duration // each reply of a login; 0: 2 min
	Mail     time.Duration // MAIL and RSET; 0: 5 min
	Rcpt     time.Duration // 0: 5 min
	Data     time.Duration // the 354; 0: 2 min
	Block    time.Duration // the peer to take each 64 KiB that is written; 0: 3 min
	End      time.Duration // the reply to the final dot or to BDAT; 0: 10 min
	Quit     time.Duration // the 221, which nothing depends on; 0: 2 s
}

// withDefaults fills what is zero.
func (t Timeouts) withDefaults() Timeouts {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Greeting, 5*time.Minute)
	set(&t.Hello, 5*time.Minute)
	set(&t.TLS, time.Minute)
	set(&t.Auth, 2*time.Minute)
	set(&t.Mail, 5*time.Minute)
	set(&t.Rcpt, 5*time.Minute)
	set(&t.Data, 2*time.Minute)
	set(&t.Block, 3*time.Minute)
	set(&t.End, 10*time.Minute)
	set(&t.Quit, 2*time.Second)
	return t
}

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

// Data appends DATA. The text must wait for the 354.
func (c *Client) Data() { c.out = append(c.out, "DATA\r\n"...) }

// Rset appends RSET.
func (c *Client) Rset() { c.out = append(c.out, "RSET\r\n"...) }

// Bdat appends a BDAT command (RFC 3030) whose n bytes must follow.
func (c *Client) Bdat(n int64, last bool) {
	c.out = strconv.AppendInt(append(c.out, "BDAT "...), n, 10)
	if last {
		c.out = append(c.out, " LAST"...)
	}
	c.out = append(c.out, '\r', '\n')
}

// Chunk sends a part of what a Bdat announced, as it is. p is not kept.
func (c *Client) Chunk(p []byte) error {
	if len(c.out)+len(p) <= clientBufferBytes {
		c.out = append(c.out, p...)
		return c.err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for len(p) > 0 && c.err == nil { // in blocks, so that each has its own deadline
		n := min(len(p), clientBufferBytes)
		c.err = c.write(p[:n])
		p = p[n:]
	}
	return c.err
}

// Text sends a part of a text within DATA. lineStart and the result are as in
// AppendDotted; the first part begins a line. p is not kept.
func (c *Client) Text(p []byte, lineStart bool) (bool, error) {
	for {
		n := min(len(p), clientPieceBytes)
		c.out, lineStart = AppendDotted(c.out, p[:n], lineStart)
		if p = p[n:]; len(p) == 0 {
			return lineStart, c.err
		}
		if len(c.out) >= clientBufferBytes {
			if err := c.Flush(); err != nil {
				return lineStart, err
			}
		}
	}
}

// Dot appends the end of a text within DATA, and the CRLF that its last line may
// lack.
func (c *Client) Dot(lineStart bool) {
	if !lineStart {
		c.out = append(c.out, '\r', '\n')
	}
	c.out = append(c.out, ".\r\n"...)
}

// Quit says goodbye and gives the server a moment to answer, so that its last
// write meets an open socket. How it ends changes nothing.
func (c *Client) Quit(a *Answer) {
	c.Limit(time.Now().Add(c.t.Quit))
	c.out = append(c.out, "QUIT\r\n"...)
	_ = c.Ask(a, c.t.Quit)
}

// Mail appends MAIL for an envelope whose text has size octets, with those
// parameters that the server offered. eightBit says that the text has bytes
// above 127. It reports false, and appends nothing, for a sender that can't be
// written (see AppendPath).
func (c *Client) Mail(e *mail.Envelope, size int64, eightBit bool) bool {
	x := c.Extensions.Set
	n := len(c.out)
	out, ok := AppendPath(append(c.out, "MAIL FROM:"...), e.Sender, x.Has(SMTPUTF8) && e.SMTPUTF8)
	if !ok {
		c.out = c.out[:n]
		return false
	}
	if x.Has(Size) { // RFC 1870 section 5
		out = strconv.AppendInt(append(out, " SIZE="...), size, 10)
	}
	if x.Has(EightBitMIME) && eightBit { // RFC 6152 section 3
		out = append(out, " BODY=8BITMIME"...)
	}
	if x.Has(SMTPUTF8) && e.SMTPUTF8 { // RFC 6531 section 3.4
		out = append(out, " SMTPUTF8"...)
	}
	if x.Has(DSN) { // RFC 3461 section 5.2.1
		switch e.Return {
		case mail.ReturnFull:
			out = append(out, " RET=FULL"...)
		case mail.ReturnHeaders:
			out = append(out, " RET=HDRS"...)
		case mail.ReturnUnset:
		}
		if len(e.EnvelopeID) > 0 && plainWord(e.EnvelopeID) {
			out = append(append(out, " ENVID="...), e.EnvelopeID...)
		}
	}
	c.out = append(out, '\r', '\n')
	return true
}

// Rcpt appends RCPT for one recipient of e, with the parameters that the server
// offered. It reports false, and appends nothing, for an address that can't be
// written.
func (c *Client) Rcpt(e *mail.Envelope, index int) bool {
	r := &e.Recipients[index]
	n := len(c.out)
	out, ok := AppendPath(append(c.out, "RCPT TO:"...), r.Address, c.Extensions.Set.Has(SMTPUTF8) && e.SMTPUTF8)
	if !ok {
		c.out = c.out[:n]
		return false
	}
	if c.Extensions.Set.Has(DSN) { // RFC 3461 section 5.2.1
		if r.Notify != 0 {
			out = appendNotify(append(out, " NOTIFY="...), r.Notify)
		}
		if len(r.Original) > 0 && plainWord(r.Original) {
			out = append(append(out, " ORCPT="...), r.Original...)
		}
	}
	c.out = append(out, '\r', '\n')
	return true
}

func appendNotify(dst []byte, n mail.Notify) []byte {
	if n&mail.NotifyNever != 0 { // excludes the others (RFC 3461 section 4.1)
		return append(dst, "NEVER"...)
	}
	for _, k := range [...]struct {
		bit  mail.Notify
		word string
	}{{mail.NotifySuccess, "SUCCESS,"}, {mail.NotifyFailure, "FAILURE,"}, {mail.NotifyDelay, "DELAY,"}} {
		if n&k.bit != 0 {
			dst = append(dst, k.word...)
		}
	}
	return dst[:len(dst)-1]
}

// plainWord reports whether b is printable ASCII without a space, as the values
// of parameters are.
func plainWord(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
