package wire

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Options is what a Server is made of. Functions are called by many goroutines.
type Options struct {
	// Handle holds one session. The connection is closed when it returns.
	Handle func(c *Conn)
	// Limits is asked at each connection. nil: no limits but the descriptors.
	Limits func() Limits
	// Census counts the connections; nil: one of the server's own.
	Census *Census
	// Farewell returns what a refused client is told in clear, or nil. It is
	// called on the accepting goroutine and must not block. nil: nothing.
	Farewell func(client netip.AddrPort, r Reason) []byte
	// Closed is told of each session that has ended, when nothing of it is open or
	// counted any more. nil: nobody is.
	Closed func(c *Conn, r Reason)
	// Panicked is told of a panic that Handle let through. nil: nobody is.
	Panicked func(c *Conn, value any, stack []byte)
	// AcceptFailed is told of an error of Accept that will be retried. nil:
	// nobody is.
	AcceptFailed func(err error)
	// UserTimeout is how long sent data may stay unacknowledged before the
	// kernel gives a connection up; 0: 5 minutes.
	UserTimeout time.Duration
}

// The pauses after a failed Accept: as when no descriptor is free, where an
// immediate retry would only burn the processor.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// farewellTimeout bounds the write to a client that is refused. A fresh
// connection's send buffer is empty, so that it does not happen on a real socket.
const farewellTimeout = 50 * time.Millisecond

const defaultUserTimeout = 5 * time.Minute

// Server accepts connections and holds a session for each.
type Server struct {
	o        Options
	census   *Census
	fallback int
	pools    pools
	packed   compressing
	done     chan struct{} // closed by Close and at the end of Shutdown
	stop     sync.Once     // closes done
	draining atomic.Bool
	sessions sync.WaitGroup

	mu sync.Mutex
	// guards following
	listeners map[net.Listener]bool // true: shared with another process
	conns     *Conn                 // head of a list
	open      int
	idle      chan struct{} // closed when draining and open is 0
}

// NewServer returns a server that accepts nothing yet.
func NewServer(o Options) *Server {
	s := &Server{
		o: o, census: o.Census, fallback: descriptorShare(),
		listeners: map[net.Listener]bool{}, idle: make(chan struct{}), done: make(chan struct{}),
	}
	if s.census == nil {
		s.census = NewCensus()
	}
	if s.o.UserTimeout == 0 {
		s.o.UserTimeout = defaultUserTimeout
	}
	return s
}

// Open returns the number of open connections.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Serve accepts connections from l until Shutdown or Close, which close l; it then
// returns nil. It may be called for several listeners. An error of Accept is
// retried with a growing pause; only a listener that was closed by somebody else
// ends it with an error.
//
// From the beginning of a drain until all is over new clients are told Farewell.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false) }

// ServeShared is Serve for a listener that another process holds too, and will
// accept from: it is closed as a drain begins, so that who comes then waits for
// that process instead of being refused.
func (s *Server) ServeShared(l net.Listener) error { return s.serve(l, true) }

func (s *Server) serve(l net.Listener, shared bool) error {
	if !s.addListener(l, shared) {
		return l.Close()
	}
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(nc)
		case s.draining.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			if s.o.AcceptFailed != nil {
				s.o.AcceptFailed(err)
			}
			pause = min(max(pause*2, acceptPauseMin), acceptPauseMax)
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-s.done:
				t.Stop()
			}
		}
	}
}

func (s *Server) addListener(l net.Listener, shared bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.listeners[l] = shared
	return true
}

// admit starts a session, or refuses without one.
func (s *Server) admit(nc net.Conn) {
	client := addrPort(nc.RemoteAddr())
	var l Limits
	if s.o.Limits != nil {
		l = s.o.Limits()
	}
	if r := s.census.enter(client.Addr(), l, s.fallback); r != ReasonNone {
		s.refuse(nc, client, r)
		return
	}
	if t, ok := nc.(*net.TCPConn); ok {
		s.setUserTimeout(t) // keep-alive probes are the listener's default
	}
	c := newConn(nc, s)
	if !s.add(c) {
		s.census.leave(client.Addr())
		s.refuse(nc, client, ReasonDrain)
		return
	}
	go s.run(c)
}

// setUserTimeout lets the kernel give up a peer that vanished with data on its
// way to it. Without it such a connection would last until its state's deadline,
// so that a failure to set it is no reason to refuse.
func (s *Server) setUserTimeout(t *net.TCPConn) {
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	ms := int(s.o.UserTimeout / time.Millisecond)
	ignore(raw.Control(func(fd uintptr) {
		ignore(unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms))
	}))
}

func (s *Server) refuse(nc net.Conn, client netip.AddrPort, r Reason) {
	if s.o.Farewell != nil {
		if b := s.o.Farewell(client, r); len(b) > 0 {
			if nc.SetWriteDeadline(time.Now().Add(farewellTimeout)) == nil {
				_, err := nc.Write(b)
				ignore(err)
			}
		}
	}
	ignore(nc.Close())
}

func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	c.id = s.census.nextID()
	c.next = s.conns
	if s.conns != nil {
		s.conns.prev = c
	}
	s.conns = c
	s.open++
	s.sessions.Add(1)
	return true
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		s.conns = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	s.open--
	if s.open == 0 && s.draining.Load() {
		close(s.idle)
	}
}
