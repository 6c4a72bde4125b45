package auth

import (
	"context"
	"errors"
	"strings"

	"postrider/internal/auth/password"
)

// Entry is what a database knows of a user. It is read-only once returned.
type Entry struct {
	// Name is the user's full address in canonical form (see Canonical). It names
	// the account in the mail store.
	Name string
	// Hash is the stored form of the password, any that package password reads.
	// Empty: there is none, only app passwords or Verify. With Verify it is no stored
	// form but whatever changes with the password, so that a good login which is
	// remembered ends with it; it may be empty.
	Hash string
	// Scram are the keys for SCRAM-SHA-256; nil: this user cannot use it.
	Scram *password.Scram
	// AppPasswords are further passwords, one per program.
	AppPasswords []AppPassword
	// Senders are what the user may send as beside Name: an address, or "@domain"
	// for all of one.
	Senders []string
	// QuotaBytes and QuotaMessages bound the user's mailboxes; 0: as configured for
	// all, negative: no bound.
	QuotaBytes, QuotaMessages int64
	// Disabled users cannot log in. Mail for them is still filed.
	Disabled bool
	// Verify checks a password where the database does that itself (LDAP's bind);
	// nil: Hash decides. An error is temporary.
	Verify func(ctx context.Context, password []byte) (bool, error)
}

// AppPassword is a random password for one program.
type AppPassword struct {
	Name string
	// Digest is AppDigest of the password under the installation's secret.
	Digest [32]byte
	// Scopes are the protocols it is good for; empty: all.
	Scopes []string
	// Scram are the SCRAM keys of it, with the salt and rounds of the entry's own;
	// nil: not for SCRAM.
	Scram *password.Scram
}

// allows reports whether the password is good for a protocol.
func (p *AppPassword) allows(protocol string) bool {
	if len(p.Scopes) == 0 {
		return true
	}
	for _, s := range p.Scopes {
		if s == protocol {
			return true
		}
	}
	return false
}

// Database is where users come from.
type Database interface {
	// Lookup returns the user of a canonical name. ErrUnknown says that there is
	// none; any other error is temporary.
	Lookup(ctx context.Context, name string) (*Entry, error)
}

// Decoys is a Database that knows what its users' passwords cost to check. Decoy
// returns a stored form of the usual kind for a name that has no entry, the same
// each time for the same name.
type Decoys interface {
	Decoy(name string) (stored string)
}

// ScramDecoys is the same for SCRAM: how many rounds a user's password takes and how
// long his salt is, which every client is told. Zeros: no user has keys.
type ScramDecoys interface {
	ScramDecoy(name string) (rounds, saltBytes int)
}

// ScramReady is a Database that knows whether each user with a password has SCRAM
// keys. SCRAM is offered only where all databases say so: many programs take the
// first mechanism that they know and do not try another.
type ScramReady interface{ ScramReady() bool }

// TokenChecker checks the tokens of OAUTHBEARER and XOAUTH2.
type TokenChecker interface {
	// Check returns the user that a token belongs to. ErrCredentials says that the
	// token is not good; any other error is temporary.
	Check(ctx context.Context, token string) (user string, err error)
}

// Errors of a login. Their texts are safe to show to a stranger.
var (
	// ErrUnknown is a database's: no such user. It does not leave this package.
	ErrUnknown = errors.New("no such user")
	// ErrCredentials: the name, the password or the token is wrong, or the user is
	// disabled, or the password is not for this protocol. SMTP: 535 5.7.8; POP3:
	// -ERR [AUTH].
	ErrCredentials = errors.New("authentication failed")
	// ErrThrottled: too many failures; later. SMTP: 454 4.7.0; POP3: -ERR
	// [SYS/TEMP].
	ErrThrottled = errors.New("too many failed logins, try again later")
	// ErrUnavailable: a database does not answer, or too many logins wait. SMTP: 454
	// 4.7.0; POP3: -ERR [SYS/TEMP].
	ErrUnavailable = errors.New("temporary authentication failure")
	// ErrMechanism: no such mechanism here. SMTP: 504 5.5.4.
	ErrMechanism = errors.New("mechanism is not supported")
	// ErrEncryption: the mechanism is only for encrypted connections. SMTP: 538
	// 5.7.11.
	ErrEncryption = errors.New("encryption is required for this mechanism")
	// ErrMessage: what the client sent does not fit the mechanism. SMTP: 501 5.5.2.
	ErrMessage = errors.New("malformed authentication message")
)

// User is who logged in.
type User struct {
	Name                      string   // canonical address
	Senders                   []string // see Entry
	QuotaBytes, QuotaMessages int64    // see Entry
	AppPassword               string   // the name of the app password that was used, if one was
}

// MaySendAs reports whether the user may send as an address: the own one, also
// with a detail behind separator ("user+news@example"; 0: not), or one of Senders.
func (u *User) MaySendAs(address string, separator byte) bool {
	a := Canonical(address)
	if a == "" {
		return false
	}
	at := strings.LastIndexByte(a, '@')
	bare := a
	if i := strings.IndexByte(a[:max(at, 0)], separator); separator != 0 && i > 0 {
		bare = a[:i] + a[at:]
	}
	if a == u.Name || bare == u.Name {
		return true
	}
	for _, s := range u.Senders {
		if s == a || s == bare || at >= 0 && s == a[at:] {
			return true
		}
	}
	return false
}
