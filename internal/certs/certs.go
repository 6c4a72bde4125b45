// Package certs keeps the certificate that servers present, and reloads it while
// they run.
//
// A store begins with the pair of files it is given, or with a self-signed
// certificate when there is none, so that STARTTLS is offered from the first
// start. A reload takes effect whole or not at all: a file that is half written,
// a key that belongs to another certificate, or a certificate that has expired
// leaves the old pair in use, and new handshakes never see anything else.
//
// # Concurrency
//
// Store is safe for concurrent use; a handshake reads one pointer.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options name the certificate.
type Options struct {
	// Certificate and Key are PEM files; both empty: a self-signed certificate
	// is made for Hostname, anew at each start.
	Certificate, Key string
	// Hostname is the name in a self-signed certificate.
	Hostname string
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Errors of a reload beside those of reading and parsing.
var (
	ErrExpired  = errors.New("the certificate has expired")
	ErrNotYet   = errors.New("the certificate is not valid yet")
	ErrKeyAlone = errors.New("a certificate needs its key, and a key its certificate")
)

// selfSignedLife is how long a self-signed certificate is valid. Nobody checks
// it, but a date in the past would still make some clients refuse.
const selfSignedLife = 10 * 365 * 24 * time.Hour

// Store holds the certificate in use.
type Store struct {
	current atomic.Pointer[pair]
	clock   func() time.Time

	mu sync.Mutex // serializes reloads and guards o
	o  Options
}

// pair is an immutable snapshot.
type pair struct {
	certificate tls.Certificate
	notAfter    time.Time
	selfSigned  bool
}

// Open loads the certificate. Unlike Reload it takes an expired one, so that a
// forgotten renewal does not keep the daemon from starting; NotAfter tells.
func Open(o Options) (*Store, error) {
	s := &Store{o: o, clock: o.Clock}
	if s.clock == nil {
		s.clock = time.Now
	}
	p, err := s.load(o)
	if err != nil && !errors.Is(err, ErrExpired) && !errors.Is(err, ErrNotYet) {
		return nil, err
	}
	s.current.Store(p)
	return s, nil
}

// Reload reads the certificate anew, from o's files, which may be others than
// before. On any error the old one stays in use. Without files a self-signed
// certificate that is in use for the same name stays.
func (s *Store) Reload(o Options) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Certificate == "" && o.Key == "" && s.current.Load().selfSigned && o.Hostname == s.o.Hostname {
		return nil
	}
	p, err := s.load(o)
	if err != nil {
		return err
	}
	s.o = o
	s.current.Store(p)
	return nil
}

// load reads or makes a pair. It returns one with ErrExpired and ErrNotYet too.
func (s *Store) load(o Options) (*pair, error) {
	now := s.clock()
	if o.Certificate == "" && o.Key == "" {
		return selfSigned(o.Hostname, now)
	}
	if o.Certificate == "" || o.Key == "" {
		return nil, ErrKeyAlone
	}
	c, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", o.Certificate, o.Key, err)
	}
	p := &pair{certificate: c, notAfter: c.Leaf.NotAfter}
	switch {
	case now.After(c.Leaf.NotAfter):
		return p, fmt.Errorf("%s: %w: %s", o.Certificate, ErrExpired, c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.Leaf.NotBefore):
		return p, fmt.Errorf("%s: %w: %s", o.Certificate, ErrNotYet, c.Leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return p, nil
}

// Certificate returns the one in use, in the form that tls.Config asks for.
func (s *Store) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &s.current.Load().certificate, nil
}

// Config returns a server's TLS configuration: TLS 1.2 and up, Go's choice of
// ciphers, and the certificate that is in use at each handshake, so a reload
// needs no new Config. The caller may change it before its first use.
func (s *Store) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.Certificate}
}

// NotAfter is when the certificate in use expires.
func (s *Store) NotAfter() time.Time { return s.current.Load().notAfter }

// SelfSigned reports that no certificate was given.
func (s *Store) SelfSigned() bool { return s.current.Load().selfSigned }

func selfSigned(hostname string, now time.Time) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: hostname},
		NotBefore:    now.Add(-time.Hour), // a peer's clock may be late
		NotAfter:     now.Add(selfSignedLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if hostname != "" {
		t.DNSNames = []string{hostname}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	c := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return &pair{certificate: c, notAfter: leaf.NotAfter, selfSigned: true}, nil
}
