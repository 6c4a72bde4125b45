package oauth

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"postrider/internal/auth"
)

// Whatever is sent as a token, it is refused or stands for the user whose claims the
// issuer signed.
func FuzzCheck(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		f.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"iss":"` + issuerName + `","aud":"mail","email":"ann@example.org","exp":99999999999}`))
	if err != nil {
		f.Fatal(err)
	}
	whole, err := signed.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{whole, signed.FullSerialize(), whole[:len(whole)-2], "a.b.c", "eyJhbGciOiJub25lIn0..", "..", "{}", ""} {
		f.Add(seed)
	}
	k := &keys{algorithms: asymmetric(), list: []jose.JSONWebKey{public(key, "1", "")}, fetched: time.Now(), tried: time.Now()}
	c, err := New(Options{Issuer: issuerName, Audience: []string{"mail"}, JWKSURL: keysURL, RefreshMin: 1000 * time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	k.o = &c.o
	c.keys = k
	if user, err := c.Check(f.Context(), whole); err != nil || user != "ann@example.org" {
		f.Fatalf("got %q, %v", user, err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		user, err := c.Check(t.Context(), token)
		switch {
		case err == nil && user != "ann@example.org":
			t.Errorf("stands for %q", user)
		case err != nil && !errors.Is(err, auth.ErrCredentials):
			t.Errorf("got %v", err)
		}
	})
}

// An issuer may publish anything; what is taken of it are public keys that are long
// enough.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"1"},{"kty":"oct","k":"AA"},null,7]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseKeys(text)
		if (err == nil) != (len(list) > 0) || len(list) > maxKeys {
			t.Errorf("%d keys, %v", len(list), err)
		}
		for _, k := range list {
			if !k.IsPublic() || !k.Valid() {
				t.Errorf("%T is no public key", k.Key)
			}
			for _, a := range asymmetric() {
				suits(k, string(a))
			}
		}
	})
}
