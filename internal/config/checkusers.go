package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/mail"

	"github.com/pelletier/go-toml/v2/unstable"
)

// checkUsers reports what does not fit together in who the users are.
func checkUsers(d *decoder, c *Config) {
	u := &c.Users
	if u.Delay > u.MaxDelay {
		d.r.add(firstOf(d, "users.delay", "users.max_delay"), "delay is longer than max_delay", "")
	}
	if (u.SQL.URLFile == "") != (u.SQL.Query == "") {
		d.r.add(firstOf(d, "users.sql.url_file", "users.sql.query"), "url_file and query go together", "")
	}
	if u.SQL.Query != "" && !strings.Contains(u.SQL.Query, "$1") {
		d.r.add(d.at["users.sql.query"], "the query does not ask for $1, the user's name", "")
	}
	l := &u.LDAP
	if (l.URL == "") != (l.Base == "") {
		d.r.add(firstOf(d, "users.ldap.url", "users.ldap.base"), "url and base go together", "")
	}
	if (l.BindDN == "") != (l.BindPasswordFile == "") {
		d.r.add(firstOf(d, "users.ldap.bind_dn", "users.ldap.bind_password_file"), "bind_dn and bind_password_file go together", "")
	}
	o := &u.OAuth
	if (o.ClientID == "") != (o.ClientSecretFile == "") {
		d.r.add(firstOf(d, "users.oauth.client_id", "users.oauth.client_secret_file"), "client_id and client_secret_file go together", "")
	}
	for _, k := range []struct{ key, url string }{{"issuer", o.Issuer}, {"jwks_url", o.JWKSURL}, {"introspection_url", o.IntrospectionURL}} {
		if strings.HasPrefix(k.url, "http:") && !loopbackURL(k.url) {
			d.r.add(d.at["users.oauth."+k.key], "beyond loopback it must be an https: URL", "whoever can change what comes from there can log in as anyone")
		}
	}
	if given(d, "users.oauth", "audience", "user_claim", "client_id") && !o.Configured() {
		d.r.add(firstOf(d, "users.oauth.audience", "users.oauth.user_claim", "users.oauth.client_id"), "no issuer, jwks_url or introspection_url is given", "")
	}
	switch {
	case !o.Configured():
	case o.IntrospectionURL == "" && (o.Issuer == "" || o.Audience == ""):
		d.r.add(firstOf(d, "users.oauth.issuer", "users.oauth.jwks_url"), "signed tokens need an issuer and an audience to be held against",
			"else a token that a user gave to any other program would do")
	case o.IntrospectionURL != "" && o.JWKSURL != "":
		d.r.add(d.at["users.oauth.introspection_url"], "tokens are checked by jwks_url or by introspection_url, not by both", "")
	}
	checkLoginListeners(d, c)
	if len(d.r.errs) == 0 { // else listeners have no host yet
		warnOfLogins(d, c)
	}
}

// noUsers reports that nothing says who the users are.
func noUsers(c *Config) bool {
	u := &c.Users
	return u.File == "" && u.SQL.URLFile == "" && u.LDAP.URL == "" && !u.OAuth.Configured()
}

func routesHere(c *Config) bool {
	return slices.ContainsFunc(c.Routes, func(r Route) bool { return r.Hop.Kind == mail.HopLocal })
}

// needsLogin reports a service that is of no use without users.
func needsLogin(s Service) bool { return s != ServiceRelay && s != ServiceLMTP }

func checkLoginListeners(d *decoder, c *Config) {
	for i, l := range c.Listeners {
		at := "listener[" + strconv.Itoa(i) + "].service"
		if _, given := d.at[at]; !given || !needsLogin(l.Service) {
			continue
		}
		if noUsers(c) {
			d.r.add(d.at[at], fmt.Sprintf("%s needs users, and there are none", l.Service), `write file = "users" in [users]`)
		}
		if strings.HasPrefix(string(l.Service), "pop3") && len(c.Local.Domains) == 0 && !routesHere(c) {
			d.r.add(d.at[at], fmt.Sprintf("%s needs mailboxes, and no domain is delivered here", l.Service), "name local.domains")
		}
		if tls, given := d.at["listener["+strconv.Itoa(i)+"].tls"]; given && l.Service.ImplicitTLS() && l.TLS == TLSOff {
			d.warn.add(tls, fmt.Sprintf("%s is encrypted from the first byte whatever stands here", l.Service),
				fmt.Sprintf("write service = %q for one that is not", strings.TrimSuffix(string(l.Service), "s")))
		}
	}
}

// warnOfLogins tells of listeners that are allowed but that nobody can log in at.
func warnOfLogins(d *decoder, c *Config) {
	for i, l := range c.Listeners {
		if !needsLogin(l.Service) || l.TLS != TLSOff || l.Service.ImplicitTLS() || reachedInClear(c, l) {
			continue
		}
		at := "listener[" + strconv.Itoa(i) + "]"
		d.warn.add(firstOf(d, at+".tls", at+".service"), "without TLS no password is taken from clients of this listener",
			`write tls = "required", or see users.clear_text`)
	}
}

// warnOfUsers tells that the file of the users, the only place they could be in,
// does not exist yet.
func warnOfUsers(d *decoder, c *Config) {
	u := &c.Users
	if u.File == "" || u.SQL.URLFile != "" || u.LDAP.URL != "" {
		return
	}
	i := slices.IndexFunc(c.Listeners, func(l Listener) bool { return needsLogin(l.Service) })
	if i < 0 {
		return
	}
	if _, err := os.Stat(u.File); errors.Is(err, fs.ErrNotExist) {
		d.warn.add(firstOf(d, "users.file", "listener["+strconv.Itoa(i)+"].service"),
			fmt.Sprintf("there are no users yet: %s does not exist", u.File), "postrider user add ADDRESS")
	}
}

// reachedInClear reports that some client of l may send a password without TLS.
func reachedInClear(c *Config, l Listener) bool {
	switch c.Users.ClearText {
	case ClearTextAlways:
		return true
	case ClearTextLoopback:
		return l.Network == "unix" || loopback(l.Host) || strings.HasPrefix(l.Host, ":") || unspecified(l.Host)
	}
	return false
}

func unspecified(hostPort string) bool {
	ap, err := netip.ParseAddrPort(hostPort)
	return err == nil && ap.Addr().IsUnspecified()
}

// parseURL accepts an absolute URL of one of the schemes, or nothing. It must not
// hold a password: those stand in files.
func parseURL(schemes ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == "" {
			return s, nil
		}
		u, err := url.Parse(s)
		if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" && u.Scheme != "ldapi" {
			return "", fmt.Errorf("%q is not a URL (want %s://...)", s, strings.Join(schemes, ":// or "))
		}
		if u.User != nil {
			return "", fmt.Errorf("a URL with a user name or a password is not allowed here")
		}
		return s, nil
	}
}

func loopbackURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	return loopback(u.Hostname() + ":")
}

func parseFilter(s string) (string, error) {
	if !strings.Contains(s, "{user}") || !strings.HasPrefix(s, "(") || !strings.HasSuffix(s, ")") {
		return "", fmt.Errorf("%q is not a filter with {user} in it", s)
	}
	return s, nil
}

// maxDays is ten years.
const maxDays = 3650

// days is "never", which is -1, or a duration of whole days.
func days[T any](of func(*T) *int) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.String, `write it as "never" or "30d"`) {
			return
		}
		if n.text == "never" {
			*of(t) = -1
			return
		}
		var v time.Duration
		duration(func(v *time.Duration) *time.Duration { return v }, 0, maxDays*day)(d, &v, n)
		if v%day != 0 {
			d.r.add(n.place(), fmt.Sprintf("%q is not a number of whole days", n.text), "")
			return
		}
		*of(t) = int(v / day)
	}
}
