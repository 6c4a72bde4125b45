package config

import "time"

// Submission says what is done with mail of users who have logged in.
type Submission struct {
	CheckSender bool // MAIL FROM and From must belong to the login
	HideClient  bool // the client's name and address do not go into the Received line
}

// What a recipient without room gets.
const (
	OverQuotaTemporary = "temporary"
	OverQuotaPermanent = "permanent"
)

// Local says what is delivered into mailboxes here.
type Local struct {
	Domains       []string // lower case
	Postmaster    string   // address that a bare <postmaster> stands for; may be empty
	Separator     string   // one character between a user and a folder; empty: none
	Quota         int64    // bytes of a user for whom nothing else is said; 0: no bound
	QuotaMessages int64    // messages of such a user; 0: no bound
	OverQuota     string   // "temporary" or "permanent"
	Direct        bool     // mail for users here only need not pass the queue
}

// Mailboxes says how mail is kept.
type Mailboxes struct {
	Segment int64 // bytes of one file of the log
	Cache   int64 // bytes of the index in memory
	Reserve int64 // disk kept free; 0: as the queue's
}

// When a password may be sent without TLS.
const (
	ClearTextNever    = "never"
	ClearTextLoopback = "loopback"
	ClearTextAlways   = "always"
)

// Users says who the users are, and what a login costs.
type Users struct {
	File      string        // empty: none
	Cache     time.Duration // that a good password is not hashed again; 0: always
	Cores     int           // that hash passwords; 0: half of them
	Delay     time.Duration // of the first refusal
	MaxDelay  time.Duration // of any refusal
	ClearText string        // "never", "loopback" or "always": on listeners whose tls is off
	SQL       SQL
	LDAP      LDAP
	OAuth     OAuth
}

// SQL is a PostgreSQL database of users.
type SQL struct {
	URLFile     string // empty: none
	URL         Secret // first line of URLFile; empty until Load has read it
	Query       string
	Connections int
	Timeout     time.Duration
}

// LDAP is a directory of users.
type LDAP struct {
	URL              string // ldap:, ldaps: or ldapi:; empty: none
	StartTLS         bool   // with ldap:
	TLSCA            string // PEM file of authorities; empty: the system's
	Base             string
	Filter           string // with {user} for the name
	BindDN           string // empty: anonymous
	BindPasswordFile string
	BindPassword     Secret // first line of BindPasswordFile
	NameAttribute    string // of the address that is the account; empty: the one that was asked for
	SendersAttribute string // of addresses that a user may send as; empty: none
	QuotaAttribute   string // of bytes; empty: as for all
	OffAttribute     string // TRUE: may not log in; empty: all may
	Connections      int
	Timeout          time.Duration
}

// OAuth says which bearer tokens are good. One of JWKSURL and IntrospectionURL
// is set, or Issuer alone, which tells of the keys.
type OAuth struct {
	Issuer           string // all three empty: none
	JWKSURL          string
	IntrospectionURL string
	Audience         string
	UserClaim        string
	ClientID         string // for the introspection
	ClientSecretFile string
	ClientSecret     Secret // first line of ClientSecretFile
	Timeout          time.Duration
}

// Configured reports that bearer tokens are taken.
func (o *OAuth) Configured() bool {
	return o.Issuer != "" || o.JWKSURL != "" || o.IntrospectionURL != ""
}

// POP3 says how a mailbox is fetched by POP3.
type POP3 struct {
	Exclusive  bool          // one session a mailbox
	LoginDelay time.Duration // least time between two logins of a user
	Expire     int           // days that messages are kept, as announced; -1: for ever
}

// IMAP says what sessions of IMAP may do.
type IMAP struct {
	IdleTimeout     time.Duration // that a client may be silent
	SessionsPerUser int           // from one address
	AppendLimit     int64         // bytes of a message that a client adds; 0: as Relay.MaxMessageSize
	Compress        bool          // COMPRESS=DEFLATE is offered
	SpecialFolders  bool          // Drafts, Sent, Junk, Trash and Archive are made at the first login
	// Disabled are the capabilities that an account is not offered, in upper case,
	// by address in lower case; those of "*" are offered to nobody.
	Disabled map[string][]string
}

// Autoconfig says where mail programs ask for their settings.
type Autoconfig struct {
	Address string // host:port; empty: nowhere
}
