package imap

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"postrider/delivery/mailbox"
	"postrider/internal/auth"
	"postrider/internal/wire"
)

// Options is how sessions are held. A session takes one snapshot when it begins and
// keeps it to its end, so that a reload changes new sessions only; a snapshot is
// read-only once a session has it.
type Options struct {
	// Hostname is the name in the greeting.
	Hostname string
	// Auth says who a client is; it must be set.
	Auth *auth.Authenticator
	// Open returns the account of a user who has logged in; it must be set.
	Open func(ctx context.Context, user *auth.User) (*mailbox.Account, error)
	// Store is the one that the accounts are in; it must be set.
	Store *mailbox.Store
	// Sessions counts the sessions of each user, and is shared by all servers of one
	// store. nil: Limits.SessionsPerUser has no effect.
	Sessions *Sessions
	// Disabled returns capabilities that a user, or "" who is not logged in yet, is not
	// offered, in capitals. nil: none.
	Disabled func(user string) []string
	// TLS returns the configuration of the next handshake, so that certificates can
	// change while sessions last. nil: STARTTLS is not offered.
	TLS func() *tls.Config
	// ImplicitTLS starts each session with a handshake (RFC 8314).
	ImplicitTLS bool
	// RequireTLS refuses logins in clear, whatever the mechanism.
	RequireTLS bool
	// ClearLogin reports clients that may send a password without TLS. nil: none.
	ClearLogin func(netip.Addr) bool
	// Compress offers COMPRESS=DEFLATE (RFC 4978).
	Compress bool
	// Special are the folders that a user finds at the first login, by the names of
	// their special uses: "Drafts", "Sent", "Junk", "Trash", "Archive". nil: none.
	Special []string
	// Limits bound what a client may take.
	Limits Limits
	// Exempt reports clients for which Limits.ConnectionsPerClient does not count. nil:
	// none.
	Exempt func(netip.Addr) bool
	// Metrics are counted into. nil: nothing is counted.
	Metrics *Metrics
	// Events is told of logins and of what went wrong. It is called on the session's
	// goroutine (at a refused connection: on the accepting one) and must not block.
	// nil: nobody is told.
	Events func(e Event)
}

// Limits are the numbers that bound a session. Zero means the default; a negative
// number of connections means no limit.
type Limits struct {
	LoginBytes   int   // command before the login, with its literals; 0: 13,312, for a token in AUTHENTICATE; at most 16,384
	LoginLiteral int   // literal before the login; 0: 1024
	CommandBytes int   // command with its literals; 0: 65,536, which is the most
	AppendBytes  int64 // message that a client adds; 0: 50 MiB
	Errors       int   // commands answered BAD in a session before it is ended; 0: 50
	Failures     int   // failed logins in a session before it is ended; 0: 5

	SessionsPerUser      int // of one user from one address (IPv6: /64), logged in; 0: 30
	ConnectionsPerClient int // from one IPv4 address or IPv6 /64; 0: 100
	Connections          int // all together; 0: by the descriptor limit

	Handshake time.Duration // TLS handshake, absolute; 0: 10 s
	Login     time.Duration // from the greeting to a login, absolute; 0: 180 s
	Stress    time.Duration // the same while nine of ten Connections are open; 0: 10 s
	// Idle is how long a client that is logged in may be silent, in IDLE too; 0: a
	// little more than the 30 minutes that RFC 9051 section 5.4 asks for, since
	// deadlines may be a second early.
	Idle time.Duration
	// Command is the time from the first octet of a command to its last, without the
	// message of APPEND, absolute; 0: 5 min.
	Command time.Duration
	// StillHere is the pause between two signs of life in IDLE, for the gateways on the
	// way that forget silent connections; 0: 4 min.
	StillHere time.Duration
	// Progress is the pause between two signs of life of a search that takes long (RFC
	// 9585); the first comes after half of it. 0: 10 s.
	Progress time.Duration
	// Search is how long a search may take, the time included in which others had the
	// turn; 0: 5 min.
	Search time.Duration
	// FetchWork is how many octets of texts a FETCH may read more than it sends; 0: 1 GiB.
	FetchWork int64
	Write     time.Duration // for a client to take a block of replies; 0: 60 s
	Park      time.Duration // of waiting until a session gives up its stack; 0: 2 s
	Linger    time.Duration // for a client to read the last reply before the connection is cut; 0: 1 s
}

const (
	defaultLoginBytes   = 13 << 10
	defaultLoginLiteral = 1 << 10
	defaultCommandBytes = wire.BulkInputSize
	defaultAppendBytes  = 50 << 20
	defaultErrors       = 50
	defaultFailures     = 5
	defaultPerUser      = 30
	defaultPerClient    = 100
	defaultHandshake    = 10 * time.Second
	defaultLogin        = 180 * time.Second
	defaultStress       = 10 * time.Second
	defaultIdle         = 30*time.Minute + 5*time.Second
	defaultCommand      = 5 * time.Minute
	defaultStillHere    = 4 * time.Minute
	defaultProgress     = 10 * time.Second
	defaultSearch       = 5 * time.Minute
	defaultFetchWork    = 1 << 30
	defaultWrite        = 60 * time.Second
	defaultPark         = 2 * time.Second
	defaultLinger       = time.Second
)

// withDefaults returns l with every zero replaced.
func (l Limits) withDefaults() Limits {
	l.LoginBytes = min(cmp.Or(l.LoginBytes, defaultLoginBytes), wire.BufferSize)
	l.LoginLiteral = cmp.Or(l.LoginLiteral, defaultLoginLiteral)
	l.CommandBytes = min(cmp.Or(l.CommandBytes, defaultCommandBytes), wire.BulkInputSize)
	l.AppendBytes = cmp.Or(l.AppendBytes, defaultAppendBytes)
	l.Errors = cmp.Or(l.Errors, defaultErrors)
	l.Failures = cmp.Or(l.Failures, defaultFailures)
	l.SessionsPerUser = cmp.Or(l.SessionsPerUser, defaultPerUser)
	l.ConnectionsPerClient = cmp.Or(l.ConnectionsPerClient, defaultPerClient)
	l.Handshake = cmp.Or(l.Handshake, defaultHandshake)
	l.Login = cmp.Or(l.Login, defaultLogin)
	l.Stress = cmp.Or(l.Stress, defaultStress)
	l.Idle = cmp.Or(l.Idle, defaultIdle)
	l.Command = cmp.Or(l.Command, defaultCommand)
	l.StillHere = cmp.Or(l.StillHere, defaultStillHere)
	l.Progress = cmp.Or(l.Progress, defaultProgress)
	l.Search = cmp.Or(l.Search, defaultSearch)
	l.FetchWork = cmp.Or(l.FetchWork, defaultFetchWork)
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
	Commands     atomic.Int64 // commands done
	Errors       atomic.Int64 // commands answered BAD
	Fetched      atomic.Int64 // texts of messages, or parts of them, sent
	Bytes        atomic.Int64 // octets of them
	Appended     atomic.Int64 // messages added
	Idling       atomic.Int64 // sessions in IDLE now
	Woken        atomic.Int64 // times that one was told of something
	Compressed   atomic.Int64 // sessions that turned to COMPRESS
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

// Event tells of something that an operator may want to know. It never holds what a
// client sent as a name or a password.
type Event struct {
	Kind EventKind
	Conn *Conn // facts of the connection, valid until Events returns; only its address is set when it got no session
	Err  error // the cause, for the log

	Mechanism string // of Login and LoginFailed: "LOGIN" or a SASL mechanism
	// Of Ended: what the session did.
	Fetched, Appended, Expunged, Commands int
	Bytes                                 int64  // octets of the texts fetched
	Panic                                 any    // value of a panic, else nil
	Stack                                 []byte // its stack
}
