package sink

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// authority signs the certificates of a farm. All have one key.
type authority struct {
	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
	key   *ecdsa.PrivateKey

	mu    sync.Mutex // guards following
	certs map[certName]*tls.Certificate
}

type certName struct {
	mode TLSMode
	name string
}

// maxCerts bounds how many names a certificate is kept for.
const maxCerts = 1 << 16

func newAuthority() (*authority, error) {
	a := &authority{certs: map[certName]*tls.Certificate{}}
	var err error
	if a.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sink farm authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, a.caKey.Public(), a.caKey)
	if err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	if a.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	return a, nil
}

// config returns what a destination offers.
func (a *authority) config(mode TLSMode, usual string) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name := h.ServerName
			if name == "" {
				name = usual
			}
			return a.certificate(mode, name)
		},
	}
	if mode == TLSOld {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	}
	return c
}

// certificate returns the one for a name, signed when it is first asked for.
func (a *authority) certificate(mode TLSMode, name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.certs[certName{mode, name}]; c != nil {
		return c, nil
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(a.certs)) + 2), Subject: pkix.Name{CommonName: "sink farm"},
		DNSNames: []string{name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, key := a.ca, a.caKey
	switch mode {
	case TLSExpired:
		t.NotAfter = now.AddDate(0, 0, -1)
	case TLSWrongName:
		t.DNSNames = []string{"other.invalid"}
	case TLSSelfSigned:
		parent, key = t, a.key
	default:
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, a.key.Public(), key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
	if len(a.certs) < maxCerts {
		a.certs[certName{mode, name}] = c
	}
	return c, nil
}

// AuthorityPEM returns the certificate of the authority that signs those of the
// farm, for servers that are to trust it.
func (f *Farm) AuthorityPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.tls.ca.Raw})
}

// TLSA returns the association data, in hexadecimal, of a DANE record 3 1 1 for
// every certificate of the farm (RFC 6698).
func (f *Farm) TLSA() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(f.tls.key.Public())
	if err != nil {
		return "", fmt.Errorf("sink: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}
