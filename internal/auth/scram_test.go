package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
)

// keyed is a world of one user with SCRAM keys and an app password for POP3.
func keyed(t *testing.T) (a *auth.Authenticator, app string) {
	t.Helper()
	own, err := password.NewScram([]byte("pencil"), nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("secret")
	app, digest, err := auth.NewAppPassword(secret)
	if err != nil {
		t.Fatal(err)
	}
	more, err := password.NewScramOf([]byte(app), own)
	if err != nil {
		t.Fatal(err)
	}
	off, err := password.NewScram([]byte("pencil"), nil)
	if err != nil {
		t.Fatal(err)
	}
	a = auth.New(auth.Options{Domain: "isp.example", Secret: func() []byte { return secret },
		Limits: auth.Limits{Delay: -1, PerAddress: auth.Allowance{Burst: -1}},
		Databases: []auth.Database{ready{quick{
			"ann@isp.example": {Name: "ann@isp.example", Hash: "{PLAIN}pencil", Scram: own,
				AppPasswords: []auth.AppPassword{{Name: "phone", Digest: digest, Scopes: []string{"pop3"}, Scram: more}}},
			"off@isp.example": {Name: "off@isp.example", Hash: "{PLAIN}pencil", Scram: off, Disabled: true},
			"old@isp.example": {Name: "old@isp.example", Hash: "{PLAIN}pencil"}, // no keys
		}}}})
	t.Cleanup(a.Close)
	return a, app
}

// converse is the client's side; it returns who logged in, and whether the server
// proved that it has the keys.
func converse(t *testing.T, a *auth.Authenticator, at *auth.Attempt, mechanism string, c *scram.ClientConversation) (u *auth.User, proved bool, err error) {
	t.Helper()
	e, err := a.Start(t.Context(), at, mechanism)
	if err != nil {
		return nil, false, err
	}
	challenge := ""
	for range 4 {
		var response string
		if !c.Valid() {
			if response, err = c.Step(challenge); err != nil {
				t.Fatal(err)
			}
		}
		next, done, err := e.Next([]byte(response))
		if err != nil || done {
			return e.User(), c.Valid(), err
		}
		if e.User() != nil {
			t.Error("logged in before the end")
		}
		challenge = string(next)
	}
	return nil, false, errors.New("no end")
}

func client(t *testing.T, name, plain, identity string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(name, plain, identity)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Covers R12.
func TestScram(t *testing.T) {
	a, app := keyed(t)
	for _, c := range []struct {
		name, plain, identity, protocol string
		app                             string
		err                             error
	}{
		{"ann@isp.example", "pencil", "", "smtp", "", nil},
		{"Ann", "pencil", "", "smtp", "", nil},
		{"ann", "pencil", "ann@isp.example", "smtp", "", nil},
		{"ann", "pencil", "bob@isp.example", "smtp", "", auth.ErrCredentials},
		{"ann", "pen", "", "smtp", "", auth.ErrCredentials},
		{"ann", app, "", "pop3", "phone", nil},
		{"ann", app, "", "smtp", "", auth.ErrCredentials},
		{"off", "pencil", "", "smtp", "", auth.ErrCredentials},
		{"old", "pencil", "", "smtp", "", auth.ErrCredentials},
		{"nobody", "pencil", "", "smtp", "", auth.ErrCredentials},
		{"a,b=c", "pencil", "", "smtp", "", auth.ErrCredentials},
	} {
		u, proved, err := converse(t, a, attempt(c.protocol), auth.Scram, client(t, c.name, c.plain, c.identity).NewConversation())
		if !errors.Is(err, c.err) {
			t.Errorf("%s %q: %v, want %v", c.name, c.plain, err, c.err)
		}
		if c.err == nil && (u == nil || u.Name != "ann@isp.example" || u.AppPassword != c.app || !proved) {
			t.Errorf("%s %q: %+v, proved %v", c.name, c.plain, u, proved)
		}
	}
}

// A name that is not there looks like one that is: the same salt each time, the
// usual number of rounds, and a refusal at the same step.
//
// Covers HR4.
func TestScramOfNobody(t *testing.T) {
	a, _ := keyed(t)
	first := func(name string) (salt, rounds string) {
		server, _, err := say(t, a, attempt("smtp"), auth.Scram, "n,,n="+name+",r=abcdefgh")
		if err != nil || len(server) != 1 {
			t.Fatalf("%s: %q, %v", name, server, err)
		}
		part := strings.Split(server[0], ",")
		return part[1], part[2]
	}
	want := fmt.Sprint("i=", password.ScramIterations)
	salts := make(map[string]string)
	for _, name := range []string{"ann", "nobody", "old", "Nobody@isp.example", "someone"} {
		salt, rounds := first(name)
		again, _ := first(name)
		if salt != again || rounds != want || len(salt) != len("s=")+24 {
			t.Errorf("%s: %s, %s; then %s", name, salt, rounds, again)
		}
		salts[name] = salt
	}
	if salts["nobody"] != salts["Nobody@isp.example"] || salts["nobody"] == salts["someone"] {
		t.Errorf("%v", salts)
	}
}

// connect makes a TLS connection within the process.
func connect(t *testing.T, version uint16) (server, client tls.ConnectionState) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	one, two := net.Pipe()
	s := tls.Server(one, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion: version, MaxVersion: version, SessionTicketsDisabled: true})
	c := tls.Client(two, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	ended := make(chan error)
	go func() { ended <- s.HandshakeContext(t.Context()) }()
	if err := errors.Join(c.HandshakeContext(t.Context()), <-ended); err != nil {
		t.Fatal(err)
	}
	return s.ConnectionState(), c.ConnectionState()
}

// Covers R12.
func TestScramPlus(t *testing.T) {
	a, _ := keyed(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, mine := connect(t, version)
		_, other := connect(t, version)
		at := &auth.Attempt{Protocol: "smtp", Client: netip.MustParseAddr("192.0.2.1"), TLS: true, Binding: &server}
		if list := a.Mechanisms(at); !slices.Contains(list, auth.ScramPlus) {
			t.Fatalf("%x: %v", version, list)
		}
		exporter, err := scram.NewTLSExporterBinding(&mine)
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := scram.NewTLSExporterBinding(&other)
		if err != nil {
			t.Fatal(err)
		}
		ann := client(t, "ann", "pencil", "")
		unique := mine.TLSUnique
		uniqueErr := error(nil)
		if version == tls.VersionTLS13 { // RFC 9266 section 3: never there
			unique, uniqueErr = []byte("123456789012"), auth.ErrMessage
		}
		for name, c := range map[string]struct {
			mechanism string
			talk      *scram.ClientConversation
			err       error
		}{
			"bound":                  {auth.ScramPlus, ann.NewConversationWithChannelBinding(exporter), nil},
			"bound elsewhere":        {auth.ScramPlus, ann.NewConversationWithChannelBinding(foreign), auth.ErrCredentials},
			"unique":                 {auth.ScramPlus, ann.NewConversationWithChannelBinding(scram.NewTLSUniqueBinding(unique)), uniqueErr},
			"unknown binding":        {auth.ScramPlus, ann.NewConversationWithChannelBinding(scram.ChannelBinding{Type: "tls-other", Data: []byte("x")}), auth.ErrMessage},
			"not bound":              {auth.Scram, ann.NewConversation(), nil},
			"plus, not bound":        {auth.ScramPlus, ann.NewConversation(), auth.ErrMessage},
			"bound, without plus":    {auth.Scram, ann.NewConversationWithChannelBinding(exporter), auth.ErrMessage},
			"did not see that offer": {auth.Scram, ann.NewConversationAdvertisingChannelBinding(), auth.ErrMessage},
		} {
			if _, _, err := converse(t, a, at, c.mechanism, c.talk); !errors.Is(err, c.err) {
				t.Errorf("%x, %s: %v, want %v", version, name, err, c.err)
			}
		}
	}
	if _, err := a.Start(t.Context(), attempt("smtp"), auth.ScramPlus); !errors.Is(err, auth.ErrMechanism) {
		t.Errorf("without TLS: %v", err)
	}
}

// What is malformed ends the exchange, whatever the step.
func TestScramMalformed(t *testing.T) {
	a, _ := keyed(t)
	for _, steps := range [][]string{
		{""}, {"n"}, {"n,,"}, {"n,,n=ann"}, {"n,,r=abc,n=ann"}, {"x,,n=ann,r=abc"}, {"n,,m=ext,n=ann,r=abc"},
		{"n,,n=" + strings.Repeat("a", 2000) + ",r=abc"}, {"p=tls-exporter,,n=ann,r=abc"}, {"n,,n=a=zz,r=abc"},
		{"-", "-"}, {"-", "n"},
	} {
		if _, _, err := say(t, a, attempt("smtp"), auth.Scram, steps...); !errors.Is(err, auth.ErrMessage) {
			t.Errorf("%.40q: %v", steps, err)
		}
	}
	for _, last := range []string{"", "c=biws", "c=biws,r=wrong,p=AAAA", "nonsense"} {
		if _, _, err := say(t, a, attempt("smtp"), auth.Scram, "n,,n=ann,r=abc", last); !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("%q: %v", last, err)
		}
	}
}
