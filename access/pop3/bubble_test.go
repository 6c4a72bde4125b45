package pop3_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"postrider/access/pop3"
)

// pipes is a listener whose connections are pipes from loopback.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- local{b}
	return a
}

type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// inBubble runs f with a server on pipes in a bubble of its own.
func inBubble(t *testing.T, o *pop3.Options, h *house, f func(t *testing.T, p *pipes)) {
	t.Helper()
	scramKeys() // not a matter of the bubble's time
	synctest.Test(t, func(t *testing.T) {
		defer prepare(o, h)()
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		s := pop3.NewServer("pipe", nil, func() *pop3.Options { return o })
		served := make(chan error, 1)
		go func() { served <- s.Serve(p) }()
		synctest.Wait()
		f(t, p)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// converse sends each text when the server has nothing more to say, and returns the
// lines that it said until the end.
func converse(p *pipes, texts ...string) []string {
	nc := p.dial()
	said := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(nc)
		said <- string(b)
	}()
	for _, text := range texts {
		synctest.Wait()
		if _, err := io.WriteString(nc, text); err != nil {
			break // the server has ended it
		}
	}
	got := <-said
	_ = nc.Close()
	return strings.Split(strings.TrimSpace(got), "\r\n")
}
