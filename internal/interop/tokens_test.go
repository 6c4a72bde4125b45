//go:build interop

package interop

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"postrider/internal/auth"
	"postrider/internal/auth/oauth"
)

// tokenMaker writes keys as an issuer publishes them, and tokens by their names, with
// PyJWT.
const tokenMaker = `
import json, sys, time, jwt
from jwt.algorithms import RSAAlgorithm, ECAlgorithm, OKPAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa, ec, ed25519
issuer = sys.argv[1]
r, e, d = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
stranger = rsa.generate_private_key(65537, 2048)
def published(algorithm, key, kid, alg):
    jwk = json.loads(algorithm.to_jwk(key.public_key()))
    jwk.update(kid=kid, alg=alg, use="sig")
    jwk.pop("key_ops", None)
    return jwk
def b64(n): return __import__("base64").urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode()
point = e.public_key().public_numbers()
keys = [published(RSAAlgorithm, r, "r", "RS256"), published(OKPAlgorithm, d, "d", "EdDSA"),
        {"kty": "EC", "crv": "P-256", "x": b64(point.x), "y": b64(point.y), "kid": "e", "alg": "ES256", "use": "sig"}]
now = int(time.time())
claims = dict(iss=issuer, aud=["web", "mail"], email="ann@example.org", email_verified=True, iat=now, exp=now + 600)
def token(key, alg, kid, **change): return jwt.encode({**claims, **change}, key, algorithm=alg, headers={"kid": kid})
json.dump({"keys": keys, "good": {
    "RS256": token(r, "RS256", "r"), "ES256": token(e, "ES256", "e"), "EdDSA": token(d, "EdDSA", "d"),
}, "bad": {
    "over": token(r, "RS256", "r", exp=now - 600), "early": token(r, "RS256", "r", nbf=now + 600),
    "audience": token(r, "RS256", "r", aud="web"), "issuer": token(r, "RS256", "r", iss="https://id.example.com"),
    "stranger": token(stranger, "RS256", "r"), "secret": token("a secret of more than thirty-two bytes", "HS256", "r"),
    "none": jwt.encode(claims, None, algorithm="none", headers={"kid": "r"}), "other algorithm": token(r, "PS256", "r"),
}}, sys.stdout)
`

// Tokens that another implementation has signed are good, and those that it has made
// wrong are not.
func TestTokensOfPyJWT(t *testing.T) {
	var made struct {
		Keys      []json.RawMessage
		Good, Bad map[string]string
	}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(map[string]any{"keys": made.Keys}); err != nil {
			t.Error(err)
		}
	}))
	defer issuer.Close()
	out, err := tool(t, tokenMaker, "/usr/bin/python3", "-", issuer.URL)
	if err != nil {
		t.Fatalf("PyJWT: %v\n%s", err, out)
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checker, err := oauth.New(oauth.Options{Issuer: issuer.URL, Audience: []string{"mail"}, JWKSURL: issuer.URL + "/keys"})
	if err != nil {
		t.Fatal(err)
	}
	defer checker.Close()
	if len(made.Good) != 3 || len(made.Bad) != 8 {
		t.Errorf("%d good tokens and %d bad ones", len(made.Good), len(made.Bad))
	}
	for name, token := range made.Good {
		if user, err := checker.Check(t.Context(), token); err != nil || user != "ann@example.org" {
			t.Errorf("%s: got %q, %v", name, user, err)
		}
	}
	for name, token := range made.Bad {
		if user, err := checker.Check(t.Context(), token); !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("%s: got %q, %v", name, user, err)
		}
	}
}
