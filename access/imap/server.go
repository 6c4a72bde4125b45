// Package imap holds sessions of IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051): the
// state machine of a server, its limits and its defences. Who a client is, it asks
// Options.Auth; what is in his mailboxes, the store's account that Options.Open returns.
//
// It guarantees that
//
//   - commands are answered in order, and pipelined ones with one write;
//   - message numbers change only where RFC 9051 section 7.5.1 lets them: a message
//     that another session expunges stays in this session's numbering, until a command
//     ends in which EXPUNGE may be sent;
//   - what a client is told is durable: UIDs, mod-sequences and flags come from the
//     store, which shows nothing else;
//   - octets that came in clear are never taken for octets that came by TLS;
//   - every limit has a reply, and nothing grows with what a client announces: a
//     command is collected in a buffer of bounded size, texts stream, and a session
//     that waits holds no buffer and no stack that has grown;
//   - no event and no error text holds a password or anything it could be made from;
//   - a panic in a session ends that session and no other.
//
// A session sees its mailbox through a mailbox.View, whose array all sessions share;
// of its own it has a few words. While it waits in IDLE the store's watcher wakes it.
//
// # Concurrency
//
// A session, its Conn and its View belong to one goroutine; only Conn.Wake is called
// by others. Server and Sessions are safe for concurrent use. Options are read-only
// once a session has taken them.
package imap

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"postrider/internal/wire"
)

// Server holds the sessions of one configured listener.
type Server struct {
	listener string
	options  func() *Options
	wire     *wire.Server
	ctx      context.Context // of what sessions ask of the store; ends with Close
	cut      context.CancelFunc
	none     Metrics // counts for nobody
	limits   atomic.Pointer[resolved]
}

// resolved is a snapshot of options with its limits, of which all its sessions share
// one copy.
type resolved struct {
	of  *Options
	lim Limits
}

// NewServer returns a server for the listener that the configuration calls by that
// name. options is asked at each new connection, and must be cheap. Servers that share
// a census share its counts of connections and its session numbers; nil gives the
// server its own.
func NewServer(listener string, census *wire.Census, options func() *Options) *Server {
	s := &Server{listener: listener, options: options}
	s.ctx, s.cut = context.WithCancel(context.Background())
	s.wire = wire.NewServer(wire.Options{
		Handle:   s.handle,
		Limits:   s.connectionLimits,
		Census:   census,
		Farewell: s.farewell,
		AcceptFailed: func(error) {
			s.metrics(s.options()).AcceptErrors.Add(1)
		},
	})
	return s
}

// Serve accepts sessions from l until Shutdown or Close, which close l; it then returns
// nil. An error means that l was closed by somebody else.
func (s *Server) Serve(l net.Listener) error { return s.wire.Serve(l) }

// ServeShared is Serve for a listener from which another process will accept too: it is
// closed as a drain begins, not at its end.
func (s *Server) ServeShared(l net.Listener) error { return s.wire.ServeShared(l) }

// Shutdown drains: new clients and sessions that wait for a command are told BYE, a
// command in hand is finished, and it returns nil when all sessions have ended. When
// ctx ends first it cuts the rest and returns the cause.
func (s *Server) Shutdown(ctx context.Context) error { return s.wire.Shutdown(ctx) }

// Drain begins what Shutdown does and returns at once.
func (s *Server) Drain() error { return s.wire.Drain() }

// Settle waits for the sessions as Shutdown does, and goes on telling new clients BYE
// until Shutdown or Close.
func (s *Server) Settle(ctx context.Context) error { return s.wire.Settle(ctx) }

// Close cuts all sessions at once without waiting for them; Wait does.
func (s *Server) Close() error {
	s.cut()
	return s.wire.Close()
}

// Wait returns when no session is left. It must follow Settle, Shutdown or Close.
func (s *Server) Wait() { s.wire.Wait() }

// Open returns the number of open sessions.
func (s *Server) Open() int { return s.wire.Open() }

func (s *Server) metrics(o *Options) *Metrics {
	if o.Metrics != nil {
		return o.Metrics
	}
	return &s.none
}

// resolve returns the options of a new session and their limits.
func (s *Server) resolve() (*Options, *Limits) {
	o := s.options()
	r := s.limits.Load()
	if r == nil || r.of != o {
		r = &resolved{of: o, lim: o.Limits.withDefaults()}
		s.limits.Store(r)
	}
	return o, &r.lim
}

func (s *Server) connectionLimits() wire.Limits {
	o, l := s.resolve()
	return wire.Limits{Total: l.Connections, PerClient: l.ConnectionsPerClient, Exempt: o.Exempt}
}

// farewell is what a client gets that gets no session.
func (s *Server) farewell(client netip.AddrPort, r wire.Reason) []byte {
	o := s.options()
	text := byeDrain
	switch r {
	case wire.ReasonPerClient:
		text = byePerClient
	case wire.ReasonTotal:
		text = byeTotal
	}
	s.metrics(o).Refused.Add(1)
	if o.Events != nil {
		o.Events(Event{Kind: Refused, Conn: &Conn{Remote: client, Listener: s.listener, Ended: r}})
	}
	if o.ImplicitTLS {
		return nil // it could not be read
	}
	return []byte(text)
}

// handle holds one session.
func (s *Server) handle(c *wire.Conn) {
	o, l := s.resolve()
	x := &session{w: c, o: o, lim: l, m: s.metrics(o), ctx: s.ctx}
	x.ID, x.Remote, x.Local, x.Listener = c.ID(), c.Remote(), c.Local(), s.listener
	c.SetWriteTimeout(l.Write)
	x.m.Accepted.Add(1)
	x.m.Connections.Add(1)
	x.run()
}
