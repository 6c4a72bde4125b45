//go:build interop

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// collector is a server that keeps what it is given.
type collector struct {
	addr string

	mu  sync.Mutex // guards following
	got []collected
}

type collected struct {
	from string
	opts gosmtp.MailOptions
	to   []string
	rcpt []gosmtp.RcptOptions
	text []byte
}

// collect starts a collector. Behind Postfix it must not offer DSN: go-smtp does
// not take the form of ORCPT that Postfix gives addresses beyond ASCII.
func collect(t *testing.T, secure, dsn bool) *collector {
	t.Helper()
	c := &collector{}
	srv := gosmtp.NewServer(c)
	srv.Domain = "collector.test"
	srv.EnableSMTPUTF8, srv.EnableDSN, srv.EnableREQUIRETLS = true, dsn, true
	srv.MaxMessageBytes = 50 << 20
	if secure {
		srv.TLSConfig = selfSigned(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) }) // it ends when it is closed
	t.Cleanup(func() { _ = srv.Close(); wg.Wait() })
	return c
}

func selfSigned(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"collector.test"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (c *collector) NewSession(*gosmtp.Conn) (gosmtp.Session, error) {
	return &collecting{c: c}, nil
}

func (c *collector) list() []collected {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]collected(nil), c.got...)
}

type collecting struct {
	c   *collector
	now collected
}

func (s *collecting) Reset()        { s.now = collected{} }
func (s *collecting) Logout() error { return nil }

func (s *collecting) Mail(from string, o *gosmtp.MailOptions) error {
	s.now.from, s.now.opts = from, *o
	return nil
}

func (s *collecting) Rcpt(to string, o *gosmtp.RcptOptions) error {
	s.now.to, s.now.rcpt = append(s.now.to, to), append(s.now.rcpt, *o)
	return nil
}

func (s *collecting) Data(r io.Reader) (err error) {
	if s.now.text, err = io.ReadAll(r); err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.got = append(s.c.got, s.now)
	return nil
}
