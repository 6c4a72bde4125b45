package imap_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postrider/access/imap"
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

// inBubble runs f with a server on pipes in a bubble of its own. The store is outside: it
// has its own time.
func inBubble(t *testing.T, limits imap.Limits, f func(t *testing.T, p *pipes, s *imap.Server)) {
	t.Helper()
	outside := newHouse(t)
	outside.box("INBOX") // the account is there
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, store: outside.store}
		h.prepare()
		h.o.Limits = limits
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		s := imap.NewServer("pipe", nil, func() *imap.Options { return h.o })
		served := make(chan error, 1)
		go func() { served <- s.Serve(p) }()
		synctest.Wait()
		f(t, p, s)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		h.o.Auth.Close()
	})
}

// talk sends each text when the server has nothing more to say, and returns what was said
// until the end with the time that it took.
func talk(p *pipes, texts ...string) (lines []string, took time.Duration) {
	began := time.Now()
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
	return strings.Split(strings.TrimSpace(got), "\r\n"), time.Since(began)
}

const loginLine = "a LOGIN user \"" + password + "\"\r\n"

// How long a silent client is borne, by what it has said last.
func TestSilence(t *testing.T) {
	for name, c := range map[string]struct {
		texts     []string
		last      string
		at, until time.Duration
		lines     int
	}{
		"nothing":       {nil, "* BYE Silent for too long", 170 * time.Second, 181 * time.Second, 2},
		"half a login":  {[]string{"a LOG"}, "* BYE Silent for too long", 170 * time.Second, 181 * time.Second, 2},
		"after a login": {[]string{loginLine}, "* BYE Silent for too long", 30 * time.Minute, 31 * time.Minute, 3},
		"half a line":   {[]string{loginLine, "b NOO"}, "* BYE Silent for too long", 4 * time.Minute, 6 * time.Minute, 3},
		"a literal":     {[]string{loginLine, "b STATUS {5}\r\nINB"}, "* BYE Silent for too long", 4 * time.Minute, 6 * time.Minute, 4},
		"octet by octet": {
			[]string{loginLine, "b", " ", "N"}, "* BYE Silent for too long", 4 * time.Minute, 6 * time.Minute, 3,
		},
		// greeting, login, "+ idling", seven signs of life, BYE
		"in IDLE":         {[]string{loginLine, "b IDLE\r\n"}, "* BYE Silent for too long", 30 * time.Minute, 31 * time.Minute, 11},
		"in AUTHENTICATE": {[]string{"a AUTHENTICATE PLAIN\r\n"}, "* BYE Silent for too long", 170 * time.Second, 181 * time.Second, 3},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, imap.Limits{}, func(t *testing.T, p *pipes, _ *imap.Server) {
				lines, took := talk(p, c.texts...)
				if last := lines[len(lines)-1]; last != c.last || took < c.at || took > c.until || len(lines) != c.lines {
					t.Errorf("after %v: %d lines: %q", took, len(lines), lines)
				}
			})
		})
	}
}

// While places are short, who is not logged in has less time.
func TestPlacesShort(t *testing.T) {
	inBubble(t, imap.Limits{Connections: 1}, func(t *testing.T, p *pipes, _ *imap.Server) {
		if lines, took := talk(p); took > 11*time.Second || len(lines) != 2 {
			t.Errorf("after %v: %q", took, lines)
		}
	})
}

// A drain tells those who wait, in IDLE too, and those who come then.
func TestDrain(t *testing.T) {
	for _, texts := range [][]string{nil, {loginLine}, {loginLine, "b IDLE\r\n"}} {
		inBubble(t, imap.Limits{}, func(t *testing.T, p *pipes, s *imap.Server) {
			go func() {
				time.Sleep(time.Minute)
				if err := s.Drain(); err != nil {
					t.Error(err)
				}
			}()
			lines, took := talk(p, texts...)
			if last := lines[len(lines)-1]; took != time.Minute || last != "* BYE [UNAVAILABLE] Shutting down, come back soon" {
				t.Errorf("after %v: %q", took, lines)
			}
			if lines, _ = talk(p); len(lines) != 1 || lines[0] != "* BYE [UNAVAILABLE] Shutting down, come back soon" {
				t.Errorf("%q", lines)
			}
		})
	}
}

// A client that gives what is not asked for, up to the largest command, without an end,
// is heard for a while.
//
// Covers HI5.
func TestEndlessCommand(t *testing.T) {
	inBubble(t, imap.Limits{}, func(t *testing.T, p *pipes, _ *imap.Server) {
		texts := []string{loginLine}
		for range 40 {
			texts = append(texts, strings.Repeat("x", 32<<10))
		}
		lines, took := talk(p, texts...)
		if last := lines[len(lines)-1]; took > time.Second || last != "* BYE [TOOBIG] Literal or command is too large" {
			t.Errorf("after %v: %q", took, lines)
		}
	})
}
