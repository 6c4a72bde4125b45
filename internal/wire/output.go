package wire

import (
	"time"
)

// Room returns an empty slice with room for at least n octets (at most 4 KiB) to
// append output to; Add takes what was appended. Output that no longer fits is
// written first.
func (c *Conn) Room(n int) []byte {
	if c.out == nil {
		c.out = c.srv.pools.get(outputSize)[:0]
	}
	if cap(c.out)-len(c.out) < n {
		c.write()
	}
	return c.out[len(c.out):]
}

// BulkRoom is Room in a buffer of BulkRoomSize, for a long answer; n may be as much.
// It is given back by the next Flush, as any.
func (c *Conn) BulkRoom(n int) []byte {
	if cap(c.out) < BulkRoomSize {
		wide := append(c.srv.pools.get(BulkRoomSize)[:0], c.out...)
		if c.out != nil {
			c.srv.pools.put(c.out)
		}
		c.out = wide
	}
	return c.Room(n)
}

// Failed returns the error of the first write that failed, after which output is
// dropped.
func (c *Conn) Failed() error { return c.werr }

// Add gathers output that was appended to the slice of the last Room. It leaves
// with the next Flush, at the latest before Fill waits. A failed write shows
// there.
func (c *Conn) Add(b []byte) {
	if n := len(c.out); len(b) <= cap(c.out)-n {
		if len(b) > 0 && &b[0] == &c.out[:n+1][n] { // it is still Room's slice
			c.out = c.out[:n+len(b)]
			return
		}
		c.out = append(c.out, b...)
		return
	}
	c.write()
	for len(b) > 0 { // it outgrew the room
		n := min(len(b), cap(c.out))
		c.out = append(c.out, b[:n]...)
		b = b[n:]
		c.write()
	}
}

// AddString is Add for a constant.
func (c *Conn) AddString(s string) { c.Add(append(c.Room(len(s)), s...)) }

// Flush writes what was gathered. After a failed write it returns that error.
func (c *Conn) Flush() error {
	if len(c.out) > 0 {
		c.write()
	}
	if c.out != nil {
		c.srv.pools.put(c.out)
		c.out = nil
	}
	return c.werr
}

// write sends out and empties it; after an error output is dropped.
func (c *Conn) write() {
	if c.werr == nil && len(c.out) > 0 {
		// time.Now is paid once a write, the timer once a second.
		by := time.Now().Add(c.writeTimeout)
		if d := by.Sub(c.writeBy); c.writeBy.IsZero() || d < 0 || d > min(coarse, c.writeTimeout/8) {
			c.werr = c.base.SetWriteDeadline(by)
			c.writeBy = by
		}
		if c.werr == nil {
			_, c.werr = c.nc.Write(c.out)
		}
	}
	c.out = c.out[:0]
}

// lingerBytes is how much a client that is shown the door may still say.
const lingerBytes = 1 << 20

// Linger ends the output and reads on for at most d, so that the last reply is
// not lost with the reset that unread input would cause.
func (c *Conn) Linger(d time.Duration) {
	if c.Flush() != nil {
		return
	}
	w, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || w.CloseWrite() != nil {
		return
	}
	if c.base.SetReadDeadline(time.Now().Add(d)) != nil {
		return
	}
	c.release()
	c.borrow()
	defer c.release()
	for total := 0; total < lingerBytes; {
		n, err := c.nc.Read(c.in)
		if err != nil {
			return
		}
		total += n
	}
}

// close gives back what was borrowed and closes the connection.
func (c *Conn) close() {
	if c.out != nil {
		c.srv.pools.put(c.out)
		c.out = nil
	}
	c.release()
	if c.nc != c.base {
		if err := c.base.SetWriteDeadline(time.Now().Add(closeNotifyTimeout)); err == nil {
			ignore(c.nc.Close()) // the close_notify alert, for which no peer is worth waiting long
		}
	}
	ignore(c.base.Close())
}

// closeNotifyTimeout is how long the alert that ends TLS may take to be written.
const closeNotifyTimeout = time.Second

// ignore marks an error that tells nothing: the connection is gone either way.
func ignore(error) {}
