package wire_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postrider/internal/wire"
)

// wakened says a letter each time that it is woken, and parks again at once.
type wakened struct {
	c     *wire.Conn
	told  chan<- error
	ready chan<- *wire.Conn
}

func (p *wakened) Resume() {
	p.c.ReadBy(time.Now().Add(time.Hour), time.Hour)
	for {
		switch err := p.c.Fill(); {
		case errors.Is(err, wire.ErrWoken):
			p.c.AddString("w")
			if p.c.Park(p) {
				p.ready <- p.c
				return
			}
		case errors.Is(err, wire.ErrTimeout):
			p.c.ReadBy(time.Now().Add(time.Hour), time.Hour)
			if p.c.Park(p) {
				p.ready <- p.c
				return
			}
		default:
			p.told <- err
			return
		}
	}
}

// A session is woken while it waits, while it is parked, and when it was busy and looks
// the next time; each time it can park again at once. A Wake that was seen already is
// no timeout.
func TestWake(t *testing.T) {
	for _, protected := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "tls"}[protected], func(t *testing.T) {
			told, ready := make(chan error, 1), make(chan *wire.Conn, 1)
			l := listen(t)
			serve(t, wire.Options{Handle: func(c *wire.Conn) {
				if protected {
					c.Wake() // of no use to a handshake
					if err := c.StartTLS(certificate(t), time.Minute); err != nil {
						t.Error(err)
					}
				}
				c.ReadBy(time.Now().Add(time.Hour), time.Hour)
				c.Wake()
				if err := c.Fill(); !errors.Is(err, wire.ErrWoken) {
					t.Errorf("busy: %v", err)
				}
				ready <- c
				if err := c.Fill(); !errors.Is(err, wire.ErrWoken) {
					t.Errorf("waiting: %v", err)
				}
				c.ReadBy(time.Now().Add(10*time.Millisecond), 0)
				if err := c.Fill(); !errors.Is(err, wire.ErrTimeout) {
					t.Errorf("nothing: %v", err)
				}
				c.ReadBy(time.Now().Add(time.Hour), time.Hour)
				p := &wakened{c: c, told: told, ready: ready}
				if !c.Park(p) {
					t.Error("not parked")
				}
				ready <- c
			}}, l)
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			if protected {
				tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
				if err := tc.Handshake(); err != nil {
					t.Fatal(err)
				}
				nc = tc
			}
			(<-ready).Wake()
			for range 20 {
				c := <-ready
				c.Wake()
				b := make([]byte, 1)
				if _, err := io.ReadFull(nc, b); err != nil || b[0] != 'w' {
					t.Fatalf("%q, %v", b, err)
				}
			}
			<-ready
			if err := nc.Close(); err != nil {
				t.Error(err)
			}
			if err := <-told; err == nil || errors.Is(err, wire.ErrTimeout) {
				t.Error(err)
			}
		})
	}
}

// A command that is longer than the usual buffer finds room when it is asked for.
func TestWiden(t *testing.T) {
	long := strings.Repeat("x", wire.BulkInputSize-2) + "\r\n"
	got := make(chan int, 1)
	l := listen(t)
	serve(t, wire.Options{Handle: func(c *wire.Conn) {
		c.ReadBy(time.Now().Add(time.Minute), time.Minute)
		for {
			if line, ok := c.Line(); ok {
				got <- len(line)
				return
			}
			if len(c.Buffered()) == wire.BufferSize {
				c.Widen()
				c.Widen()
			}
			if err := c.Fill(); err != nil {
				t.Error(err)
				got <- 0
				return
			}
		}
	}}, l)
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := io.WriteString(nc, long); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != len(long)-2 {
		t.Errorf("%d octets", n)
	}
}
