// Package ldapdb has users in an LDAP directory (RFC 4511): one is found by a
// search, and the password is checked by a bind as the entry that was found.
//
//	users, err := ldapdb.New(ldapdb.Options{
//		URL:          "ldaps://ldap.example.org",
//		Base:         "ou=people,dc=example,dc=org",
//		Filter:       "(&(objectClass=inetOrgPerson)(mail={user}))",
//		BindDN:       "cn=postrider,ou=services,dc=example,dc=org",
//		BindPassword: "secret",
//	})
//	...
//	defer users.Close()
//	authenticator := auth.New(auth.Options{Databases: []auth.Database{users}})
//
// Guarantees:
//
//   - Only a search that succeeded and found nothing means that a user does not
//     exist, and only the server's word about a bind that a password is wrong.
//     Whatever else goes wrong, with the network or the configuration, is temporary.
//   - What takes the place of {user} in the filter is escaped (RFC 4515 section 3):
//     a name cannot change the filter.
//   - An empty password is never sent: servers take a bind with one for a success
//     without a login (RFC 4513 section 5.1.2).
//   - Passwords go over ldaps:, ldapi: or StartTLS, with the certificate checked. In
//     clear only to this machine, or where Options.Plain says so.
//
// # Concurrency
//
// A DB is safe for concurrent use, and an entry that it returned is read-only.
// Connections for searches and those for binds are kept apart, since a bind changes
// who the connection is; each serves one caller at a time. Close ends those that
// nobody uses; the rest end with their callers.
package ldapdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
)

// Options configure a DB.
type Options struct {
	URL      string      // ldaps://host[:port], ldap://host[:port] or ldapi://path with %2F for /
	StartTLS bool        // encrypt the connection of an ldap: URL
	Plain    bool        // bind in clear to other machines, too
	TLS      *tls.Config // nil: the system's authorities

	BindDN       string // who searches; "": nobody in particular
	BindPassword string

	Base   string // what is searched, with everything below it
	Filter string // with {user} for the name, {local} and {domain} for its parts; "": "(mail={user})"

	Attributes  Attributes
	Connections int // for searches, and as many for binds; 0: 4

	// Guard bounds the time of a lookup and of a bind and remembers users. Its
	// Concurrent is set to Connections.
	Guard guard.Options
}

// Attributes name those of an entry that are looked at; "": none.
type Attributes struct {
	// Name is the address that is the account, for filters that find a user by others,
	// too. It must have one value. "": the address that was asked for.
	Name string
	// Senders are what the user may send as besides; "@domain" is all of a domain. A
	// prefix "smtp:" in any case is left out, as in Active Directory's proxyAddresses.
	Senders       string
	QuotaBytes    string // 0: as for everybody, below: none
	QuotaMessages string
	Disabled      string // "TRUE": may not log in
}

// DB is an auth.Database.
type DB struct {
	*guard.Users
	o        Options
	gate     *guard.Gate // of binds; that of searches is the Users'
	searches *pool
	binds    *pool
}

// New returns a DB. It does not connect yet, so that a directory that is down does
// not keep the mail server from its start.
func New(o Options) (*DB, error) {
	if o.Filter == "" {
		o.Filter = "(mail={user})"
	}
	if !strings.Contains(o.Filter, "{user}") && !strings.Contains(o.Filter, "{local}") {
		return nil, errors.New("ldapdb: the filter does not contain {user}, so that it would find anybody")
	}
	if _, err := ldap.CompileFilter(fill(o.Filter, "user@example.org")); err != nil {
		return nil, fmt.Errorf("ldapdb: filter: %w", err)
	}
	if o.BindDN != "" && o.BindPassword == "" {
		return nil, errors.New("ldapdb: there is no password for " + o.BindDN)
	}
	to, err := parseTarget(&o)
	if err != nil {
		return nil, fmt.Errorf("ldapdb: %w", err)
	}
	if o.Connections <= 0 {
		o.Connections = 4
	}
	o.Guard.Concurrent = o.Connections
	db := &DB{o: o, gate: guard.NewGate(o.Guard.Limits)}
	db.searches = newPool(to, o.Connections, func(c *ldap.Conn) error {
		if o.BindDN == "" {
			return nil
		}
		return c.Bind(o.BindDN, o.BindPassword)
	})
	db.binds = newPool(to, o.Connections, func(*ldap.Conn) error { return nil })
	db.Users = guard.NewUsers(guard.NewGate(o.Guard.Limits), o.Guard, db.ask)
	return db, nil
}

// Close ends the connections that are not in use.
func (db *DB) Close() error {
	db.searches.close()
	db.binds.close()
	return nil
}

// fill puts a name into the filter.
func fill(filter, name string) string {
	local, domain := name, ""
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		local, domain = name[:at], name[at+1:]
	}
	return strings.NewReplacer("{user}", ldap.EscapeFilter(name), "{local}", ldap.EscapeFilter(local), "{domain}", ldap.EscapeFilter(domain)).Replace(filter)
}

// ask searches for a user.
func (db *DB) ask(ctx context.Context, name string) (*auth.Entry, error) {
	request := ldap.NewSearchRequest(db.o.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		2, 0, false, fill(db.o.Filter, name), db.o.Attributes.list(), nil)
	var found []*ldap.Entry
	err := db.searches.use(ctx, func(c *ldap.Conn) error {
		result, err := c.Search(request)
		if result != nil {
			found = result.Entries
		}
		if ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) && len(found) > 1 {
			return nil // which is said below
		}
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("ldapdb: search: %w", err)
	case len(found) == 0:
		return nil, auth.ErrUnknown
	case len(found) > 1:
		return nil, &guard.DataError{Name: name, Cause: fmt.Errorf("the filter found %s and others", found[0].DN)}
	}
	e, err := db.entry(name, found[0])
	if err != nil {
		return nil, err
	}
	dn := found[0].DN
	e.Verify = func(ctx context.Context, password []byte) (bool, error) { return db.bind(ctx, dn, password) }
	return e, nil
}

// bind checks a password.
func (db *DB) bind(ctx context.Context, dn string, password []byte) (good bool, err error) {
	if dn == "" || len(password) == 0 {
		return false, nil // either would be an anonymous bind, which succeeds
	}
	var said error // of this user alone
	err = db.gate.Do(ctx, func(ctx context.Context) error {
		err := db.binds.use(ctx, func(c *ldap.Conn) error {
			return c.Bind(dn, string(password))
		})
		switch {
		case err == nil:
			good = true
		case ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultConstraintViolation):
			// The last is how some servers say that there were too many failures.
		case isAnswer(err):
			said = err // such as that the account is locked: the next user may have better luck
		default:
			return err
		}
		return nil
	})
	if err = errors.Join(err, said); err != nil {
		return false, fmt.Errorf("ldapdb: bind: %w", err)
	}
	return good, nil
}

// isAnswer reports an error that a working server gives for a request, other than
// that it does not work now.
func isAnswer(err error) bool {
	var e *ldap.Error
	return errors.As(err, &e) && e.ResultCode < ldap.ErrorNetwork &&
		!ldap.IsErrorAnyOf(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultOther, ldap.LDAPResultOperationsError)
}
