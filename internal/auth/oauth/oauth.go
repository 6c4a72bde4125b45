// Package oauth checks the tokens of OAUTHBEARER (RFC 7628) and XOAUTH2: either
// signed ones (JWT, RFC 7519) by the published keys of the issuer, or any by asking
// the issuer about each (introspection, RFC 7662).
//
//	checker, err := oauth.New(oauth.Options{
//		Issuer:    "https://id.example.org",
//		JWKSURL:   "https://id.example.org/keys",
//		Audience:  []string{"postrider"},
//		UserClaim: "email",
//	})
//	...
//	user, err := checker.Check(ctx, token)
//
// Guarantees:
//
//   - A signed token counts only with a signature by a key of the issuer, of an
//     algorithm that is allowed and that the key is for, with issuer and audience
//     as configured, an end that lies ahead and no beginning that does. Neither
//     "none" nor algorithms with a shared secret are ever allowed, and no key that
//     the token itself brings or points at is used.
//   - auth.ErrCredentials means that the token is not good: forged, over, or for
//     somebody else. Every other error is trouble of the issuer or of the way to it,
//     and temporary: it never makes a token look bad. Neither text holds the token.
//   - Keys are fetched when they are needed and old, or when a token names one that
//     is unknown; the latter at most once in Options.RefreshMin, so that made-up
//     tokens do not become requests to the issuer. While it cannot be reached, keys
//     are used until they are Options.KeysMax old.
//   - What is read of an answer is bounded, redirections are not followed, and
//     addresses that are not of this machine must be https.
//
// # Concurrency
//
// A Checker is safe for concurrent use. It starts no goroutine that outlives a call.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
)

// MaxToken is how long a token may be, in bytes.
const MaxToken = 16 << 10

// Options configure a Checker. Tokens are asked about with an IntrospectionURL, and
// are signed ones without.
type Options struct {
	Issuer   string   // must be the token's "iss"; "" is allowed with introspection only
	Audience []string // one of them must be in the token's "aud"; none is allowed with introspection only
	Scopes   []string // all of them must be in the token's "scope"; none: no matter

	JWKSURL    string        // where the issuer publishes its keys; "": the issuer tells (OpenID Connect Discovery 1.0)
	Algorithms []string      // allowed ones; none: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA
	Leeway     time.Duration // for clocks that differ; 0: 30 s
	RefreshMin time.Duration // least time between fetches for unknown keys or after failures; 0: 10 s
	Refresh    time.Duration // age at which keys are fetched anew; 0: 1 h
	KeysMax    time.Duration // age above which keys are not used any more; 0: 24 h

	IntrospectionURL string        // which endpoint tells of a token
	ClientID         string        // our name there
	ClientSecret     string        // and password
	Remember         time.Duration // how long a good answer is used again, at most to the token's end; 0: 1 min, below: never

	// UserClaim names the claim that is the user's login, such as "email",
	// "preferred_username" or "username"; "": "email". An "email" that the issuer calls
	// unverified is not taken.
	UserClaim string

	Transport http.RoundTripper // nil: one of its own, with the system's certificates
	Limits    guard.Limits      // of requests to the issuer
}

// Checker checks tokens.
type Checker struct {
	o      Options
	client *http.Client
	own    *http.Transport // to be closed
	gate   *guard.Gate
	keys   *keys                            // of the issuer; nil with introspection
	known  *guard.Cache[[32]byte, answered] // of introspection: by the hash of the token
}

// answered is what a token was good for.
type answered struct {
	user    string
	expires time.Time // zero: it does not say
}

// rememberedTokens bounds what is kept of introspection: some 100 bytes each.
const rememberedTokens = 10_000

// New returns a Checker. It asks nothing yet.
func New(o Options) (*Checker, error) {
	if o.JWKSURL != "" && o.IntrospectionURL != "" {
		return nil, errors.New("oauth: give either the address of the keys or that of introspection")
	}
	bySignature := o.IntrospectionURL == ""
	addresses := []string{o.IntrospectionURL}
	if bySignature {
		if o.Issuer == "" || len(o.Audience) == 0 {
			// Without an audience a token that a user gave to any other program would do
			// (RFC 8725 section 3.9).
			return nil, errors.New("oauth: signed tokens need an issuer and an audience to be held against")
		}
		addresses = []string{o.JWKSURL}
		if o.JWKSURL == "" {
			addresses = []string{o.Issuer}
		}
	}
	for _, address := range addresses {
		if err := checkURL(address); err != nil {
			return nil, fmt.Errorf("oauth: %q: %w", address, err)
		}
	}
	setDefault(&o.Leeway, 30*time.Second)
	setDefault(&o.RefreshMin, 10*time.Second)
	setDefault(&o.Refresh, time.Hour)
	setDefault(&o.KeysMax, 24*time.Hour)
	o.Refresh = max(o.Refresh, o.RefreshMin)
	o.KeysMax = max(o.KeysMax, o.Refresh)
	setDefault(&o.Remember, time.Minute)
	if o.UserClaim == "" {
		o.UserClaim = "email"
	}
	c := &Checker{o: o, gate: guard.NewGate(o.Limits), known: guard.NewCache[[32]byte, answered](rememberedTokens)}
	if o.Transport == nil {
		c.own = newTransport()
		o.Transport = c.own
	}
	c.client = &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if bySignature {
		algorithms, err := allowed(o.Algorithms)
		if err != nil {
			return nil, err
		}
		c.keys = &keys{algorithms: algorithms, fetch: c.fetchKeys, o: &c.o, fetching: make(chan struct{}, 1)}
	}
	return c, nil
}

// Close gives up idle connections.
func (c *Checker) Close() error {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	return nil
}

// Check returns the user that a token stands for; auth.ErrCredentials when it stands
// for none.
func (c *Checker) Check(ctx context.Context, token string) (user string, err error) {
	if token == "" || len(token) > MaxToken || strings.ContainsFunc(token, notPrintable) {
		return "", refused("it has not the form of a token")
	}
	if c.keys != nil {
		return c.signed(ctx, token)
	}
	return c.introspect(ctx, token)
}

// refused is auth.ErrCredentials with a reason for the log.
func refused(why string) error {
	return fmt.Errorf("%w: the token is not good: %s", auth.ErrCredentials, why)
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// login returns the value of the claim that names the user.
func (c *Checker) login(claims map[string]any) (string, error) {
	user, _ := claims[c.o.UserClaim].(string)
	if user == "" {
		return "", refused("it has no claim " + c.o.UserClaim)
	}
	if len(user) > 320 || !utf8.ValidString(user) || strings.ContainsFunc(user, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "", refused("its claim " + c.o.UserClaim + " is no name")
	}
	if verified, said := claims["email_verified"]; said && c.o.UserClaim == "email" && verified != true && verified != "true" {
		return "", refused("its email was not verified by the issuer")
	}
	return user, nil
}

// scoped looks for the scopes that are wanted (RFC 8693 section 4.2).
func (c *Checker) scoped(claims map[string]any) error {
	text, _ := claims["scope"].(string)
	has := map[string]bool{}
	for s := range strings.FieldsSeq(text) {
		has[s] = true
	}
	for _, s := range c.o.Scopes {
		if !has[s] {
			return refused("it has not the scope " + s)
		}
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	addr, _ := netip.ParseAddr(u.Hostname())
	local := addr.IsLoopback() || u.Hostname() == "localhost"
	if u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return errors.New("not an https address (http is for this machine only)")
	}
	return nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}
