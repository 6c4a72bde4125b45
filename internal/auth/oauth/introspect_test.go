package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/auth"
)

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func introspection(o *Options) {
	o.JWKSURL, o.IntrospectionURL = "", "https://id.example.org/introspect"
	o.ClientID, o.ClientSecret = "mail server", "s3cr:t"
	o.Limits.Failures = 1000
}

// What the issuer says of a token, and what it may say wrongly.
func TestIntrospection(t *testing.T) {
	exp := time.Now().Add(time.Minute).Unix()
	for name, one := range map[string]struct {
		status int
		text   string
		want   string // "good", "token" or "temporary"
	}{
		"good":            {200, fmt.Sprintf(`{"active":true,"email":"ann@example.org","aud":"mail","iss":"%s","exp":%d}`, issuerName, exp), "good"},
		"says little":     {200, `{"active":true,"email":"ann@example.org","aud":["mail"]}`, "good"},
		"not active":      {200, `{"active":false}`, "token"},
		"over":            {200, `{"active":true,"email":"ann@example.org","aud":"mail","exp":1}`, "token"},
		"other audience":  {200, `{"active":true,"email":"ann@example.org","aud":"web"}`, "token"},
		"no audience":     {200, `{"active":true,"email":"ann@example.org"}`, "token"},
		"other issuer":    {200, `{"active":true,"email":"ann@example.org","aud":"mail","iss":"https://x.example"}`, "token"},
		"no login":        {200, `{"active":true,"aud":"mail","username":"ann"}`, "token"},
		"active is text":  {200, `{"active":"true","email":"ann@example.org","aud":"mail"}`, "temporary"},
		"nothing":         {200, ``, "temporary"},
		"null":            {200, `null`, "temporary"},
		"a page":          {200, `<html>`, "temporary"},
		"wrong kinds":     {200, `{"active":true,"email":"ann@example.org","aud":7}`, "temporary"},
		"our secret":      {401, `{"error":"invalid_client"}`, "temporary"},
		"failed":          {500, `{"active":false}`, "temporary"},
		"somewhere else":  {302, `{"active":true,"email":"ann@example.org","aud":"mail"}`, "temporary"},
		"longer than all": {200, `{"active":true,"email":"ann@example.org","aud":"mail"}` + strings.Repeat(" ", maxAnswer), "temporary"},
	} {
		t.Run(name, func(t *testing.T) {
			i := &issuer{t: t, answer: func(r *http.Request) (*http.Response, error) {
				user, password, _ := r.BasicAuth()
				if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.PostForm.Get("token") != "opaque+/=" || user != "mail+server" || password != "s3cr%3At" {
					t.Errorf("%s with %v, client %q %q, %v", r.Method, r.PostForm, user, password, err)
				}
				a := says(one.status, one.text)
				a.Header.Set("Location", "https://evil.example/")
				return a, nil
			}}
			c := newChecker(t, i, introspection)
			user, err := check(t, c, "opaque+/=")
			got := "good"
			if errors.Is(err, auth.ErrCredentials) {
				got = "token"
			} else if err != nil {
				got = "temporary"
			}
			if got != one.want || (user == "ann@example.org") != (got == "good") || i.requests != 1 {
				t.Errorf("got %q, %v after %d requests; want %s", user, err, i.requests, one.want)
			}
		})
	}
}

// Good answers are used again for a while, not beyond the token's end, and bad ones never.
func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := time.Now().Add(90 * time.Second).Unix()
		active := true
		i := &issuer{t: t}
		i.answer = func(*http.Request) (*http.Response, error) {
			return says(200, fmt.Sprintf(`{"active":%v,"email":"ann@example.org","aud":"mail","exp":%d}`, active, exp)), nil
		}
		c := newChecker(t, i, func(o *Options) { introspection(o); o.Leeway = time.Nanosecond })
		asks := func(token string, good bool, requests int) {
			t.Helper()
			if _, err := check(t, c, token); (err == nil) != good || i.requests != requests {
				t.Fatalf("%v after %d requests", err, i.requests)
			}
		}
		asks("a", true, 1)
		asks("a", true, 1)
		asks("b", true, 2)
		active = false
		asks("a", true, 2)
		time.Sleep(time.Minute)
		asks("a", false, 3)
		asks("a", false, 4)
		active = true
		asks("a", true, 5)
		time.Sleep(31 * time.Second)
		asks("a", false, 6)
	})
}

// An issuer that is silent holds few logins, and then none.
func TestIssuerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{t: t, answer: hangs}
		c := newChecker(t, i, func(o *Options) { introspection(o); o.Limits.Failures = 2 })
		start := time.Now()
		for range 20 {
			if _, err := check(t, c, "a"); err == nil || errors.Is(err, auth.ErrCredentials) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(start); took != 10*time.Second || i.requests != 2 {
			t.Errorf("%d requests in %v", i.requests, took)
		}
	})
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":          {},
		"both":             {Issuer: issuerName, Audience: []string{"a"}, JWKSURL: keysURL, IntrospectionURL: keysURL},
		"no issuer":        {Audience: []string{"a"}, JWKSURL: keysURL},
		"issuer alone":     {Issuer: issuerName},
		"issuer is a name": {Issuer: "example", Audience: []string{"a"}},
		"no audience":      {Issuer: issuerName, JWKSURL: keysURL},
		"plain http":       {IntrospectionURL: "http://id.example.org/"},
		"password in it":   {IntrospectionURL: "https://a:b@id.example.org/"},
		"no host":          {IntrospectionURL: "https:///x"},
		"no address":       {IntrospectionURL: "id.example.org"},
		"algorithm none":   {Issuer: issuerName, Audience: []string{"a"}, JWKSURL: keysURL, Algorithms: []string{"none"}},
		"algorithm shared": {Issuer: issuerName, Audience: []string{"a"}, JWKSURL: keysURL, Algorithms: []string{"RS256", "HS256"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, address := range []string{"http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]/x", "https://id.example.org/x"} {
		c, err := New(Options{IntrospectionURL: address})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
