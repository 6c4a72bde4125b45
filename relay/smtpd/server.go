// Package smtpd holds receiving sessions of SMTP (RFC 5321) and LMTP (RFC 2033):
// the state machine of a server, its limits and its defences. It has no policy
// and keeps nothing: each connection's Session, which its user provides, decides
// and stores.
//
// It guarantees that
//
//   - commands are answered in order, and pipelined ones with one write;
//   - only CRLF "." CRLF ends the text of DATA and only its count that of a BDAT
//     chunk; octets of a text are never taken for commands, nor octets that came
//     in clear for octets that came by TLS;
//   - Session.Commit is called at most once for a transaction and only after the
//     whole text was written; otherwise Session.Reset is;
//   - every limit has a reply, and nothing grows with what a client sends: a text
//     streams through a pooled buffer, and an idle session holds none;
//   - a panic in a Session ends that session with 421 and no other.
//
// The path of a message allocates nothing.
//
// # Concurrency
//
// A session, its Conn and its Session belong to one goroutine. Server is safe
// for concurrent use. Options are read-only once a session has taken them.
package smtpd

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// Server holds the sessions of one configured listener.
type Server struct {
	listener string
	options  func() *Options
	wire     *wire.Server
	none     Metrics // counts for nobody
	limits   atomic.Pointer[resolved]
	life     context.Context // of logins that are being checked: it ends as a drain begins
	end      context.CancelFunc
}

// resolved is a snapshot of options with its limits, of which all its sessions
// share one copy.
type resolved struct {
	of  *Options
	lim Limits
}

// NewServer returns a server for the listener that the configuration calls by
// that name. options is asked at each new connection, and must be cheap. Servers
// that share a census share its counts of connections and its session numbers;
// nil gives the server its own.
func NewServer(listener string, census *wire.Census, options func() *Options) *Server {
	s := &Server{listener: listener, options: options}
	s.life, s.end = context.WithCancel(context.Background())
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

// Serve accepts sessions from l until Shutdown or Close, which close l; it then
// returns nil. An error means that l was closed by somebody else.
func (s *Server) Serve(l net.Listener) error { return s.wire.Serve(l) }

// ServeShared is Serve for a listener from which another process will accept too:
// it is closed as a drain begins, not at its end.
func (s *Server) ServeShared(l net.Listener) error { return s.wire.ServeShared(l) }

// Shutdown drains: it answers 421 to new clients and to sessions that are not
// receiving a text, lets those texts finish with their replies, and returns nil
// when all sessions have ended. When ctx ends first it cuts the rest and returns
// the cause.
func (s *Server) Shutdown(ctx context.Context) error {
	s.end()
	return s.wire.Shutdown(ctx)
}

// Drain begins what Shutdown does and returns at once.
func (s *Server) Drain() error {
	s.end()
	return s.wire.Drain()
}

// Settle waits for the sessions as Shutdown does, and goes on telling new clients
// 421 until Shutdown or Close.
func (s *Server) Settle(ctx context.Context) error { return s.wire.Settle(ctx) }

// Close cuts all sessions at once without waiting for them; Wait does.
func (s *Server) Close() error {
	s.end()
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
	st := replyDrain
	switch r {
	case wire.ReasonPerClient:
		st = replyPerClient
	case wire.ReasonTotal:
		st = replyTotal
	}
	m := s.metrics(o)
	m.Refused.Add(1)
	m.Rejected4xx.Add(1)
	if o.Events != nil {
		c := &Conn{Remote: client, Listener: s.listener}
		o.Events(RejectEvent{Conn: c, Command: commandConnect, Status: st, Rule: r.String()})
	}
	if o.ImplicitTLS {
		return nil // it could not be read
	}
	return smtp.AppendReply(nil, st)
}

// commandConnect stands in events for the connection itself.
const commandConnect = "CONNECT"

// handle holds one session.
func (s *Server) handle(c *wire.Conn) {
	o, l := s.resolve()
	e := &engine{w: c, o: o, lim: l, m: s.metrics(o), life: s.life}
	e.ID, e.Remote, e.Local, e.Listener = c.ID(), c.Remote(), c.Local(), s.listener
	e.lmtp = o.LMTP
	e.text.Normalize = o.LineEndings == Normalize
	c.SetWriteTimeout(e.lim.Write)
	e.m.Accepted.Add(1)
	e.m.Connections.Add(1)
	defer e.m.Connections.Add(-1)
	e.run()
}
