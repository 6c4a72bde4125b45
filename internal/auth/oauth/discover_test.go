package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"postrider/internal/auth"
)

// Where the keys are the issuer tells, and nobody else.
func TestDiscovery(t *testing.T) {
	m := makeKeys(t)
	synctest.Test(t, func(t *testing.T) {
		plain := &issuer{t: t, published: []any{public(m.rsa, "1", "")}}
		said := ""
		var asked []string
		i := &issuer{t: t, answer: func(r *http.Request) (*http.Response, error) {
			if asked = append(asked, r.URL.String()); r.URL.String() == keysURL {
				return plain.RoundTrip(r)
			}
			return says(http.StatusOK, said), nil
		}}
		c := newChecker(t, i, func(o *Options) { o.JWKSURL, o.Limits.Failures = "", 1000 })
		for _, said = range []string{
			``, `{}`, `{"issuer":"` + issuerName + `"}`,
			`{"issuer":"https://evil.example","jwks_uri":"` + keysURL + `"}`,
			`{"issuer":"` + issuerName + `","jwks_uri":"http://id.example.org/keys"}`,
			`{"issuer":"` + issuerName + `","jwks_uri":"file:///etc/passwd"}`,
		} {
			time.Sleep(10 * time.Second)
			if _, err := check(t, c, sign(t, m.rsa, "1", jose.RS256, good())); err == nil || errors.Is(err, auth.ErrCredentials) {
				t.Errorf("%s: got %v", said, err)
			}
		}
		asked = nil
		time.Sleep(10 * time.Second)
		said = `{"issuer":"` + issuerName + `","jwks_uri":"` + keysURL + `"}`
		for range 3 {
			if user, err := check(t, c, sign(t, m.rsa, "1", jose.RS256, good())); err != nil || user != "ann@example.org" {
				t.Errorf("got %q, %v", user, err)
			}
		}
		if got := fmt.Sprint(asked); got != "["+issuerName+"/.well-known/openid-configuration "+keysURL+"]" {
			t.Errorf("asked for %s", got)
		}
	})
}
