package wire_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"postrider/internal/wire"
)

// parker echoes octets, and parks as soon as none comes.
type parker struct {
	c      *wire.Conn
	parked chan<- bool  // told of each parking
	ended  chan<- error // told how it ended
	by     time.Time
	after  time.Duration
	broken bool // it panics when it goes on
}

func (p *parker) Resume() {
	if p.broken {
		panic("resumed")
	}
	for {
		p.c.ReadBy(time.Now().Add(time.Millisecond), 0)
		err := p.c.Fill()
		switch {
		case err == nil:
			b := p.c.Buffered()
			p.c.Add(append(p.c.Room(len(b)), b...))
			p.c.Discard(len(b))
		case !errors.Is(err, wire.ErrTimeout) || !p.by.IsZero() && !time.Now().Before(p.by):
			p.ended <- err
			return
		default:
			p.by = time.Now().Add(p.after)
			p.c.ReadBy(p.by, 0)
			if p.c.Park(p) {
				p.parked <- true
				return
			}
		}
	}
}

// A parked session goes on with input that comes then or came before, octet by octet
// or whole, in clear and by TLS; when its deadline has passed; when the server drains
// or cuts it; and when the peer is gone. Its connection is counted all the time.
//
// Covers C2, HR1, HR2.
func TestPark(t *testing.T) {
	for _, protected := range []bool{false, true} {
		for _, m := range []struct {
			name  string
			after time.Duration
			end   func(s *wire.Server, nc net.Conn) error
			want  error // nil: any but those of wire
		}{
			{"peer gone", time.Hour, func(_ *wire.Server, nc net.Conn) error { return nc.Close() }, io.EOF},
			{"deadline", time.Millisecond, func(*wire.Server, net.Conn) error { return nil }, wire.ErrTimeout},
			{"drain", time.Hour, func(s *wire.Server, _ net.Conn) error { return s.Drain() }, wire.ErrDraining},
			{"cut", time.Hour, func(s *wire.Server, _ net.Conn) error { return s.Close() }, nil},
		} {
			t.Run(map[bool]string{false: "plain ", true: "tls "}[protected]+m.name, func(t *testing.T) {
				parked, ended, closed := make(chan bool, 1000), make(chan error, 1), make(chan bool, 1)
				l := listen(t)
				s := serve(t, wire.Options{
					Handle: func(c *wire.Conn) {
						if protected {
							if err := c.StartTLS(certificate(t), time.Minute); err != nil {
								t.Error(err)
							}
						}
						(&parker{c: c, parked: parked, ended: ended, after: m.after}).Resume()
					},
					Closed: func(*wire.Conn, wire.Reason) { closed <- true },
				}, l)
				nc, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = nc.Close() }()
				if protected {
					nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
				}
				if m.after == time.Hour {
					for _, text := range []string{"a", "bc", "d"} {
						if _, err := io.WriteString(nc, text); err != nil {
							t.Fatal(err)
						}
						b := make([]byte, len(text))
						if _, err := io.ReadFull(nc, b); err != nil || string(b) != text {
							t.Fatalf("%q, %v", b, err)
						}
						<-parked
					}
				} else if protected {
					if err := nc.(*tls.Conn).Handshake(); err != nil {
						t.Fatal(err)
					}
				}
				if m.after == time.Hour && s.Open() != 1 {
					t.Errorf("%d are open", s.Open())
				}
				if err := m.end(s, nc); err != nil {
					t.Error(err)
				}
				if err := <-ended; m.want != nil && !errors.Is(err, m.want) || errors.Is(err, wire.ErrFull) {
					t.Errorf("ended by %v, want %v", err, m.want)
				}
				<-closed
				if s.Open() != 0 {
					t.Errorf("%d are open", s.Open())
				}
			})
		}
	}
}

// A session that panics when it goes on is ended, and told of.
func TestParkedPanic(t *testing.T) {
	panicked, closed := make(chan any, 1), make(chan wire.Reason, 1)
	l := listen(t)
	serve(t, wire.Options{
		Handle: func(c *wire.Conn) {
			(&parker{c: c, parked: make(chan bool, 9), ended: make(chan error, 9), after: time.Hour}).panics()
		},
		Closed:   func(_ *wire.Conn, r wire.Reason) { closed <- r },
		Panicked: func(_ *wire.Conn, v any, _ []byte) { panicked <- v },
	}, l)
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if v := <-panicked; v != "resumed" {
		t.Error(v)
	}
	if r := <-closed; r != wire.ReasonPanic {
		t.Error(r)
	}
}

// panics parks a session whose deadline is about to pass.
func (p *parker) panics() {
	p.broken = true
	p.c.ReadBy(time.Now().Add(time.Millisecond), 0)
	if !p.c.Park(p) {
		p.ended <- errors.New("not parked")
	}
}

// What cannot be waited for by its descriptor does not park, nor does a session that
// still has input.
func TestParkRefused(t *testing.T) {
	refused := make(chan bool, 1)
	l := listen(t)
	serve(t, wire.Options{Handle: func(c *wire.Conn) {
		c.ReadBy(time.Now().Add(time.Minute), time.Minute)
		if err := c.Fill(); err != nil {
			t.Error(err)
		}
		refused <- !c.Park(&parker{})
	}}, l)
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := io.WriteString(nc, "x"); err != nil {
		t.Fatal(err)
	}
	if !<-refused {
		t.Error("a session with input has parked")
	}
}
