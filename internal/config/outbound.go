package config

import (
	"net/netip"
	"time"

	"postrider/internal/mail"
)

// Outbound says how mail leaves.
type Outbound struct {
	Port                  int
	AllowPrivateTargets   []netip.Prefix
	OwnAddresses          []netip.Addr  // of this system, beside those of its interfaces
	Connections           int           // at most, to one destination
	TotalConnections      int           // at most, to all of them
	ConnectionLifetime    time.Duration // an outbound connection is not used for longer
	MessagesPerConnection int           // then it is closed
	RepliesFile           string        // rules that classify replies; empty: the built-in ones
	ProvidersFile         string        // rules of mailbox providers; empty: the built-in ones
}

// DefaultPool is the pool of sources that name none, and of routes that name none.
const DefaultPool = "default"

// Source is an address that mail leaves from, and the name that goes with it.
type Source struct {
	Name     string
	Pool     string     // DefaultPool when the file names none
	Address  netip.Addr // IPv4; zero: the system's choice
	Address6 netip.Addr // IPv6; zero: the system's choice
	Hello    string     // name in EHLO; empty: the host name
	Weight   int        // share of its pool's messages
}

// Route sends the recipients that match all of its conditions to a next hop.
type Route struct {
	Domain string       // recipients: "*", ".suffix" or an exact domain, lower case
	Sender string       // "" any, else "<>", "user@domain", "domain" or ".suffix", lower case
	User   string       // "" any, "*" whoever logged in, "@domain" or the user's name
	Client netip.Prefix // the zero value: any

	Hop           mail.Hop
	Pool          string   // of sources, or the name of one; empty: DefaultPool
	Fallback      mail.Hop // after FallbackAfter attempts; the zero value: none
	FallbackAfter int
	Username      string
	PasswordFile  string
	Password      Secret // first line of PasswordFile; empty until Load has read it
	TLS           string // a word of mail.TLSLevel; empty: as [[tls_policy]] says
}

// TLSLevel is the level that TLS names.
func (r *Route) TLSLevel() mail.TLSLevel {
	l, _ := parseLevel(r.TLS) // one of the words, or empty: may
	return l
}

// TLSPolicy is the protection that connections for some domains must have.
type TLSPolicy struct {
	Domain       string // "*", ".suffix" or an exact domain, lower case
	Level        mail.TLSLevel
	Names        []string   // that the certificate must have one of, with verify
	Fingerprints [][32]byte // one of which the certificate or its key must have
}

// Cap bounds what one destination gets from here, or one source sends. One of
// Site, Provider and Source is set. A zero number is no bound of its own.
type Cap struct {
	Site     string
	Provider string
	Source   string

	Connections              int
	ConnectsPerSecond        float64
	MessagesPerSecond        float64
	MessagesPerConnection    int
	RecipientsPerTransaction int
}

// Aliases names the file of addresses that stand for others.
type Aliases struct {
	File string // empty: none
}

// SRS says how the sender of forwarded mail is rewritten.
type SRS struct {
	Domain     string // lower case; empty: senders stay as they are
	SecretFile string
	Secrets    []Secret // lines of SecretFile, the first one signs; none until Load has read it
	MaxAge     time.Duration
	HashLength int // characters of the signature
}

// Bounce says how notices are written.
type Bounce struct {
	Templates string // folder with the operator's texts; empty: the built-in ones
	PerVictim int    // notices to one address in an hour; 0: any number
	Pool      string // of sources that notices leave from; empty: as their routes say
}

// Secret is a text that is never shown: whatever formats it writes a mark instead.
type Secret string

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
