package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postrider/internal/certs"
)

// writePair makes a certificate with that common name and returns its files.
func writePair(t *testing.T, dir, name string, notAfter time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"mx.test"},
		NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	put(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	put(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder}))
	return cert, key
}

func put(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// presented makes a handshake and returns the name in the certificate shown.
func presented(t *testing.T, s *certs.Store) string {
	t.Helper()
	a, b := net.Pipe()
	server, client := tls.Server(a, s.Config()), tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Handshake(); err != nil {
			t.Error(err)
		}
	})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	return client.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestReloadKeepsTheOldOnAnyError(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	oneCert, oneKey := writePair(t, dir, "one", now.Add(24*time.Hour))
	twoCert, twoKey := writePair(t, dir, "two", now.Add(24*time.Hour))
	oldCert, oldKey := writePair(t, dir, "old", now.Add(-time.Hour))
	half := filepath.Join(dir, "half.pem")
	whole, err := os.ReadFile(twoCert)
	if err != nil {
		t.Fatal(err)
	}
	put(t, half, whole[:len(whole)/2])
	s, err := certs.Open(certs.Options{Certificate: oneCert, Key: oneKey})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]certs.Options{
		"half written":         {Certificate: half, Key: twoKey},
		"mismatched":           {Certificate: twoCert, Key: oneKey},
		"missing":              {Certificate: filepath.Join(dir, "none"), Key: twoKey},
		"without key":          {Certificate: twoCert},
		"expired":              {Certificate: oldCert, Key: oldKey},
		"key as a certificate": {Certificate: twoKey, Key: twoKey},
	} {
		if err := s.Reload(o); err == nil {
			t.Errorf("%s: taken", name)
		}
		if got := presented(t, s); got != "one" {
			t.Errorf("%s: handshakes show %q", name, got)
		}
	}
	if err := s.Reload(certs.Options{Certificate: twoCert, Key: twoKey}); err != nil {
		t.Fatal(err)
	}
	if got := presented(t, s); got != "two" || s.SelfSigned() {
		t.Errorf("after the reload handshakes show %q", got)
	}
}

func TestSelfSigned(t *testing.T) {
	s, err := certs.Open(certs.Options{Hostname: "mx.test"})
	if err != nil {
		t.Fatal(err)
	}
	if got := presented(t, s); got != "mx.test" || !s.SelfSigned() || time.Until(s.NotAfter()) < 24*time.Hour {
		t.Errorf("name %q, self-signed %v, until %v", got, s.SelfSigned(), s.NotAfter())
	}
	before, _ := s.Certificate(nil)
	if err := s.Reload(certs.Options{Hostname: "mx.test"}); err != nil {
		t.Fatal(err)
	}
	if after, _ := s.Certificate(nil); before != after {
		t.Error("a reload without files made a new certificate")
	}
}

func TestExpiredAtStartIsTaken(t *testing.T) {
	c, k := writePair(t, t.TempDir(), "old", time.Now().Add(-time.Hour))
	s, err := certs.Open(certs.Options{Certificate: c, Key: k})
	if err != nil || !s.NotAfter().Before(time.Now()) {
		t.Errorf("err %v", err)
	}
}

func TestReloadUnderHandshakes(t *testing.T) {
	dir := t.TempDir()
	var o [2]certs.Options
	for i, name := range []string{"one", "two"} {
		o[i].Certificate, o[i].Key = writePair(t, dir, name, time.Now().Add(time.Hour))
	}
	s, err := certs.Open(o[0])
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 50 {
			if err := s.Reload(o[i%2]); err != nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		if n := presented(t, s); n != "one" && n != "two" {
			t.Errorf("handshake shows %q", n)
		}
	}
	wg.Wait()
}
