package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"

	"postrider/internal/auth"
)

// tokens knows one good token.
type tokens struct{}

func (tokens) Check(_ context.Context, token string) (string, error) {
	switch token {
	case "good":
		return "ann@isp.example", nil
	case "down":
		return "", errors.New("the issuer does not answer")
	}
	return "", auth.ErrCredentials
}

// ready is a database of users who all have SCRAM keys.
type ready struct{ quick }

func (ready) ScramReady() bool { return true }

func sayers(t *testing.T, tok auth.TokenChecker) *auth.Authenticator {
	t.Helper()
	a := auth.New(auth.Options{Domain: "isp.example", Tokens: tok, Limits: auth.Limits{Delay: -1, PerAddress: auth.Allowance{Burst: -1}, PerNetwork: auth.Allowance{Burst: -1}},
		Databases: []auth.Database{quick{
			"ann@isp.example": {Name: "ann@isp.example", Hash: "{PLAIN}right"},
			"off@isp.example": {Name: "off@isp.example", Hash: "{PLAIN}right", Disabled: true},
		}}})
	t.Cleanup(a.Close)
	return a
}

// say runs an exchange: what the client says, as one text a step; "-" is no initial
// response. It returns what the server said, and how it ended.
func say(t *testing.T, a *auth.Authenticator, at *auth.Attempt, mechanism string, client ...string) (server []string, user string, err error) {
	t.Helper()
	e, err := a.Start(t.Context(), at, mechanism)
	if err != nil {
		return nil, "", err
	}
	for _, c := range client {
		response := []byte(c)
		if c == "-" {
			response = nil
		}
		challenge, done, err := e.Next(response)
		if err != nil {
			if e.User() != nil {
				t.Error("a user after an error")
			}
			return server, "", err
		}
		if done {
			return server, e.User().Name, nil
		}
		server = append(server, string(challenge))
	}
	return server, "", nil
}

// Covers R12.
func TestMechanisms(t *testing.T) {
	plain, oauth := []string{"PLAIN", "LOGIN"}, []string{"OAUTHBEARER", "XOAUTH2"}
	scram := auth.New(auth.Options{Databases: []auth.Database{ready{}}})
	defer scram.Close()
	mixed := auth.New(auth.Options{Databases: []auth.Database{ready{}, users{}}})
	defer mixed.Close()
	for _, c := range []struct {
		a    *auth.Authenticator
		at   auth.Attempt
		want []string
	}{
		{sayers(t, nil), auth.Attempt{TLS: true}, plain},
		{sayers(t, nil), auth.Attempt{}, nil},
		{sayers(t, nil), auth.Attempt{Clear: true}, plain},
		{sayers(t, tokens{}), auth.Attempt{TLS: true}, slices.Concat(plain, oauth)},
		{sayers(t, tokens{}), auth.Attempt{}, nil},
		{scram, auth.Attempt{}, []string{"SCRAM-SHA-256"}},
		{scram, auth.Attempt{TLS: true}, []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}},
		{mixed, auth.Attempt{TLS: true}, plain},
	} {
		if got := c.a.Mechanisms(&c.at); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.at, got, c.want)
		}
	}
	a := sayers(t, nil)
	for mechanism, want := range map[string]error{"CRAM-MD5": auth.ErrMechanism, "": auth.ErrMechanism, "XOAUTH2": auth.ErrMechanism,
		"plain": auth.ErrEncryption, "LOGIN": auth.ErrEncryption, "SCRAM-SHA-256": auth.ErrMechanism} {
		if _, err := a.Start(t.Context(), &auth.Attempt{}, mechanism); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", mechanism, err, want)
		}
	}
}

// Covers R12.
func TestExchangesThatShowASecret(t *testing.T) {
	const bad401 = `{"status":"401","schemes":"bearer","scope":"mail"}`
	const badToken = `{"status":"invalid_token","schemes":"bearer","scope":""}`
	long := strings.Repeat("x", auth.MaxResponse+1)
	for _, c := range []struct {
		mechanism string
		client    []string
		server    []string
		err       error
	}{
		{"PLAIN", []string{"\x00ann\x00right"}, nil, nil},
		{"plain", []string{"-", "\x00ann@isp.example\x00right"}, []string{""}, nil},
		{"PLAIN", []string{"ANN@isp.example\x00ann\x00right"}, nil, nil},
		{"PLAIN", []string{"bob@isp.example\x00ann\x00right"}, nil, auth.ErrCredentials}, // acts for nobody else
		{"PLAIN", []string{"\x00ann\x00wrong"}, nil, auth.ErrCredentials},
		{"PLAIN", []string{"\x00off\x00right"}, nil, auth.ErrCredentials},
		{"PLAIN", []string{"\x00nobody\x00right"}, nil, auth.ErrCredentials},
		{"PLAIN", []string{"\x00ann\x00"}, nil, auth.ErrMessage},
		{"PLAIN", []string{"\x00\x00right"}, nil, auth.ErrMessage},
		{"PLAIN", []string{"ann right"}, nil, auth.ErrMessage},
		{"PLAIN", []string{"\x00ann\x00right\x00"}, nil, auth.ErrMessage},
		{"PLAIN", []string{""}, nil, auth.ErrMessage},
		{"PLAIN", []string{long}, nil, auth.ErrMessage},
		{"LOGIN", []string{"-", "ann", "right"}, []string{"Username:", "Password:"}, nil},
		{"LOGIN", []string{"ann", "right"}, []string{"Password:"}, nil},
		{"LOGIN", []string{"-", "ann", "wrong"}, []string{"Username:", "Password:"}, auth.ErrCredentials},
		{"LOGIN", []string{"-", "", "right"}, []string{"Username:"}, auth.ErrMessage},
		{"LOGIN", []string{"-", "ann", ""}, []string{"Username:", "Password:"}, auth.ErrMessage},
		{"LOGIN", []string{"-", "ann", long}, []string{"Username:", "Password:"}, auth.ErrMessage},
		{"OAUTHBEARER", []string{"n,a=ann@isp.example,\x01host=h\x01port=143\x01auth=Bearer good\x01\x01"}, nil, nil},
		{"OAUTHBEARER", []string{"-", "n,,\x01auth=Bearer good\x01\x01"}, []string{""}, nil},
		{"OAUTHBEARER", []string{"n,a=ann@isp.example,\x01auth=Bearer bad\x01\x01", "\x01"}, []string{badToken}, auth.ErrCredentials},
		{"OAUTHBEARER", []string{"n,a=ann@isp.example,\x01auth=Bearer bad\x01\x01", ""}, []string{badToken}, auth.ErrCredentials},
		{"OAUTHBEARER", []string{"n,a=ann@isp.example,\x01auth=Bearer bad\x01\x01", "more"}, []string{badToken}, auth.ErrCredentials},
		{"OAUTHBEARER", []string{"n,a=bob@isp.example,\x01auth=Bearer good\x01\x01", "\x01"}, []string{badToken}, auth.ErrCredentials},
		{"OAUTHBEARER", []string{"n,a=ann@isp.example,\x01auth=Bearer down\x01\x01", "\x01"}, []string{badToken}, auth.ErrUnavailable},
		{"OAUTHBEARER", []string{"nonsense", "\x01"}, []string{`{"status":"invalid_request","schemes":"bearer","scope":""}`}, auth.ErrMessage},
		{"XOAUTH2", []string{"user=ann@isp.example\x01auth=Bearer good\x01\x01"}, nil, nil},
		{"XOAUTH2", []string{"-", "user=ann@isp.example\x01auth=bearer good\x01\x01"}, []string{""}, nil},
		{"XOAUTH2", []string{"user=ann@isp.example\x01auth=Bearer bad\x01\x01", ""}, []string{bad401}, auth.ErrCredentials},
		{"XOAUTH2", []string{"user=bob@isp.example\x01auth=Bearer good\x01\x01", ""}, []string{bad401}, auth.ErrCredentials},
		{"XOAUTH2", []string{"user=ann@isp.example\x01auth=Basic good\x01\x01"}, nil, auth.ErrMessage},
		{"XOAUTH2", []string{"auth=Bearer good\x01\x01"}, nil, auth.ErrMessage},
		{"XOAUTH2", []string{""}, nil, auth.ErrMessage},
	} {
		server, user, err := say(t, sayers(t, tokens{}), attempt("smtp"), c.mechanism, c.client...)
		if !errors.Is(err, c.err) || !slices.Equal(server, c.server) || (user == "ann@isp.example") != (c.err == nil) {
			t.Errorf("%s %.60q: %q, %q, %v; want %q, %v", c.mechanism, c.client, server, user, err, c.server, c.err)
		}
	}
}

// The other side is go-sasl, as mail programs are.
func TestClientsOfGoSASL(t *testing.T) {
	a := sayers(t, tokens{})
	for _, c := range []sasl.Client{
		sasl.NewPlainClient("", "ann", "right"),
		sasl.NewLoginClient("ann", "right"),
		sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "ann@isp.example", Token: "good", Host: "mx", Port: 587}),
	} {
		mechanism, response, err := c.Start()
		if err != nil {
			t.Fatal(err)
		}
		e, err := a.Start(t.Context(), attempt("imap"), mechanism)
		for done := false; !done && err == nil; {
			var challenge []byte
			if challenge, done, err = e.Next(response); err == nil && !done {
				response, err = c.Next(challenge)
			}
		}
		if err != nil || e.User() == nil {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
}

// No step, however many and whatever is in them, logs in who does not know a
// secret, or does anything but end.
func FuzzExchange(f *testing.F) {
	for _, m := range []string{"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2", "SCRAM-SHA-256"} {
		f.Add(m, "\x00ann\x00guess", "", "")
		f.Add(m, "n,,n=ann,r=abc", "c=biws,r=abc,p=AAAA", "")
		f.Add(m, "n,a=ann@isp.example,\x01auth=Bearer bad\x01\x01", "\x01", "")
		f.Add(m, "user=ann@isp.example\x01auth=Bearer bad\x01\x01", "", "")
	}
	a := auth.New(auth.Options{Domain: "isp.example", Tokens: tokens{}, Limits: auth.Limits{Delay: -1, PerAddress: auth.Allowance{Burst: -1},
		PerNetwork: auth.Allowance{Burst: -1}, PerAccount: auth.Allowance{Burst: -1}},
		Databases: []auth.Database{ready{quick{"ann@isp.example": {Name: "ann@isp.example", Hash: "{PLAIN}a secret that is not guessed"}}}}})
	f.Cleanup(a.Close)
	f.Fuzz(func(t *testing.T, mechanism, one, two, three string) {
		if strings.Contains(one+two+three, "good") {
			return // the token
		}
		e, err := a.Start(t.Context(), attempt("smtp"), mechanism)
		if err != nil {
			return
		}
		ended := false
		for _, response := range []string{one, two, three, "", "", ""} {
			challenge, done, err := e.Next([]byte(response))
			if len(challenge) > 4*auth.MaxResponse || done && err == nil || ended && err == nil || e.User() != nil {
				t.Fatalf("%s %q %q %q: %q, %v, %v", mechanism, one, two, three, challenge, done, err)
			}
			ended = ended || done
		}
		if !ended {
			t.Errorf("%s %q %q %q: never ends", mechanism, one, two, three)
		}
	})
}

// An outcome says who and why, and nothing else.
func TestOutcomeHoldsNoSecret(t *testing.T) {
	var told []string
	a := auth.New(auth.Options{Domain: "isp.example", Tokens: tokens{}, Limits: auth.Limits{Delay: -1}, Databases: []auth.Database{users{}},
		Observe: func(o *auth.Outcome) { told = append(told, fmt.Sprintf("%+v %+v %v", *o, *o.Attempt, o.Reason)) }})
	defer a.Close()
	_, _, _ = say(t, a, attempt("smtp"), "PLAIN", "\x00ann\x00hunter2")
	_, _, _ = say(t, a, attempt("smtp"), "LOGIN", "-", "ann", "hunter2")
	_, _, _ = say(t, a, attempt("smtp"), "LOGIN", "-", "hunter2 typed as a name", "x")
	_, _, _ = say(t, a, attempt("smtp"), "XOAUTH2", "user=ann\x01auth=Bearer hunter2\x01\x01")
	_, _ = a.Password(t.Context(), attempt("pop3"), "ann", []byte("hunter2"))
	if len(told) != 5 || strings.Contains(strings.Join(told, "\n"), "hunter2") {
		t.Errorf("%q", told)
	}
}

// Bad tokens that name nobody are held against their addresses, and not against
// everybody whose program names nobody either.
//
// Covers A9.
func TestTokensThatNameNobody(t *testing.T) {
	a := auth.New(auth.Options{Tokens: tokens{}, Limits: auth.Limits{Delay: -1},
		Databases: []auth.Database{quick{"ann@isp.example": {Name: "ann@isp.example", Hash: "{PLAIN}right"}}}})
	defer a.Close()
	try := func(client, token string) error {
		at := &auth.Attempt{Protocol: "imap", Client: netip.MustParseAddr(client), TLS: true}
		_, _, err := say(t, a, at, auth.OAuthBearer, "n,,\x01auth=Bearer "+token+"\x01\x01", "\x01")
		return err
	}
	for i := range 200 {
		if err := try(fmt.Sprintf("203.0.%d.5", i), "bad"); !errors.Is(err, auth.ErrCredentials) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if err := try("192.0.2.1", "good"); err != nil {
		t.Errorf("a good token from elsewhere: %v", err)
	}
}
