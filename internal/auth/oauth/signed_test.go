package oauth

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
)

// Every way in which a signed token can be wrong, and those in which it is right.
//
// Covers R12.
func TestSigned(t *testing.T) {
	m := makeKeys(t)
	i := &issuer{t: t, published: []any{
		public(m.rsa, "r", "RS256"), public(m.ec, "e", ""), public(m.ed, "d", "EdDSA"), public(m.weakRSA, "weak", ""),
		jose.JSONWebKey{Key: m.otherRSA.Public(), KeyID: "enc", Use: "enc"},
		jose.JSONWebKey{Key: []byte("a secret of thirty-two bytes...."), KeyID: "s"},
		map[string]any{"kty": "of the future", "kid": "f"},
	}}
	c := newChecker(t, i, func(o *Options) { o.Scopes = []string{"mail"} })
	now := time.Now()
	rs := func(change ...any) string { return sign(t, m.rsa, "r", jose.RS256, good(change...)) }
	whole := rs()
	parts := strings.Split(whole, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"r"}`)) + "." + parts[1] + "."
	embedded, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: m.otherRSA}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	own, err := embedded.Sign([]byte(`{"iss":"` + issuerName + `","aud":"mail","email":"ann@example.org","exp":9999999999,"scope":"mail"}`))
	if err != nil {
		t.Fatal(err)
	}
	ownText, err := own.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		token string
		good  bool
	}{
		"RSA":                       {whole, true},
		"ECDSA":                     {sign(t, m.ec, "e", jose.ES256, good()), true},
		"Ed25519":                   {sign(t, m.ed, "d", jose.EdDSA, good()), true},
		"no key id":                 {sign(t, m.ec, "", jose.ES256, good()), true},
		"audience in a list":        {rs("aud", []string{"web", "mail"}), true},
		"over, but not for leeway":  {rs("exp", now.Add(-10*time.Second).Unix()), true},
		"verified not said":         {rs("email_verified", nil), true},
		"over":                      {rs("exp", now.Add(-40*time.Second).Unix()), false},
		"endless":                   {rs("exp", nil), false},
		"not yet":                   {rs("nbf", now.Add(time.Minute).Unix()), false},
		"made in the future":        {rs("iat", now.Add(time.Hour).Unix()), false},
		"another issuer":            {rs("iss", "https://id.example.com"), false},
		"issuer with a slash":       {rs("iss", issuerName+"/"), false},
		"no issuer":                 {rs("iss", nil), false},
		"another audience":          {rs("aud", "web"), false},
		"no audience":               {rs("aud", nil), false},
		"without scope":             {rs("scope", "openid mailbox"), false},
		"without login":             {rs("email", nil), false},
		"login is a number":         {rs("email", 7), false},
		"login of two lines":        {rs("email", "ann@example.org\r\nx"), false},
		"login is long":             {rs("email", strings.Repeat("a", 400)), false},
		"unverified":                {rs("email_verified", false), false},
		"expiry is a text":          {rs("exp", "tomorrow"), false},
		"algorithm none":            {none, false},
		"signature left out":        {parts[0] + "." + parts[1] + ".", false},
		"signature of another":      {parts[0] + "." + parts[1] + "." + strings.Split(rs("email", "eve@example.org"), ".")[2], false},
		"another key, known id":     {sign(t, m.otherRSA, "r", jose.RS256, good()), false},
		"key that the token brings": {ownText, false},
		"key is for encryption":     {sign(t, m.otherRSA, "enc", jose.RS256, good()), false},
		"algorithm not of the key":  {sign(t, m.rsa, "r", jose.PS256, good()), false},
		"shared secret":             {sign(t, []byte("a secret of thirty-two bytes...."), "s", jose.HS256, good()), false},
		"short key":                 {sign(t, m.weakRSA, "weak", jose.RS256, good()), false},
		"two dots":                  {"..", false},
		"empty":                     {"", false},
		"with a line end":           {whole + "\n", false},
		"too long":                  {whole + strings.Repeat("A", MaxToken), false},
	} {
		t.Run(name, func(t *testing.T) {
			user, err := check(t, c, one.token)
			switch {
			case one.good && (err != nil || user != "ann@example.org"):
				t.Errorf("got %q, %v", user, err)
			case !one.good && (!errors.Is(err, auth.ErrCredentials) || user != ""):
				t.Errorf("got %q, %v; want ErrCredentials", user, err)
			case err != nil && one.token != "" && strings.Contains(err.Error(), one.token):
				t.Error("the error holds the token")
			}
		})
	}
	if i.requests > 2 {
		t.Errorf("%d requests for keys", i.requests)
	}
}

// Keys are fetched when needed, used while the issuer is away, and a new one is
// found when the issuer has changed them; made-up ids cost a request in a while.
func TestKeys(t *testing.T) {
	m := makeKeys(t)
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{t: t, published: []any{public(m.rsa, "1", "")}}
		c := newChecker(t, i, func(o *Options) { o.Limits = guard.Limits{Failures: 1000} })
		token := func(id string) string {
			if id == "2" {
				return sign(t, m.ec, id, jose.ES256, good())
			}
			return sign(t, m.rsa, id, jose.RS256, good())
		}
		passes := func(id string, requests int) {
			t.Helper()
			if _, err := check(t, c, token(id)); err != nil || i.requests != requests {
				t.Fatalf("key %s: %v after %d requests, want %d", id, err, i.requests, requests)
			}
		}
		fails := func(id string, want bool, requests int) {
			t.Helper()
			if _, err := check(t, c, token(id)); err == nil || errors.Is(err, auth.ErrCredentials) != want || i.requests != requests {
				t.Fatalf("key %s: %v after %d requests, want %d", id, err, i.requests, requests)
			}
		}
		i.answer = func(*http.Request) (*http.Response, error) { return says(http.StatusBadGateway, ""), nil }
		fails("1", false, 1) // no keys yet: nothing is known of the token
		fails("1", false, 1)
		i.answer = nil
		time.Sleep(10 * time.Second)
		passes("1", 2)
		passes("1", 2)
		for range 100 {
			fails("made up", true, 2)
		}
		i.published = append(i.published, public(m.ec, "2", ""))
		time.Sleep(10 * time.Second)
		passes("2", 3)
		i.answer = hangs
		time.Sleep(time.Hour)
		start := time.Now()
		passes("1", 4) // and waits for the issuer once
		passes("1", 4)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("logins took %v", took)
		}
		time.Sleep(24 * time.Hour)
		fails("1", false, 5) // they are too old to be trusted
		for _, text := range []string{"", "{", `{"keys":[]}`, `{"keys":7}`, strings.Repeat(" ", maxAnswer+1), `{"keys":[` + strings.Repeat("{},", maxKeys) + `{}]}`} {
			i.answer = func(*http.Request) (*http.Response, error) { return says(http.StatusOK, text), nil }
			time.Sleep(10 * time.Second)
			fails("1", false, i.requests+1)
		}
		i.answer = nil
		time.Sleep(10 * time.Second)
		passes("2", i.requests+1)
	})
}

// Many who log in at once share one request, and nobody waits who needs not.
func TestKeysShared(t *testing.T) {
	m := makeKeys(t)
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{t: t, published: []any{public(m.rsa, "1", "")}}
		c := newChecker(t, i, nil)
		token := sign(t, m.rsa, "1", jose.RS256, good("exp", time.Now().Add(time.Hour*3).Unix()))
		free := make(chan struct{})
		i.answer = func(*http.Request) (*http.Response, error) {
			<-free
			return (&issuer{t: t, published: i.published}).RoundTrip((&http.Request{Method: http.MethodGet, URL: mustURL(t, keysURL)}))
		}
		results := make(chan error, 20)
		for range 20 {
			go func() { _, err := check(t, c, token); results <- err }()
		}
		synctest.Wait()
		close(free)
		for range 20 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if i.requests != 1 {
			t.Errorf("%d requests", i.requests)
		}
		time.Sleep(time.Hour)
		i.answer = hangs
		first := make(chan struct{})
		go func() { defer close(first); _, _ = check(t, c, token) }()
		synctest.Wait()
		start := time.Now()
		if _, err := check(t, c, token); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v: waited for new keys though old ones are there", err, time.Since(start))
		}
		<-first
	})
}
