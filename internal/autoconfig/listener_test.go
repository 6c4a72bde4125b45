package autoconfig

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// Over a real connection: a request with much in its head and one connection too many
// are turned away, and Close ends Serve.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Connections = 3
	s := New(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	request := func(c net.Conn, more string) string {
		if _, err := io.WriteString(c, "GET /mail/config-v1.1.xml?emailaddress=ann@example.org HTTP/1.1\r\nHost: x\r\n"+more+"\r\n"); err != nil {
			return err.Error()
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err.Error()
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		return r.Status
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	var open []net.Conn
	for range 3 {
		c := dial()
		if got := request(c, ""); got != "200 OK" {
			t.Fatalf("got %s", got)
		}
		open = append(open, c)
	}
	if got := request(dial(), ""); got == "200 OK" {
		t.Error("there was a place for a fourth connection")
	}
	if got := request(open[0], "X: "+strings.Repeat("x", 20<<10)+"\r\n"); got != "431 Request Header Fields Too Large" {
		t.Errorf("got %s", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

// manyConns is a listener whose connections come from where the test says.
type manyConns struct{ from []string }

type fakeConn struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.from }
func (c *fakeConn) Close() error         { c.closed = true; return nil }

func (m *manyConns) Accept() (net.Conn, error) {
	if len(m.from) == 0 {
		return nil, net.ErrClosed
	}
	a := netip.MustParseAddrPort(m.from[0])
	m.from = m.from[1:]
	return &fakeConn{from: net.TCPAddrFromAddrPort(a)}, nil
}
func (m *manyConns) Close() error   { return nil }
func (m *manyConns) Addr() net.Addr { return nil }

// A client has few connections, a proxy on this machine as many as there are.
func TestPerClient(t *testing.T) {
	m := &manyConns{}
	l := newListener(m, 6, 2)
	accept := func(want int, from ...string) (got []net.Conn) {
		t.Helper()
		m.from = from
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			got = append(got, c)
		}
		if len(got) != want {
			t.Fatalf("%d of %v have a place, want %d", len(got), from, want)
		}
		return got
	}
	first := accept(2, "192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3", "192.0.2.1:4")
	accept(4, "192.0.2.2:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4")
	for range 2 { // the second does nothing
		if err := first[0].Close(); err != nil {
			t.Error(err)
		}
	}
	accept(1, "192.0.2.1:5", "192.0.2.3:6")
}
