package oauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"postrider/internal/auth"
)

const (
	issuerName = "https://id.example.org"
	keysURL    = "https://id.example.org/keys"
)

var _ auth.TokenChecker = (*Checker)(nil)

// issuer is an identity provider behind a made-up transport.
type issuer struct {
	t         *testing.T
	published []any // JWKs, or anything that JSON can say
	requests  int
	answer    func(*http.Request) (*http.Response, error) // nil: the keys
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.requests++
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if i.answer != nil {
		return i.answer(r)
	}
	if r.URL.String() != keysURL || r.Method != http.MethodGet {
		i.t.Errorf("%s %s was asked for", r.Method, r.URL)
	}
	text, err := json.Marshal(map[string]any{"keys": i.published})
	if err != nil {
		i.t.Error(err)
	}
	return says(http.StatusOK, string(text)), nil
}

func says(status int, text string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(text))}
}

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// made are keys that are made once for all tests.
type made struct {
	rsa, otherRSA, weakRSA *rsa.PrivateKey
	ec                     *ecdsa.PrivateKey
	ed                     ed25519.PrivateKey
}

func makeKeys(t *testing.T) (m made) {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0") // a key that is too short is wanted here
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	m.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	m.otherRSA, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	m.weakRSA, err = rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	m.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, m.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	return m
}

// public is how an issuer publishes a key.
func public(key crypto.Signer, id, algorithm string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: algorithm, Use: "sig"}
}

// sign makes a token.
func sign(t *testing.T, key any, id string, a jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		o = o.WithHeader("kid", id)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: a, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// good are the claims of a token that is accepted, changed by pairs; nil leaves one out.
func good(change ...any) map[string]any {
	c := map[string]any{
		"iss": issuerName, "aud": "mail", "sub": "4711", "email": "ann@example.org", "email_verified": true,
		"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(), "scope": "openid mail",
	}
	for i := 0; i < len(change); i += 2 {
		name := change[i].(string)
		if c[name] = change[i+1]; change[i+1] == nil {
			delete(c, name)
		}
	}
	return c
}

func newChecker(t *testing.T, i *issuer, change func(*Options)) *Checker {
	t.Helper()
	o := Options{Issuer: issuerName, Audience: []string{"mail"}, JWKSURL: keysURL, Transport: i}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func check(t *testing.T, c *Checker, token string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return c.Check(ctx, token)
}
