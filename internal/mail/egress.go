package mail

import "net/netip"

// Egress is how one outbound connection is made: where to, from where, and how
// it must be protected. Whoever gets one only reads it.
type Egress struct {
	Hop     Hop
	Site    string     // the site or next hop as the log names it
	Targets []Target   // of HopMX: the hosts in the order in which they are tried; else empty
	Source  SourceHost // where the connection comes from
	TLS     TLSPolicy
	Login   *Login // AUTH at the next hop; nil: none

	MaxMessages   int // on one connection; 0: no limit
	MaxRecipients int // of one transaction; 0: no limit beyond what was leased

	// Heard, when not nil, is told once of each target that was tried, in turn, on
	// the goroutine of the connection. That one came up is told once at most: of a
	// further one, to which a message goes that the first could not take, only that
	// it did not.
	Heard func(Hearing)
}

// Target is one address of one mail exchanger.
type Target struct {
	Host       string // name, without a trailing dot
	Addr       netip.AddrPort
	Preference uint16
	Authentic  bool // the records that led here were validated (DNSSEC)
}

// Hearing is what came of trying a target.
type Hearing struct {
	Target  Target
	Connect bool   // it came up, so that deliveries were pulled
	Status  Status // why it did not; the text is valid during the call
	Class   Class  // of that; ClassNone when these are the words of the server
	Micros  int64  // from the dial to the end of the greeting, when it came up
}

// SourceHost is who an outbound connection claims to be.
type SourceHost struct {
	Name  string     // as the log and the rules call it; "": the default source
	Hello string     // name in EHLO; "": the system's
	V4    netip.Addr // local address for IPv4 targets; zero: the system's choice
	V6    netip.Addr // for IPv6 targets; zero: the system's choice
}

// TLSLevel is what is demanded of the encryption of a connection.
type TLSLevel uint8

// The levels, in the words of the configuration.
const (
	TLSMay         TLSLevel = iota // encrypted when the server can, in clear else
	TLSNone                        // never
	TLSEncrypt                     // encrypted, by whomever
	TLSVerify                      // with a certificate of a known authority for the right name
	TLSFingerprint                 // with one of the certificates that are named
)

// String returns the level's word.
func (l TLSLevel) String() string {
	switch l {
	case TLSMay:
		return "may"
	case TLSNone:
		return "none"
	case TLSEncrypt:
		return "encrypt"
	case TLSVerify:
		return "verify"
	case TLSFingerprint:
		return "fingerprint"
	}
	return "unknown"
}

// Enforced reports that mail waits rather than goes in clear.
func (l TLSLevel) Enforced() bool { return l >= TLSEncrypt }

// TLSPolicy is the protection that a domain, and so a site, asks for.
type TLSPolicy struct {
	Level        TLSLevel
	Names        []string   // of TLSVerify: names of which the certificate must have one, ".suffix" for those below; none: the target's host
	Fingerprints [][32]byte // of TLSFingerprint: SHA-256 of the certificate or of its public key
	Origin       string     // where it comes from, for the log: "", "policy", later "dane" and "sts"
}

// Login is what AUTH at a next hop uses. It is only ever sent over TLS, or to a
// next hop whose policy is TLSNone.
type Login struct {
	User     string
	Password string `json:"-"`
}

// String leaves the password out, so that nothing that prints a Login, or what
// holds one, tells it.
func (l Login) String() string { return "login of " + l.User }

// GoString does the same for %#v.
func (l Login) GoString() string { return l.String() }
