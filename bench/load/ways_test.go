package load_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"postrider/bench/load"
)

// An LMTP server answers for each recipient.
func TestLMTP(t *testing.T) {
	for name, o := range map[string]load.Options{"joined": {}, "strict": {Strict: true}} {
		t.Run(name, func(t *testing.T) {
			ends := 0
			f := &fake{lmtp: true, extensions: []string{"PIPELINING"}, reply: func(command string) string {
				if command != "." {
					return ""
				}
				if ends++; ends%3 == 0 {
					return "550 5.2.2 full"
				}
				return ""
			}}
			o.Address, o.LMTP, o.Messages, o.Recipients, o.Users = f.start(t), true, 20, load.FixedRecipients(3), 10
			r := run(t, o)
			if r.Accepted != 20 || r.AcceptedDuties != 40 || r.RefusedDuties != 20 || r.Err != nil || f.said("LHLO") != 1 {
				t.Errorf("%+v", r)
			}
			if n := f.said("RCPT TO:<u"); n != 60 {
				t.Errorf("%d recipients", n)
			}
		})
	}
}

// A message that got a 4xx is offered again, with the number it had.
func TestTries(t *testing.T) {
	for name, o := range map[string]load.Options{"joined": {}, "strict": {Strict: true}, "open": {Pace: pace(t, "constant:1000")}, "fresh": {PerConnection: 1}} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]int{}
			var mu sync.Mutex
			f := &fake{extensions: []string{"PIPELINING"}, reply: func(command string) string {
				mu.Lock()
				defer mu.Unlock()
				if !strings.HasPrefix(command, "RCPT") {
					return ""
				}
				seen[command]++
				switch n := seen[command]; {
				case strings.Contains(command, "<r7."):
					return "550 5.1.1 never"
				case n == 1 || strings.Contains(command, "<r9."):
					return "451 4.7.1 greylisted"
				}
				return ""
			}}
			o.Address, o.Conns, o.Messages, o.Tries, o.RetryAfter = f.start(t), 2, 40, 3, 50*time.Millisecond
			r := run(t, o)
			if r.Accepted != 38 || r.Refused != 2 || r.Retried != 40 || r.Sent != 40 || r.Err != nil {
				t.Errorf("%+v", r)
			}
			if m := r.Response.Min(); m < 50_000 {
				t.Errorf("a response of %d us", m)
			}
		})
	}
}

// A message that a lost connection left unsent is offered again as well.
func TestTriesAfterLoss(t *testing.T) {
	n := 0
	var mu sync.Mutex
	f := &fake{reply: func(command string) string {
		mu.Lock()
		defer mu.Unlock()
		if command == "DATA" {
			if n++; n%3 == 1 {
				return "drop"
			}
		}
		return ""
	}}
	r := run(t, load.Options{Address: f.start(t), Messages: 10, Tries: 5, RetryAfter: time.Millisecond, Failures: -1})
	if r.Accepted != 10 || r.Unsent != 0 || r.Retried == 0 || r.Retried != r.Failures {
		t.Errorf("%+v", r.Counts)
	}
}

// A server that says 421 to a text has refused it: nothing is unknown.
func TestClosing(t *testing.T) {
	f := &fake{extensions: []string{"PIPELINING"}, reply: func(command string) string {
		if command == "." {
			return "421 4.3.2 going down"
		}
		return ""
	}}
	r := run(t, load.Options{Address: f.start(t), Messages: 3, Failures: 2, Pace: pace(t, "constant:1000")})
	if r.Refused != 2 || r.Unknown != 0 || r.Failures != 2 || r.Err == nil {
		t.Errorf("%+v", r)
	}
}

// backend is a go-smtp server's: it takes every message, and logins by password.
type backend struct {
	mu     sync.Mutex // guards following
	texts  []string
	logins []string
	rcpts  int
	utf8   int
}

type session struct {
	b    *backend
	mech string
}

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{b: b}, nil }

func (s *session) Mail(_ string, o *smtp.MailOptions) error {
	if s.mech == "" {
		return smtp.ErrAuthRequired
	}
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if o != nil && o.UTF8 {
		s.b.utf8++
	}
	return nil
}

func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.rcpts++
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.texts = append(s.b.texts, string(text))
	return err
}

func (*session) Reset()        {}
func (*session) Logout() error { return nil }

func (*session) AuthMechanisms() []string { return []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"} }

var errPassword = errors.New("wrong password")

func (s *session) login(mech, user, password string) error {
	if password != "secret" {
		return errPassword
	}
	s.mech = mech
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.logins = append(s.b.logins, mech+" "+user)
	return nil
}

func (s *session) Auth(mech string) (sasl.Server, error) {
	switch mech {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, password string) error { return s.login(mech, user, password) }), nil
	case "LOGIN":
		return &loginServer{s: s}, nil
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		c, err := scram.SHA256.NewClient("", "secret", "")
		if err != nil {
			return scram.StoredCredentials{}, err
		}
		return c.GetStoredCredentials(scram.KeyFactors{Salt: "salt", Iters: 4096}), nil
	})
	if err != nil {
		return nil, err
	}
	return &scramServer{s, server.NewConversation()}, nil
}

// loginServer is the other side of LOGIN, which asks twice.
type loginServer struct {
	s    *session
	step int
	user string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		if response != nil {
			return nil, false, errors.New("LOGIN with an initial response")
		}
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.s.login("LOGIN", l.user, string(response))
}

type scramServer struct {
	s *session
	c *scram.ServerConversation
}

func (s *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if s.c.Done() {
		return nil, true, s.s.login("SCRAM-SHA-256", s.c.Username(), "secret")
	}
	next, err := s.c.Step(string(response))
	return []byte(next), false, err
}

// startGoSMTP runs a go-smtp server for the time of a test.
func startGoSMTP(t *testing.T, implicit bool) (*backend, string) {
	t.Helper()
	b := &backend{}
	s := smtp.NewServer(b)
	s.Domain, s.AllowInsecureAuth, s.EnableSMTPUTF8, s.TLSConfig = "go.test", true, true, certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if implicit {
		l = tls.NewListener(l, s.TLSConfig)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); wg.Wait() })
	return b, l.Addr().String()
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// Secured and logged in by every mechanism, with sessions resumed or not, texts
// of every kind arrive at an independent server.
func TestTLSAndAuth(t *testing.T) {
	for _, mode := range []load.TLSMode{load.StartTLS, load.ImplicitTLS} {
		for _, mech := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"} {
			for _, full := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v %s %v", mode, mech, full), func(t *testing.T) {
					b, addr := startGoSMTP(t, mode == load.ImplicitTLS)
					shape, err := load.ParseShape("mime,smtputf8,signed")
					if err != nil {
						t.Fatal(err)
					}
					r := run(t, load.Options{
						Address: addr, Messages: 6, PerConnection: 2, TLS: mode, NoResumption: full, Shape: shape,
						Auth: load.Auth{Mechanism: mech, User: "u%d@go.test", Users: 2, Password: "secret"},
					})
					if r.Accepted != 6 || r.Err != nil || b.rcpts != 6 || b.utf8 != 6 || len(b.texts) != 6 {
						t.Fatalf("%+v, %d texts", r, len(b.texts))
					}
					want := int64(2)
					if full {
						want = 0
					}
					if r.Resumed != want || r.Connections != 3 {
						t.Errorf("%d of %d resumed", r.Resumed, r.Connections)
					}
					if got := strings.Join(b.logins, ", "); got != fmt.Sprintf("%[1]s u0@go.test, %[1]s u1@go.test, %[1]s u0@go.test", mech) {
						t.Error(got)
					}
				})
			}
		}
	}
}

// A wrong password, a server without TLS, or one without what the texts need, is
// a failure.
func TestOpenFails(t *testing.T) {
	_, secure := startGoSMTP(t, false)
	plain := (&fake{}).start(t)
	utf8, _ := load.ParseShape("smtputf8")
	for name, o := range map[string]load.Options{
		"password":  {Address: secure, Auth: load.Auth{Mechanism: "PLAIN", User: "u", Password: "x"}},
		"scram":     {Address: secure, Auth: load.Auth{Mechanism: "SCRAM-SHA-256", User: "u", Password: "x"}},
		"untrusted": {Address: secure, TLS: load.StartTLS, TLSConfig: &tls.Config{}},
		"no tls":    {Address: plain, TLS: load.ImplicitTLS, Timeout: 200 * time.Millisecond},
		"no utf8":   {Address: plain, Shape: utf8},
		"no bdat":   {Address: plain, BDAT: true},
	} {
		o.Messages, o.Failures = 1, 1
		if r := run(t, o); r.Err == nil || r.Accepted != 0 || r.Failures != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
