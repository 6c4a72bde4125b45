package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
)

// users is a database of a few entries.
type users map[string]*auth.Entry

func (u users) Lookup(_ context.Context, name string) (*auth.Entry, error) {
	if e := u[name]; e != nil {
		return e, nil
	}
	return nil, auth.ErrUnknown
}

func hash(t *testing.T, plain string) string {
	t.Helper()
	h, err := password.Hash([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func attempt(protocol string) *auth.Attempt {
	return &auth.Attempt{Protocol: protocol, Client: netip.MustParseAddr("192.0.2.1"), TLS: true}
}

func TestPassword(t *testing.T) {
	secret := []byte("secret of the installation")
	app, digest, err := auth.NewAppPassword(secret)
	if err != nil {
		t.Fatal(err)
	}
	db := users{
		"ann@isp.example": {Name: "ann@isp.example", Hash: hash(t, "right"), Senders: []string{"@ann.example"},
			AppPasswords: []auth.AppPassword{{Name: "phone", Digest: digest, Scopes: []string{"pop3"}}}},
		"off@isp.example": {Name: "off@isp.example", Hash: hash(t, "right"), Disabled: true},
	}
	var outcomes []auth.Outcome
	a := auth.New(auth.Options{Databases: []auth.Database{db}, Domain: "isp.example", Limits: auth.Limits{Delay: -1},
		Secret:  func() []byte { return secret },
		Observe: func(o *auth.Outcome) { outcomes = append(outcomes, *o) }})
	defer a.Close()
	for _, c := range []struct {
		name, plain, protocol string
		reason                auth.Reason
		cached                bool
		app                   string
	}{
		{"ann@isp.example", "right", "smtp", auth.OK, false, ""},
		{"ANN", "right", "smtp", auth.OK, true, ""},
		{"Ann@ISP.example", "wrong", "smtp", auth.BadPassword, false, ""},
		{"Ann@ISP.example", "wrong", "smtp", auth.BadPassword, true, ""},
		{"ann", "", "smtp", auth.BadPassword, false, ""},
		{"ann", app, "pop3", auth.OK, false, "phone"},
		{"ann", app, "smtp", auth.WrongProtocol, false, ""},
		{"off", "right", "smtp", auth.Disabled, false, ""},
		{"off", "wrong", "smtp", auth.Disabled, false, ""},
		{"nobody", "right", "smtp", auth.UnknownUser, false, ""},
		{"nobody", "right", "smtp", auth.UnknownUser, true, ""},
		{"not an@address@", "right", "smtp", auth.UnknownUser, false, ""},
	} {
		u, err := a.Password(t.Context(), attempt(c.protocol), c.name, []byte(c.plain))
		out := outcomes[len(outcomes)-1]
		if out.Reason != c.reason || out.Cached != c.cached {
			t.Errorf("%s %q: %v, cached %v; want %v, %v", c.name, c.plain, out.Reason, out.Cached, c.reason, c.cached)
		}
		if c.reason != auth.OK {
			if u != nil || !errors.Is(err, auth.ErrCredentials) {
				t.Errorf("%s %q: %v, %v", c.name, c.plain, u, err)
			}
			continue
		}
		if err != nil || u.Name != "ann@isp.example" || u.AppPassword != c.app {
			t.Errorf("%s %q: %+v, %v", c.name, c.plain, u, err)
		}
	}
}
