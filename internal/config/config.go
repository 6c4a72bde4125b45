// Package config turns one TOML file into one typed value.
//
// The file is read strictly: a key that does not exist, a value of the wrong
// type and a value out of range are errors, and all of them are reported at
// once, each with file, line, column, the offending line and, where one can be
// guessed, what was probably meant. Nothing of a file that has an error is ever
// used, so that a reload either takes effect whole or not at all.
//
// Every key is one row of a table (schema.go) that names its type, its default,
// its range and its meaning; the parser, the suggestions and the reference
// documentation (Document) all come from that table, so that they cannot
// disagree.
//
// A configuration that would make an open relay is refused here, before any
// socket is opened (see check.go for what counts as one).
//
// # Concurrency
//
// A Config is built by one goroutine and is immutable once Load has returned.
package config

import (
	"net/netip"
	"time"
)

// Config is a whole configuration with every default filled in and every path
// resolved. Sizes are bytes.
type Config struct {
	// Path is the file that was read; empty for the built-in defaults.
	Path string
	// Text is the exact content of that file.
	Text []byte

	// Warnings tell of what is allowed but cannot be meant, by place.
	Warnings Errors

	Version    int    // always 1
	Hostname   string // never empty
	DataDir    string // folder of everything the daemon writes
	Listeners  []Listener
	TLS        TLS
	Relay      Relay
	Submission Submission
	Local      Local
	Mailboxes  Mailboxes
	Users      Users
	POP3       POP3
	IMAP       IMAP
	Autoconfig Autoconfig
	Queue      Queue
	DNS        DNS
	Outbound   Outbound
	Sources    []Source
	Routes     []Route // in the order of the file: the first match wins
	Policies   []TLSPolicy
	Caps       []Cap
	Aliases    Aliases
	SRS        SRS
	Bounce     Bounce
	Limits     Limits
	Admin      Admin
	Log        Log
}

// Service is what a listener speaks.
type Service string

// The services of a listener.
const (
	ServiceRelay       Service = "relay"
	ServiceSubmission  Service = "submission"
	ServiceSubmissions Service = "submissions"
	ServiceLMTP        Service = "lmtp"
	ServicePOP3        Service = "pop3"
	ServicePOP3S       Service = "pop3s"
	ServiceIMAP        Service = "imap"
	ServiceIMAPS       Service = "imaps"
)

// Submits reports a service that takes mail of users who have logged in, and of
// nobody else.
func (s Service) Submits() bool { return s == ServiceSubmission || s == ServiceSubmissions }

// Logins reports a service at which users log in: every one but lmtp.
func (s Service) Logins() bool { return s != ServiceLMTP }

// ImplicitTLS reports a service that is encrypted from the first byte.
func (s Service) ImplicitTLS() bool {
	return s == ServiceSubmissions || s == ServicePOP3S || s == ServiceIMAPS
}

// TLSMode says whether a listener offers STARTTLS.
type TLSMode string

// The modes of a listener's TLS.
const (
	TLSOff      TLSMode = "off"
	TLSOptional TLSMode = "optional"
	TLSRequired TLSMode = "required"
)

// Listener is one address that takes connections.
type Listener struct {
	Address string  // as written: host:port or unix:PATH
	Network string  // "tcp" or "unix"
	Host    string  // host:port, or the resolved socket path
	Service Service //
	TLS     TLSMode
}

// TLS names the certificate that every listener presents.
type TLS struct {
	Certificate string // PEM file; empty: self-signed, made at start
	Key         string // PEM file
}

// Relay says whom mail is taken from, and what kind of mail.
type Relay struct {
	Networks       []netip.Prefix // clients that may relay without a login
	Domains        []string       // lower case: domains relayed for anyone
	MaxMessageSize int64
	LineEndings    string // "reject" or "normalize": a bare CR or LF in a message
}

// Queue holds the retry schedule and the queue's room.
type Queue struct {
	Lifetime  time.Duration
	RetryMin  time.Duration
	WarnAfter time.Duration // 0: never
	Reserve   int64         // disk kept free; 0: the smaller of 256 MiB and 2% of the disk
	Memory    int64         // message texts in memory
}

// DNS names the resolvers.
type DNS struct {
	Servers []string // host:port; empty: the system's
}

// Limits bound what strangers can take.
type Limits struct {
	ConnectionsPerClient int
	Connections          int // 0: from the descriptor limit
	Recipients           int // of one message
	Header               int64
	Hops                 int // Received lines
	JunkCommands         int
	CommandTimeout       time.Duration
	StressTimeout        time.Duration
	HandshakeTimeout     time.Duration
	DataRate             int64 // bytes a second
	DataGrace            time.Duration
	Drain                time.Duration

	// Failed logins within LoginWindow, over all protocols.
	LoginFailuresPerClient  int // from an IPv4 address or an IPv6 /64
	LoginFailuresPerNetwork int // from an IPv4 /24 or an IPv6 /48
	LoginFailuresPerAccount int // for a user's name
	LoginWindow             time.Duration
}

// Admin says where the operator's interface is.
type Admin struct {
	Socket    string // resolved path; empty: none
	HTTP      string // host:port; empty: none
	TLS       bool   // serve HTTP over TLS, with the certificate of [tls]
	TokenFile string
}

// Log says where events and diagnostics go.
type Log struct {
	Events   string // resolved path, or "-" for the standard output
	Level    string // debug, info, warn, error: diagnostics only
	OnStall  string // "backpressure" or "drop_count"
	Rotate   int64  // size at which the file is rotated; 0: never
	Keep     int    // rotated files kept; 0: any number
	MaxTotal int64  // bytes of all event files together; 0: no bound
	Sessions bool   // write session_open and session_close
}
