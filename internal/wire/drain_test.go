package wire_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"postrider/internal/wire"
)

// A drain may meet a session at any moment: before its first read, or as it reads
// on with replies in hand. It is told then that the server drains, never that the
// peer is lost, and one that is busy reads on.
//
// Covers C2.
func TestDrainMeetsASession(t *testing.T) {
	text := make([]byte, wire.BufferSize)
	full := func(c *wire.Conn) error { // more input is likely at hand, and a reply waits
		for len(c.Buffered()) < len(text) {
			if err := c.Fill(); err != nil {
				return err
			}
		}
		c.Discard(len(text))
		c.AddString("ok")
		return nil
	}
	for _, m := range []struct {
		name          string
		before, after func(c *wire.Conn) error
		want          error
	}{
		{"before the greeting", func(*wire.Conn) error { return nil }, func(c *wire.Conn) error { _, err := c.Peek(0); return err }, wire.ErrDraining},
		{"waiting to greet", func(*wire.Conn) error { return nil }, func(c *wire.Conn) error { _, err := c.Peek(time.Minute); return err }, wire.ErrDraining},
		{"with replies in hand", full, (*wire.Conn).Fill, wire.ErrDraining},
		{"busy, with replies in hand", func(c *wire.Conn) error { c.SetBusy(true); return full(c) }, (*wire.Conn).Fill, nil},
	} {
		t.Run(m.name, func(t *testing.T) {
			ready, drained, got := make(chan error), make(chan struct{}), make(chan error, 1)
			l := listen(t)
			s := serve(t, wire.Options{Handle: func(c *wire.Conn) {
				c.ReadBy(time.Now().Add(time.Minute), time.Minute)
				ready <- m.before(c)
				<-drained
				got <- m.after(c)
			}}, l)
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := nc.Write(text); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(<-ready, s.Drain()); err != nil {
				t.Fatal(err)
			}
			close(drained)
			if m.want == nil {
				if _, err := nc.Write([]byte("more")); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-got; !errors.Is(err, m.want) {
				t.Errorf("%v, want %v", err, m.want)
			}
		})
	}
}
