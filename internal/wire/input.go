package wire

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Fill waits for input and adds it to Buffered, writing gathered output first if
// it must wait. It returns ErrFull when there is no room, ErrTimeout after the
// moment that ReadBy set, ErrWoken after a Wake, ErrDraining when the server drains and
// the session is not busy, and io.EOF at the end of the input.
func (c *Conn) Fill() error {
	if err := c.makeRoom(); err != nil {
		return err
	}
	if c.raw != nil && c.filled && len(c.out) > 0 {
		// More input is likely at hand, and with it more replies for one write.
		// A deadline in the past, perhaps a drain's wake-up, is looked at below.
		if done, err := c.readRaw(true); done && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.quiet = false
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for {
		if err := c.arm(); err != nil {
			if err == ErrWoken {
				c.woken.Store(false)
			}
			return err
		}
		var err error
		if c.raw != nil {
			_, err = c.readRaw(false)
		} else {
			err = c.read()
		}
		if err == nil {
			c.quiet = false
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if done := c.disturbed(); done != nil {
			return done
		}
	}
}

// disturbed tells what a deadline that has passed means: ErrTimeout, ErrWoken, or
// nothing, when it was set by a Wake that was seen before, or by a drain.
func (c *Conn) disturbed() error {
	c.quiet = true
	by := c.readBy
	c.readBy = time.Time{}
	switch {
	case c.woken.Swap(false):
		return ErrWoken
	case c.Draining() && !c.poked:
		c.poked = true // not our deadline but the server's wake-up
		return nil
	case time.Now().Before(by):
		return nil
	}
	return ErrTimeout
}

// arm sets the read deadline when it moved enough to matter. A drain and Wake set
// their flags before they wake connections, so looking at the flags after the deadline
// was set leaves no gap in which the wake-up could be overwritten unseen.
func (c *Conn) arm() error {
	if d := c.until.Sub(c.readBy); c.readBy.IsZero() || d < 0 || d > c.slack {
		if err := c.base.SetReadDeadline(c.until); err != nil {
			return err
		}
		c.readBy = c.until
	}
	if !c.busy && c.Draining() {
		return ErrDraining
	}
	if c.woken.Load() {
		c.readBy = time.Time{} // which Wake has set to another
		return ErrWoken
	}
	return nil
}

// makeRoom readies in for a read: nothing is borrowed yet when it is drained.
func (c *Conn) makeRoom() error {
	if c.in == nil {
		return nil
	}
	if c.r == c.w {
		c.r, c.w, c.seen = 0, 0, 0
		if c.bulk && c.filled && len(c.in) != bulkSize || !c.bulk && len(c.in) != BufferSize {
			c.release()
		}
		return nil
	}
	if c.w < len(c.in) {
		return nil
	}
	if c.r == 0 {
		return ErrFull
	}
	c.w = copy(c.in, c.in[c.r:c.w])
	c.r = 0
	return nil
}

func (c *Conn) release() {
	if c.in != nil {
		c.srv.pools.put(c.in)
		c.in, c.r, c.w, c.seen = nil, 0, 0, 0
	}
}

func (c *Conn) borrow() {
	if c.in == nil {
		size := BufferSize
		if c.bulk && c.filled {
			size = bulkSize
		}
		c.in = c.srv.pools.get(size)
	}
}

// readRaw reads from the descriptor. With probe it does not wait and reports
// whether there was anything.
func (c *Conn) readRaw(probe bool) (bool, error) {
	c.probe, c.n, c.errno = probe, 0, nil
	if err := c.raw.Read(c.tried); err != nil {
		return true, err
	}
	switch {
	case c.errno == syscall.EAGAIN:
		return false, nil
	case c.errno != nil:
		return true, c.errno
	case c.n == 0:
		return true, io.EOF
	}
	return true, nil
}

// tryRead is called by the poller, once at first and then whenever the descriptor
// may be readable; false sends it to wait, which must not keep an empty buffer.
func (c *Conn) tryRead(fd uintptr) bool {
	c.borrow()
	for {
		n, err := syscall.Read(int(fd), c.in[c.w:])
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			if c.w == 0 {
				c.release()
			}
			c.filled = false
			if c.probe {
				c.errno = err
			}
			return c.probe
		}
		if err != nil {
			c.errno = err
			return true
		}
		c.n = n
		c.w += n
		c.filled = c.w == len(c.in)
		return true
	}
}

// read is for connections without a descriptor of their own: TLS and pipes. Between
// commands it waits with one octet of room, and reads the rest when the session
// finds that too little.
func (c *Conn) read() error {
	if c.w == 0 && !c.bulk {
		c.release()
		n, err := c.nc.Read(c.one[:])
		if n == 0 {
			if err == nil {
				err = io.ErrNoProgress
			}
			return err
		}
		c.borrow()
		c.in[0], c.w = c.one[0], 1
		return nil
	}
	c.borrow()
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	c.filled = c.w == len(c.in)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Peek reports whether input is there before anything was asked for, waiting at
// most wait for it. Without a descriptor and without wait it reports false. It is
// for the beginning of a session, before any ReadBy.
func (c *Conn) Peek(wait time.Duration) (bool, error) {
	if c.w > c.r {
		return true, nil
	}
	if wait > 0 {
		c.ReadBy(time.Now().Add(wait), 0)
		switch err := c.Fill(); err {
		case nil:
			return true, nil
		case ErrTimeout:
			return false, nil
		default:
			return false, err
		}
	}
	if c.raw == nil {
		return false, nil
	}
	seen, err := c.readRaw(true)
	if errors.Is(err, os.ErrDeadlineExceeded) { // no deadline was set yet but a drain's
		return false, ErrDraining
	}
	return seen, err
}
