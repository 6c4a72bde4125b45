package wire

import (
	"time"

	"golang.org/x/sys/unix"
)

// Parked is a session that waits.
type Parked interface {
	// Resume goes on with the session when there is input, or when the deadline has
	// passed or a drain has begun, which the next Fill tells. It is called on a
	// goroutine of its own, and what was said of Handle holds for it.
	Resume()
}

// Park lets p wait for input at the cost of a goroutine that has just begun, rather
// than of one whose stack has grown by what the session did before. It may be called
// after a Fill that ended with ErrTimeout, and after ErrWoken too: it does nothing
// when TLS may still hold input, since the last read has brought some. When it
// returns true, Handle or Resume must return at once without touching the connection
// again. False means that Fill must be called instead.
func (c *Conn) Park(p Parked) bool {
	if c.sock == nil || c.raw == nil && !c.quiet || c.w > c.r || c.Flush() != nil || c.arm() != nil {
		return false
	}
	c.release()
	c.parked = p
	return true
}

// Wake makes the Fill that waits, or the next one, return ErrWoken, and a parked session
// go on. It may be called by any goroutine at any time, takes no lock of the server's
// and does not wait; many calls may become one ErrWoken.
func (c *Conn) Wake() {
	if !c.woken.Swap(true) {
		ignore(c.base.SetReadDeadline(time.Unix(1, 0)))
	}
}

// await waits for input and goes on with the session. Its stack is all that a parked
// session has, so nothing is called here that would need more of it.
func (s *Server) await(c *Conn) {
	ignore(c.sock.Read(readable)) // an error is met again by Fill
	s.run(c)
}

// readable reports whether there is input or an end of it. What came before the
// poller began to wait is not told by it, so it must be looked for.
func readable(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p[:], 0)
	return n != 0 || err != nil
}
