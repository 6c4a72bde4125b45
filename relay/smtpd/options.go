package smtpd

import (
	"cmp"
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"postrider/internal/mail"
)

// LineEndings says what is done with a message that holds a CR without LF or an
// LF without CR. Whatever the choice, only CRLF "." CRLF ends a message.
type LineEndings uint8

// The choices.
const (
	// Reject reads the message to its real end and answers 550 5.6.11.
	Reject LineEndings = iota
	// Normalize makes each of them a CRLF.
	Normalize
)

// Options is how sessions are held. A session takes one snapshot when it begins
// and keeps it to its end, so that a reload changes new sessions only; a snapshot
// is read-only once a session has it.
type Options struct {
	// Hostname is the name in the greeting and in the reply to EHLO.
	Hostname string
	// Handler decides; it must be set.
	Handler Handler
	// LMTP makes the server speak RFC 2033: LHLO in the place of EHLO and HELO,
	// and one reply for each accepted recipient after the text.
	LMTP bool
	// TLS returns the configuration of the next handshake, so that certificates
	// can change while sessions last. nil: STARTTLS is not offered.
	TLS func() *tls.Config
	// ImplicitTLS starts each session with a handshake (RFC 8314).
	ImplicitTLS bool
	// RequireTLS refuses MAIL in clear with 530 5.7.0 (RFC 3207 section 4).
	RequireTLS bool
	// Auth checks logins; nil, or LMTP: AUTH is not offered.
	Auth Authenticator
	// RequireLogin refuses MAIL and what is about mail with 530 5.7.0 before a login
	// (RFC 4954 section 6): nobody is trusted for the place that he calls from.
	RequireLogin bool
	// ClearLogin reports clients whose connection counts as protected though it is in
	// clear, so that passwords may come by it. nil: none.
	ClearLogin func(netip.Addr) bool
	// Limits bound what a client may take.
	Limits Limits
	// LineEndings is what becomes of a bare CR or LF in a message.
	LineEndings LineEndings
	// Exempt reports clients for which Limits.ConnectionsPerClient does not
	// count. nil: none.
	Exempt func(netip.Addr) bool
	// Metrics are counted into. nil: nothing is counted.
	Metrics *Metrics
	// Events is told of every 4xx and 5xx given, and of a session that
	// panicked. It is called on the session's goroutine (at a refused
	// connection: on the accepting one) and must not block. nil: nobody is told.
	Events func(e RejectEvent)
}

// Limits are the numbers that bound a session. Zero means the default; a
// negative number of connections means no limit.
type Limits struct {
	MessageBytes   int64 // text of one message; 0: 50,000,000
	HeaderBytes    int   // header block of a message (552 above); 0: 256 KiB
	Received       int   // Received fields of a message (554 5.4.6 above); 0: 100
	Recipients     int   // accepted recipients of a transaction (452 above); 0: 1000
	RecipientsOver int   // RCPT commands refused for that before 421; 0: 1000
	CommandBytes   int   // command line with its CRLF (RFC 5321 section 4.5.3.1.4); 0: 512
	Logins         int   // failed ones of a session (421 for the last); 0: 5
	ParamsBytes    int   // MAIL and RCPT line with its CRLF; 0: 2048, at most 8192
	Junk           int   // commands that lead to no message, between two messages (421 above); 0: 100
	Errors         int   // commands answered 5xx in a session, recipients refused by policy aside (421 above); 0: 100

	ConnectionsPerClient int // from one IPv4 address or IPv6 /64 (421 above); 0: 50
	Connections          int // all together (421 above); 0: by the descriptor limit

	GreetDelay time.Duration // wait before the greeting for a client that talks first; 0: look once, do not wait
	Handshake  time.Duration // TLS handshake, absolute; 0: 10 s
	Login      time.Duration // for one login to be checked, its delay included; 0: 4 min
	Command    time.Duration // from one reply to the end of the next command, absolute; 0: 300 s
	Stress     time.Duration // the same while nine of ten Connections are open; 0: 10 s
	Write      time.Duration // for a client to take a block of replies; 0: 60 s
	Data       time.Duration // between two blocks of a text (RFC 5321 section 4.5.3.2.5); 0: 180 s
	DataGrace  time.Duration // before DataRate is asked for; 0: 30 s
	DataRate   int64         // least octets per second of a text; 0: 500, negative: any
	// Accept is the longest time from the end of a text to its reply that a
	// client is thought to wait for: when Session.Commit is not certain by
	// then the message is refused with 4xx rather than accepted late (RFC
	// 1047); 0: 300 s. Conn.AcceptDeadline tells the session.
	Accept time.Duration
	Linger time.Duration // for a client to read the last reply before the connection is cut; 0: 1 s
}

const (
	defaultMessageBytes = 50_000_000
	defaultHeaderBytes  = 256 << 10
	defaultReceived     = 100
	defaultRecipients   = 1000
	defaultCommandBytes = 512
	defaultParamsBytes  = 2048
	maxParamsBytes      = 8192
	defaultJunk         = 100
	defaultErrors       = 100
	defaultPerClient    = 50
	defaultHandshake    = 10 * time.Second
	defaultCommand      = 300 * time.Second
	defaultStress       = 10 * time.Second
	defaultWrite        = 60 * time.Second
	defaultData         = 180 * time.Second
	defaultDataGrace    = 30 * time.Second
	defaultDataRate     = 500
	defaultAccept       = 300 * time.Second
	defaultLinger       = time.Second
)

// withDefaults returns l with every zero replaced.
func (l Limits) withDefaults() Limits {
	orElse(&l.MessageBytes, defaultMessageBytes)
	orElse(&l.HeaderBytes, defaultHeaderBytes)
	orElse(&l.Received, defaultReceived)
	orElse(&l.Recipients, defaultRecipients)
	orElse(&l.RecipientsOver, defaultRecipients)
	orElse(&l.CommandBytes, defaultCommandBytes)
	orElse(&l.ParamsBytes, defaultParamsBytes)
	l.ParamsBytes = min(l.ParamsBytes, maxParamsBytes)
	l.CommandBytes = min(l.CommandBytes, maxParamsBytes)
	orElse(&l.Junk, defaultJunk)
	orElse(&l.Errors, defaultErrors)
	orElse(&l.ConnectionsPerClient, defaultPerClient)
	orElse(&l.Logins, defaultLogins)
	orElse(&l.Login, defaultLogin)
	orElse(&l.Handshake, defaultHandshake)
	orElse(&l.Command, defaultCommand)
	orElse(&l.Stress, defaultStress)
	orElse(&l.Write, defaultWrite)
	orElse(&l.Data, defaultData)
	orElse(&l.DataGrace, defaultDataGrace)
	orElse(&l.DataRate, defaultDataRate)
	orElse(&l.Accept, defaultAccept)
	orElse(&l.Linger, defaultLinger)
	return l
}

// orElse replaces a zero.
func orElse[T comparable](p *T, v T) { *p = cmp.Or(*p, v) }

// Metrics count what sessions do. Every field may be read at any time.
type Metrics struct {
	Connections  atomic.Int64 // open now
	Accepted     atomic.Int64 // connections that got a session
	Refused      atomic.Int64 // connections refused by a cap, a drain or the handler
	Messages     atomic.Int64 // texts answered 2xx
	Bytes        atomic.Int64 // octets of those texts
	Rejected4xx  atomic.Int64 // replies 4xx
	Rejected5xx  atomic.Int64 // replies 5xx
	Handshakes   atomic.Int64 // TLS handshakes that succeeded
	HandshakeErr atomic.Int64 // TLS handshakes that failed
	Panics       atomic.Int64 // sessions that panicked
	AcceptErrors atomic.Int64 // accepting failed, as when descriptors ran out
}

// RejectEvent tells of a 4xx or 5xx that a client was given.
type RejectEvent struct {
	Conn      *Conn       // facts of the connection; only its address is set when it got no session
	Command   string      // "CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ..., "UNKNOWN"
	Argument  []byte      // raw octets of a stranger, valid until Events returns: of MAIL and RCPT the path with its brackets, of others the rest of the line; of what may hold a password nothing
	Sender    []byte      // canonical reverse-path of the open transaction, else nil; valid until Events returns
	Status    mail.Status // as sent
	Rule      string      // the engine's rule that spoke ("syntax", "order", "junk", "recipients", ...), or "handler"
	Panic     any         // value of a panic, else nil
	PanicText []byte      // its stack
}
