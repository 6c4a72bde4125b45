package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
	"postrider/internal/auth/ldapdb"
	"postrider/internal/auth/oauth"
	"postrider/internal/auth/sqldb"
	"postrider/internal/config"
)

// directories are the databases of users that lie over a network.
type directories struct {
	databases []auth.Database
	tokens    auth.TokenChecker // nil: none
	closers   []func() error
}

// openDirectories readies what cfg names; nothing connects yet.
func openDirectories(cfg *config.Config) (d directories, err error) {
	u := &cfg.Users
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if u.SQL.URL != "" {
		db, err := sqldb.New(sqldb.Options{
			URL: string(u.SQL.URL), Query: u.SQL.Query, Connections: u.SQL.Connections,
			Guard: guard.Options{Limits: guard.Limits{Timeout: u.SQL.Timeout}},
		})
		if err != nil {
			return d, fmt.Errorf("[users.sql]: %w", err)
		}
		d.add(db, db.Close)
	}
	if u.LDAP.URL != "" {
		protection, err := tlsOf(u.LDAP.TLSCA)
		if err != nil {
			return d, fmt.Errorf("[users.ldap] tls_ca: %w", err)
		}
		db, err := ldapdb.New(ldapdb.Options{
			URL: u.LDAP.URL, StartTLS: u.LDAP.StartTLS, TLS: protection,
			BindDN: u.LDAP.BindDN, BindPassword: string(u.LDAP.BindPassword), Base: u.LDAP.Base, Filter: u.LDAP.Filter,
			Attributes: ldapdb.Attributes{
				Name: u.LDAP.NameAttribute, Senders: u.LDAP.SendersAttribute, QuotaBytes: u.LDAP.QuotaAttribute, Disabled: u.LDAP.OffAttribute,
			},
			Connections: u.LDAP.Connections, Guard: guard.Options{Limits: guard.Limits{Timeout: u.LDAP.Timeout}},
		})
		if err != nil {
			return d, fmt.Errorf("[users.ldap]: %w", err)
		}
		d.add(db, db.Close)
	}
	if u.OAuth.Configured() {
		c, err := oauth.New(oauth.Options{
			Issuer: u.OAuth.Issuer, Audience: audience(u.OAuth.Audience), JWKSURL: u.OAuth.JWKSURL,
			IntrospectionURL: u.OAuth.IntrospectionURL, ClientID: u.OAuth.ClientID, ClientSecret: string(u.OAuth.ClientSecret),
			UserClaim: u.OAuth.UserClaim, Limits: guard.Limits{Timeout: u.OAuth.Timeout},
		})
		if err != nil {
			return d, fmt.Errorf("[users.oauth]: %w", err)
		}
		d.tokens, d.closers = c, append(d.closers, c.Close)
	}
	return d, nil
}

func (d *directories) add(db auth.Database, closer func() error) {
	d.databases, d.closers = append(d.databases, db), append(d.closers, closer)
}

// close ends the connections; nobody may be asking any more.
func (d *directories) close() error {
	var errs []error
	for _, c := range d.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

func audience(a string) []string {
	if a == "" {
		return nil
	}
	return []string{a}
}

// tlsOf is for a server whose certificate is signed by an authority in the PEM
// file at path; nil, the system's, without one.
func tlsOf(path string) (*tls.Config, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
