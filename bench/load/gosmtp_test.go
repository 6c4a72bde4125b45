package load_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

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
		return c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
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
