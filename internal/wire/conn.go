package wire

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// coarse is how little a deadline must move before it is worth a timer.
const coarse = time.Second

// Conn is one connection of a Server.
type Conn struct {
	base  net.Conn        // as accepted; never changes
	nc    net.Conn        // base, or TLS over it
	sock  syscall.RawConn // base's descriptor; nil: none
	raw   syscall.RawConn // sock while in clear; nil: not to be read from
	tried func(fd uintptr) bool
	srv   *Server

	remote, local netip.AddrPort
	id            uint64
	reason        Reason

	in     []byte // borrowed; nil when drained
	r, w   int    // in[r:w] is buffered
	seen   int    // in[r:r+seen] holds no line end
	bulk   bool   // a long text streams in
	filled bool   // the last read took all the room there was, so more is likely there
	probe  bool   // tryRead must not wait
	n      int    // result of tryRead
	errno  error  // result of tryRead

	out  []byte // borrowed; nil when nothing waits to be written
	werr error  // the first failed write; sticky

	readBy, writeBy time.Time // deadlines as set on base; zero: not known
	until           time.Time // deadline that the session wants for reads
	slack           time.Duration
	writeTimeout    time.Duration
	busy            bool // a drain must not interrupt
	poked           bool // the drain's wake-up was seen
	quiet           bool // the last read found nothing, in TLS neither
	woken           atomic.Bool
	parked          Parked // who goes on when there is input; nil: the session runs

	prev, next *Conn // the server's list, guarded by Server.mu
	one        [1]byte
}

func newConn(base net.Conn, s *Server) *Conn {
	c := &Conn{base: base, nc: base, srv: s, writeTimeout: time.Minute}
	c.remote, c.local = addrPort(base.RemoteAddr()), addrPort(base.LocalAddr())
	// Only kernel sockets are read by descriptor; other kinds of connection may
	// keep state of their own above it.
	switch base.(type) {
	case *net.TCPConn, *net.UnixConn:
		if raw, err := base.(syscall.Conn).SyscallConn(); err == nil {
			c.sock, c.raw = raw, raw
			c.tried = c.tryRead
		}
	}
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// ID returns the connection's number, unique in its server's process.
func (c *Conn) ID() uint64 { return c.id }

// Remote returns the peer's address; the zero value for a unix socket.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local returns our address; the zero value for a unix socket.
func (c *Conn) Local() netip.AddrPort { return c.local }

// SetReason notes why the session ends, for Options.Closed.
func (c *Conn) SetReason(r Reason) { c.reason = r }

// Reason returns what SetReason noted.
func (c *Conn) Reason() Reason { return c.reason }

// Draining reports that the server shuts down and wants the session to end.
func (c *Conn) Draining() bool { return c.srv.draining.Load() }

// Crowded reports that nine of ten connections that limit allows (0: the server's
// own limit; negative: none) are open.
func (c *Conn) Crowded(limit int) bool {
	if limit == 0 {
		limit = c.srv.fallback
	}
	return limit > 0 && 10*c.srv.census.Total() >= 9*limit
}

// SetBusy says whether a drain must let the session go on (a text is being
// received) or may end its wait.
func (c *Conn) SetBusy(busy bool) { c.busy = busy }

// SetBulk says that a long text is expected, which a larger buffer serves better.
func (c *Conn) SetBulk(bulk bool) { c.bulk = bulk }

// SetWriteTimeout sets how long one write may take. The default is a minute.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.writeTimeout = d }

// Rest writes what was gathered and gives back the buffers that hold nothing, before
// the session waits for something else than its peer. A failed write shows in Fill.
func (c *Conn) Rest() {
	ignore(c.Flush()) // it is sticky
	if c.r == c.w {
		c.release()
	}
}

// ReadBy sets the moment after which Fill gives up. Near deadlines of timeout are
// not told apart: it may be early by an eighth of timeout, a second at most.
func (c *Conn) ReadBy(t time.Time, timeout time.Duration) {
	c.until, c.slack = t, min(coarse, timeout/8)
}

// Buffered returns the input that was read and not discarded. It is valid until
// the next Fill.
func (c *Conn) Buffered() []byte { return c.in[c.r:c.w] }

// Discard drops the first n octets of Buffered.
func (c *Conn) Discard(n int) {
	c.r += n
	c.seen = max(c.seen-n, 0)
}

// Widen makes room for a command of BulkInputSize. The room is given back when the input
// is used up.
func (c *Conn) Widen() {
	if len(c.in) == BulkInputSize {
		return
	}
	wide := c.srv.pools.get(BulkInputSize)
	n, seen := copy(wide, c.Buffered()), c.seen
	c.release()
	c.in, c.w, c.seen = wide, n, seen
}

// Line takes the line at the start of Buffered and returns it without its CRLF.
// It reports false when no CRLF is there yet. A CR or LF alone ends no line. The
// line is valid until the next Fill.
func (c *Conn) Line() ([]byte, bool) {
	b := c.in[c.r:c.w]
	for {
		i := bytes.IndexByte(b[c.seen:], '\n')
		if i < 0 {
			c.seen = len(b)
			return nil, false
		}
		end := c.seen + i
		if end > 0 && b[end-1] == '\r' {
			c.r += end + 1
			c.seen = 0
			return b[: end-1 : end-1], true
		}
		c.seen = end + 1
	}
}

// StartTLS turns the connection to TLS as the server, within timeout. Input that
// was buffered in clear must never be taken for protected: it is dropped and
// ErrInjected returned (RFC 3207 section 6).
func (c *Conn) StartTLS(config *tls.Config, timeout time.Duration) error {
	if err := c.Flush(); err != nil {
		return err
	}
	if c.w > c.r {
		c.release()
		return ErrInjected
	}
	c.release()
	c.woken.Store(false) // a handshake cannot stop for it, and whoever was woken is about to look
	c.ReadBy(time.Now().Add(timeout), timeout)
	if err := c.arm(); err != nil {
		return err
	}
	if err := c.base.SetWriteDeadline(c.until); err != nil {
		return err
	}
	c.readBy, c.writeBy = time.Time{}, time.Time{}
	t := tls.Server(c.base, config)
	if err := t.Handshake(); err != nil {
		return err
	}
	c.raw, c.tried, c.nc = nil, nil, t
	return nil
}

// TLS returns the state of the TLS connection, nil in clear.
func (c *Conn) TLS() *tls.ConnectionState {
	nc := c.nc
	if z, ok := nc.(*deflated); ok {
		nc = z.Conn
	}
	if t, ok := nc.(*tls.Conn); ok {
		s := t.ConnectionState()
		return &s
	}
	return nil
}
