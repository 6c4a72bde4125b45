package pop3

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"postrider/internal/auth"
	"postrider/internal/wire"
)

// Options is how sessions are held. A session takes one snapshot when it begins
// and keeps it to its end, so that a reload changes new sessions only; a snapshot
// is read-only once a session has it.
type Options struct {
	// Hostname is the name in the greeting.
	Hostname string
	// Auth says who a client is; it must be set.
	Auth *auth.Authenticator
	// Open returns the maildrop of a user who has logged in; it must be set.
	Open func(ctx context.Context, user *auth.User) (Maildrop, error)
	// Drops knows the maildrops that are open, and is shared by all servers of
	// one store. nil: neither Exclusive nor LoginDelay has an effect.
	Drops *Drops
	// TLS returns the configuration of the next handshake, so that certificates
	// can change while sessions last. nil: STLS is not offered.
	TLS func() *tls.Config
	// ImplicitTLS starts each session with a handshake (RFC 8314).
	ImplicitTLS bool
	// RequireTLS refuses logins in clear, whatever the mechanism.
	RequireTLS bool
	// ClearLogin reports clients that may send a password without TLS. nil: none.
	ClearLogin func(netip.Addr) bool
	// Exclusive lets one session at a time have a maildrop (RFC 1939 section 4);
	// others are told [IN-USE]. Else several see it, and a message that one of
	// them removes is gone for the others.
	Exclusive bool
	// LoginDelay is the least time between two logins of a user (RFC 2449 section
	// 6.5); 0: none.
	LoginDelay time.Duration
	// ExpireDays is announced as the days for which messages stay on the server
	// (RFC 2449 section 6.7); 0: they never expire.
	ExpireDays int
	// Limits bound what a client may take.
	Limits Limits
	// Exempt reports clients for which Limits.ConnectionsPerClient does not
	// count. nil: none.
	Exempt func(netip.Addr) bool
	// Metrics are counted into. nil: nothing is counted.
	Metrics *Metrics
	// Events is told of logins and of what went wrong. It is called on the session's
	// goroutine (at a refused connection: on the accepting one) and must not block.
	// nil: nobody is told.
	Events func(e Event)
}

// Limits are the numbers that bound a session. Zero means the default; a
// negative number of connections means no limit.
type Limits struct {
	CommandBytes int // command line with its CRLF; 0: 1024 (RFC 2449 section 4 asks for 255)
	AuthBytes    int // line of AUTH or of its exchange, with its CRLF (RFC 5034 section 4); 0: 12,288, at most 16,384
	Errors       int // commands answered -ERR in a session before it is ended; 0: 100
	Failures     int // failed logins in a session before it is ended; 0: 5

	ConnectionsPerClient int // from one IPv4 address or IPv6 /64; 0: 50
	Connections          int // all together; 0: by the descriptor limit

	Handshake time.Duration // TLS handshake, absolute; 0: 10 s
	Login     time.Duration // from the greeting to a login, absolute; 0: 180 s
	Stress    time.Duration // the same while nine of ten Connections are open; 0: 10 s
	// Command is the time from one reply to the end of the next command once the
	// client is logged in, absolute; 0: a little more than the 10 minutes that RFC
	// 1939 section 3 asks for, since deadlines may be a second early.
	Command time.Duration
	Write   time.Duration // for a client to take a block of replies; 0: 60 s
	Park    time.Duration // of waiting until a session gives up its stack; 0: 2 s
	Linger  time.Duration // for a client to read the last reply before the connection is cut; 0: 1 s
}

const (
	defaultCommandBytes = 1024
	defaultAuthBytes    = 12 << 10
	defaultErrors       = 100
	defaultFailures     = 5
	defaultPerClient    = 50
	defaultHandshake    = 10 * time.Second
	defaultLogin        = 180 * time.Second
	defaultStress       = 10 * time.Second
	defaultCommand      = 10*time.Minute + 5*time.Second
	defaultWrite        = 60 * time.Second
	defaultPark         = 2 * time.Second
	defaultLinger       = time.Second
)

// withDefaults returns l with every zero replaced.
func (l Limits) withDefaults() Limits {
	l.CommandBytes = min(cmp.Or(l.CommandBytes, defaultCommandBytes), wire.BufferSize)
	l.AuthBytes = min(cmp.Or(l.AuthBytes, defaultAuthBytes), wire.BufferSize)
	l.Errors = cmp.Or(l.Errors, defaultErrors)
	l.Failures = cmp.Or(l.Failures, defaultFailures)
	l.ConnectionsPerClient = cmp.Or(l.ConnectionsPerClient, defaultPerClient)
	l.Handshake = cmp.Or(l.Handshake, defaultHandshake)
	l.Login = cmp.Or(l.Login, defaultLogin)
	l.Stress = cmp.Or(l.Stress, defaultStress)
	l.Command = cmp.Or(l.Command, defaultCommand)
	l.Write = cmp.Or(l.Write, defaultWrite)
	l.Park = cmp.Or(l.Park, defaultPark)
	l.Linger = cmp.Or(l.Linger, defaultLinger)
	return l
}

// Metrics count what sessions do. Every field may be read at any time.
type Metrics struct {
	Connections  atomic.Int64 // open now
	Accepted     atomic.Int64 // connections that got a session
	Refused      atomic.Int64 // connections refused by a cap or a drain
	Logins       atomic.Int64 // that succeeded
	Failures     atomic.Int64 // logins that were refused
	Retrieved    atomic.Int64 // messages sent by RETR
	Bytes        atomic.Int64 // octets of them
	Removed      atomic.Int64 // messages removed by QUIT
	Errors       atomic.Int64 // replies -ERR
	Handshakes   atomic.Int64 // TLS handshakes that succeeded
	HandshakeErr atomic.Int64 // TLS handshakes that failed
	Panics       atomic.Int64 // sessions that panicked
	AcceptErrors atomic.Int64 // accepting failed, as when descriptors ran out
}

// Conn holds the facts of one connection.
type Conn struct {
	ID       uint64         // number of the session, never used twice by a server's process
	Remote   netip.AddrPort // zero for a unix socket
	Local    netip.AddrPort // zero for a unix socket
	Listener string         // as configured
	TLS      uint16         // its version as crypto/tls numbers them; 0 in clear
	User     string         // who is logged in; "": nobody
	Ended    wire.Reason    // why the session ended
}

// EventKind says what an Event tells.
type EventKind uint8

// The kinds.
const (
	Refused     EventKind = iota // the connection got no session; Conn.Ended says why
	Login                        // somebody logged in
	LoginFailed                  // Err says why; Conn.User is nobody
	Trouble                      // the store failed; Err says how
	Ended                        // a session of somebody who was logged in has ended
	Panicked                     // a session panicked
)

// Event tells of something that an operator may want to know. It never holds what
// a client sent as a name or a password.
type Event struct {
	Kind EventKind
	Conn *Conn // facts of the connection, valid until Events returns; only its address is set when it got no session
	Err  error // the cause, for the log

	Mechanism          string // of Login and LoginFailed: "USER" or a SASL mechanism
	Retrieved, Removed int    // of Ended: messages
	Bytes              int64  // of Ended: octets of the messages retrieved
	Panic              any    // value of a panic, else nil
	Stack              []byte // its stack
}
