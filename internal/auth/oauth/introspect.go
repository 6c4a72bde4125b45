package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// introspect asks the issuer about a token (RFC 7662 section 2).
func (c *Checker) introspect(ctx context.Context, token string) (string, error) {
	sum := sha256.Sum256([]byte(token))
	if known, ok := c.known.Get(sum); ok && (known.expires.IsZero() || time.Now().Before(known.expires)) {
		return known.user, nil
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	text, err := c.request(ctx, func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.IntrospectionURL, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.o.ClientID != "" { // RFC 6749 section 2.3.1: encoded as in a form, then as Basic
			r.SetBasicAuth(url.QueryEscape(c.o.ClientID), url.QueryEscape(c.o.ClientSecret))
		}
		return r, nil
	})
	if err != nil {
		return "", err
	}
	user, expires, err := c.told(text)
	if err == nil {
		c.known.Put(sum, answered{user, expires}, c.o.Remember)
	}
	return user, err
}

// told reads an answer (RFC 7662 section 2.2).
func (c *Checker) told(text []byte) (user string, expires time.Time, err error) {
	var standard jwt.Claims
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return "", expires, &answerError{"introspection", err}
	}
	if active, isBool := all["active"].(bool); !isBool {
		return "", expires, &answerError{"introspection", errNotActive}
	} else if !active {
		return "", expires, refused("the issuer says that it is not active")
	}
	if err := json.Unmarshal(text, &standard); err != nil {
		return "", expires, &answerError{"introspection", err}
	}
	if standard.Issuer == "" { // it need not say (RFC 7662 section 2.2): the server that was asked is the issuer's
		standard.Issuer = c.o.Issuer
	}
	expected := jwt.Expected{Issuer: c.o.Issuer, AnyAudience: c.o.Audience, Time: time.Now()}
	if err := standard.ValidateWithLeeway(expected, c.o.Leeway); err != nil {
		return "", expires, refused(err.Error())
	}
	if err := c.scoped(all); err != nil {
		return "", expires, err
	}
	if standard.Expiry != nil {
		expires = standard.Expiry.Time()
	}
	user, err = c.login(all)
	return user, expires, err
}
