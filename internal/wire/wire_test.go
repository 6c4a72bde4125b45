package wire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"postrider/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server on l until the test ends.
func serve(t *testing.T, o wire.Options, l net.Listener) *wire.Server {
	t.Helper()
	s := wire.NewServer(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s.Wait()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dialFrom dials from an address of 127.0.0.0/8 and returns the first line, or
// the error of reading it.
func dialFrom(t *testing.T, l net.Listener, from string) (net.Conn, string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := nc.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return nc, string(buf[:n])
}

// waiting greets and waits for the client to go.
func waiting(c *wire.Conn) {
	c.AddString("hello")
	c.ReadBy(time.Now().Add(time.Minute), time.Minute)
	_ = c.Fill()
}

// One client may take its share and not more, exempt ones and others are still
// served, and all together stop at the total; who is refused gets no goroutine.
//
// Covers HR2.
func TestCaps(t *testing.T) {
	const perClient, total = 3, 8
	exempt := netip.MustParsePrefix("127.0.1.0/24")
	limits := wire.Limits{Total: total, PerClient: perClient, Exempt: exempt.Contains}
	census := wire.NewCensus()
	var mu sync.Mutex
	refused := map[wire.Reason]int{}
	l := listen(t)
	closed := make(chan wire.Reason, 32)
	s := serve(t, wire.Options{
		Handle: waiting, Limits: func() wire.Limits { return limits }, Census: census,
		Closed: func(_ *wire.Conn, r wire.Reason) { closed <- r },
		Farewell: func(client netip.AddrPort, r wire.Reason) []byte {
			mu.Lock()
			defer mu.Unlock()
			refused[r]++
			return []byte(r.String())
		},
	}, l)
	expect := func(from, want string) net.Conn {
		t.Helper()
		nc, got := dialFrom(t, l, from)
		if got != want {
			t.Fatalf("%s got %q, want %q", from, got, want)
		}
		return nc
	}
	first := expect("127.0.0.1", "hello")
	expect("127.0.0.1", "hello")
	expect("127.0.0.1", "hello")
	for range 20 {
		expect("127.0.0.1", "per_client")
	}
	for range perClient + 1 {
		expect("127.0.1.1", "hello")
	}
	expect("127.0.0.2", "hello")
	expect("127.0.0.3", "total")
	expect("127.0.1.1", "total")
	if s.Open() != total || census.Total() != total {
		t.Errorf("%d open, %d counted", s.Open(), census.Total())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	<-closed
	expect("127.0.0.1", "hello")
	mu.Lock()
	defer mu.Unlock()
	if refused[wire.ReasonPerClient] != 20 || refused[wire.ReasonTotal] != 2 {
		t.Errorf("refused %v", refused)
	}
}

// failing is a listener whose Accept fails as when descriptors have run out.
type failing struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	left  int
	times []time.Time
}

func (f *failing) Accept() (net.Conn, error) {
	f.times = append(f.times, time.Now())
	if f.left > 0 {
		f.left--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *failing) Close() error   { f.once.Do(func() { close(f.done) }); return nil }
func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }

// When descriptors run out the loop waits instead of spinning, and goes on by
// itself.
func TestAcceptBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{conns: make(chan net.Conn), done: make(chan struct{}), left: 20}
		failures := 0
		s := wire.NewServer(wire.Options{Handle: waiting, AcceptFailed: func(err error) {
			if !errors.Is(err, syscall.EMFILE) {
				t.Error(err)
			}
			failures++
		}})
		served := make(chan error, 1)
		go func() { served <- s.Serve(f) }()
		a, b := net.Pipe()
		f.conns <- b
		buf := make([]byte, 16)
		if n, err := a.Read(buf); err != nil || string(buf[:n]) != "hello" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if failures != 20 {
			t.Errorf("%d failures", failures)
		}
		if took := f.times[20].Sub(f.times[0]); took < 10*time.Second || took > 20*time.Second {
			t.Errorf("20 failures took %v", took)
		}
	})
}

// A listener that another process holds too is closed as a drain begins, so that
// who comes then waits for that process; any other refuses until the end.
//
// Covers C2.
func TestDrainOfASharedListener(t *testing.T) {
	own, shared := listen(t), listen(t)
	s := wire.NewServer(wire.Options{Handle: waiting, Farewell: func(netip.AddrPort, wire.Reason) []byte { return []byte("421") }})
	served := make(chan error, 2)
	go func() { served <- s.Serve(own) }()
	go func() { served <- s.ServeShared(shared) }()
	for _, l := range []net.Listener{own, shared} {
		if _, got := dialFrom(t, l, "127.0.0.1"); got != "hello" {
			t.Errorf("greeted by %q", got)
		}
	}
	if err := errors.Join(s.Drain(), <-served); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", shared.Addr().String()); err == nil {
		t.Error("the shared listener takes connections")
		_ = c.Close()
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	if _, got := dialFrom(t, own, "127.0.0.1"); got != "421" {
		t.Errorf("a late client was told %q", got)
	}
	if err := errors.Join(s.Shutdown(t.Context()), <-served); err != nil {
		t.Error(err)
	}
}

// A panic ends its session and is told; a session that ignores a drain is cut
// when the drain's time is over.
//
// Covers C2.
func TestPanicAndCut(t *testing.T) {
	var told any
	panicked := make(chan struct{})
	stuck := make(chan struct{})
	l := listen(t)
	s := serve(t, wire.Options{
		Handle: func(c *wire.Conn) {
			c.AddString("hello")
			c.ReadBy(time.Now().Add(time.Minute), time.Minute)
			if c.Fill() != nil {
				return
			}
			if b := c.Buffered(); b[0] == 'p' {
				panic(string(b))
			}
			c.Discard(len(c.Buffered()))
			c.SetBusy(true)
			close(stuck)
			if err := c.Fill(); err == nil || errors.Is(err, wire.ErrTimeout) || errors.Is(err, wire.ErrDraining) {
				t.Error(err)
			}
		},
		Panicked: func(_ *wire.Conn, v any, stack []byte) {
			told = v
			if !bytes.Contains(stack, []byte("wire_test")) {
				t.Errorf("%s", stack)
			}
			close(panicked)
		},
	}, l)
	a, _ := dialFrom(t, l, "127.0.0.1")
	b, _ := dialFrom(t, l, "127.0.0.1")
	if _, err := io.WriteString(a, "p"); err != nil {
		t.Fatal(err)
	}
	<-panicked
	if told != "p" {
		t.Error(told)
	}
	if _, err := io.WriteString(b, "x"); err != nil {
		t.Fatal(err)
	}
	<-stuck
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	s.Wait()
}

// Lines end with CRLF alone, come whole however they arrive, and never outgrow
// the buffer; output leaves in as few writes as fit.
//
// Covers HS3, HS5.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{conns: make(chan net.Conn), done: make(chan struct{})}
		var lines []string
		var end error
		s := wire.NewServer(wire.Options{Handle: func(c *wire.Conn) {
			for {
				line, ok := c.Line()
				if ok {
					lines = append(lines, string(line))
					c.AddString("ok\r\n")
					continue
				}
				c.ReadBy(time.Now().Add(time.Minute), time.Minute)
				if end = c.Fill(); end != nil {
					return
				}
			}
		}})
		served := make(chan error, 1)
		go func() { served <- s.Serve(f) }()
		a, b := net.Pipe()
		f.conns <- b
		writes := make(chan []string, 1)
		go func() {
			var got []string
			buf := make([]byte, 64<<10)
			for {
				n, err := a.Read(buf)
				if err != nil {
					writes <- got
					return
				}
				got = append(got, string(buf[:n]))
			}
		}()
		for _, p := range []string{"one\r\ntwo\nstill\rtwo\r\r\nthree", "\r", "\nfour\r\n", strings.Repeat("x", wire.BufferSize)} {
			if _, err := io.WriteString(a, p); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if _, err := io.WriteString(a, "y"); err == nil {
			synctest.Wait()
		}
		_ = a.Close()
		synctest.Wait()
		if got := strings.Join(lines, "|"); got != "one|two\nstill\rtwo\r|three|four" || !errors.Is(end, wire.ErrFull) {
			t.Errorf("%q, %v", got, end)
		}
		if got := <-writes; strings.Join(got, "|") != "ok\r\nok\r\n|ok\r\nok\r\n" {
			t.Errorf("%q", got)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
