package target

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// mount lays a file or folder over one of the system's, for one server alone.
type mount struct{ from, onto string }

// private returns the command line that runs argv in a mount namespace of its own,
// in which the mounts are there and nowhere else. It needs root.
func private(mounts []mount, argv []string) []string {
	// The pairs come first, then "--", then the command.
	const script = `while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; shift; exec "$@"`
	line := []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, "private"}
	for _, m := range mounts {
		line = append(line, m.from, m.onto)
	}
	return append(append(line, "--"), argv...)
}

// withResolver returns the command line that runs argv with dns for its resolver,
// for a server that asks whomever /etc/resolv.conf names.
func withResolver(dir, dns string, argv []string) ([]string, error) {
	text, err := resolvConf(dns)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return private([]mount{{name, "/etc/resolv.conf"}}, argv), nil
}

// resolvConf names dns, which must be at port 53: the file cannot name another.
func resolvConf(dns string) (string, error) {
	host := dns
	if h, port, err := net.SplitHostPort(dns); err == nil {
		if port != "53" {
			return "", fmt.Errorf("resolver %s: this server can only ask port 53", dns)
		}
		host = h
	}
	if net.ParseIP(host) == nil {
		return "", fmt.Errorf("resolver %q is no address", dns)
	}
	return fmt.Sprintf("nameserver %s\noptions timeout:2\n", host), nil
}

// certificateName is the key and the certificate of a server in its scratch folder.
const certificateName = "server.pem"

// selfSigned returns a new key and a certificate for host, valid for a day.
func selfSigned(host string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: host},
		DNSNames:     []string{host, "localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "PRIVATE KEY", Bytes: secret}, {Type: "CERTIFICATE", Bytes: certificate}} {
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
