package oauth

import (
	"context"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// signed checks a JWT.
func (c *Checker) signed(ctx context.Context, token string) (string, error) {
	t, err := jwt.ParseSigned(token, c.keys.algorithms)
	if err != nil {
		return "", refused("it is no signed token of an allowed algorithm")
	}
	if len(t.Headers) != 1 {
		return "", refused("it has not one signature")
	}
	h := t.Headers[0]
	found, err := c.keys.find(ctx, h.KeyID, h.Algorithm)
	if err != nil {
		return "", err
	}
	for _, key := range found {
		var raw json.RawMessage
		if t.Claims(key.Key, &raw) == nil {
			return c.accept(raw)
		}
	}
	return "", refused("its signature is by no key of the issuer")
}

// accept looks at the claims of a token whose signature is right.
func (c *Checker) accept(raw json.RawMessage) (string, error) {
	var standard jwt.Claims
	var all map[string]any
	if json.Unmarshal(raw, &standard) != nil || json.Unmarshal(raw, &all) != nil {
		return "", refused("its claims cannot be read")
	}
	if standard.Expiry == nil { // the library takes one without for endless
		return "", refused("it never ends")
	}
	expected := jwt.Expected{Issuer: c.o.Issuer, AnyAudience: c.o.Audience, Time: time.Now()}
	if err := standard.ValidateWithLeeway(expected, c.o.Leeway); err != nil {
		return "", refused(err.Error())
	}
	if err := c.scoped(all); err != nil {
		return "", err
	}
	return c.login(all)
}
