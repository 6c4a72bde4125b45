package outbound_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// authority makes certificates that its pool vouches for.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.key = newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = a.sign(tmpl, tmpl, &a.key.PublicKey)
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(tmpl, parent *x509.Certificate, key *ecdsa.PublicKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// server returns what a server of those names needs.
func (a *authority) server(names ...string) *tls.Config {
	key := newKey(a.t)
	cert := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, &key.PublicKey)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}}}
}

// Each policy meets servers that are able, unable and broken.
// Covers S1, S6, HS14, HO10.
func TestPolicies(t *testing.T) {
	ca := newAuthority(t)
	config := ca.server("a.example", "mail.b.example")
	leaf := config.Certificates[0].Leaf
	const (
		able   = "STARTTLS"
		unable = "SIZE"
		failed = "451 4.7.5 TLS handshake with the next hop failed/tls"
		none   = "451 4.7.10 the next hop offers no encryption/tls"
		wrong  = "451 4.7.5 the certificate of the next hop is not one that is trusted/tls"
		early  = "451 4.5.0 the next hop does not keep the protocol/protocol"
	)
	key := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	for _, c := range []struct {
		name   string
		policy mail.TLSPolicy
		way    string
		host   string // "": a.example
		want   string // verdict, or what was heard
		dials  int    // 0: 1
		level  string
		roots  bool // without ours
	}{
		{name: "may, trusted", way: able, want: "verified"},
		{name: "may, another name", way: able, host: "c.example", want: "untrusted"},
		{name: "may, unknown authority", way: able, want: "untrusted", roots: true},
		{name: "may, unable", way: unable, want: "clear"},
		{name: "may, for now unable", way: able + " !454", want: "downgraded"},
		{name: "may, reset", way: able + " !reset", want: "downgraded", dials: 2},
		{name: "may, silent", way: able + " !stall", want: "downgraded", dials: 2},
		{name: "may, injected", way: able + " !inject", want: early},
		{name: "none", policy: mail.TLSPolicy{Level: mail.TLSNone}, way: able, want: "clear"},
		{name: "encrypt", policy: mail.TLSPolicy{Level: mail.TLSEncrypt}, way: able, want: "untrusted", roots: true},
		{name: "encrypt, unable", policy: mail.TLSPolicy{Level: mail.TLSEncrypt}, way: unable, want: none},
		{name: "encrypt, for now unable", policy: mail.TLSPolicy{Level: mail.TLSEncrypt}, way: able + " !454", want: none},
		{name: "encrypt, reset", policy: mail.TLSPolicy{Level: mail.TLSEncrypt}, way: able + " !reset", want: failed},
		{name: "encrypt, injected", policy: mail.TLSPolicy{Level: mail.TLSEncrypt}, way: able + " !inject", want: early},
		{name: "verify", policy: mail.TLSPolicy{Level: mail.TLSVerify}, way: able, want: "verified"},
		{name: "verify, another name", policy: mail.TLSPolicy{Level: mail.TLSVerify}, way: able, host: "c.example", want: wrong},
		{name: "verify, unknown authority", policy: mail.TLSPolicy{Level: mail.TLSVerify}, way: able, want: wrong, roots: true},
		{name: "verify, named", policy: mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{"x.example", "a.example"}}, way: able, host: "c.example", want: "verified"},
		{name: "verify, suffix", policy: mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{".b.example"}}, way: able, host: "c.example", want: "verified"},
		{name: "verify, wrong suffix", policy: mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{".mail.b.example", ".c.example"}}, way: able, want: wrong},
		{name: "verify, reset", policy: mail.TLSPolicy{Level: mail.TLSVerify}, way: able + " !reset", want: failed},
		{name: "fingerprint", policy: mail.TLSPolicy{Level: mail.TLSFingerprint, Fingerprints: [][32]byte{{}, sha256.Sum256(leaf.Raw)}}, way: able, want: "verified", roots: true},
		{name: "fingerprint of the key", policy: mail.TLSPolicy{Level: mail.TLSFingerprint, Fingerprints: [][32]byte{key}}, way: able, want: "verified", roots: true},
		{name: "another fingerprint", policy: mail.TLSPolicy{Level: mail.TLSFingerprint, Fingerprints: [][32]byte{{}}}, way: able, want: wrong},
		{name: "fingerprint, unable", policy: mail.TLSPolicy{Level: mail.TLSFingerprint, Fingerprints: [][32]byte{key}}, way: unable, want: none},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &farm{hosts: map[string]string{"192.0.2.1": c.way, "192.0.2.2": "refuse"}, tls: config}
				o := outbound.Options{Connect: f.connect, Timeouts: quick, Roots: ca.pool}
				if c.roots {
					o.Roots = x509.NewCertPool()
				}
				if c.host == "" {
					c.host = "a.example"
				}
				var got []mail.Hearing
				eg := &mail.Egress{
					Hop: mx, TLS: c.policy, Targets: targets(c.host+" 192.0.2.1 10", "b 192.0.2.2 20"),
					Heard: func(h mail.Hearing) { got = append(got, h) },
				}
				d := delivery(&hello, "s@x", "a@y")
				_ = outbound.New(o).Serve(t.Context(), nil, eg, newSource(t, d)) // what came of it was heard
				f.wg.Wait()
				if !d.Outcomes[0].OK() {
					want := c.host + " " + c.want + ", b 451 4.4.1 connection refused by the next hop/refused"
					if h := heard(got); h != want {
						t.Errorf("heard %q\n  not %q", h, want)
					}
					return
				}
				r := d.Remote
				if r.TLSVerdict != c.want || r.TLSPolicy != c.policy.Level.String() {
					t.Errorf("verdict %q of policy %q, not %q", r.TLSVerdict, r.TLSPolicy, c.want)
				}
				secret := c.want == "verified" || c.want == "untrusted"
				if secret != (r.TLS == "TLSv1.3") || secret != strings.HasPrefix(r.Cipher, "TLS_") {
					t.Errorf("%s %s", r.TLS, r.Cipher)
				}
				if n := len(f.dials); n != max(1, c.dials) {
					t.Errorf("dialled %d times", n)
				}
			})
		})
	}
}

// A host with which no handshake succeeds gets mail in clear at once, for some
// hours, unless a policy demands more.
// Covers S1, HO10.
func TestBrokenTLS(t *testing.T) {
	ca := newAuthority(t)
	config := ca.server("a.example")
	synctest.Test(t, func(t *testing.T) {
		f := &farm{hosts: map[string]string{"192.0.2.1": "STARTTLS !reset"}, tls: config}
		tr := outbound.New(outbound.Options{Connect: f.connect, Timeouts: quick, Roots: ca.pool})
		check := func(when string, level mail.TLSLevel, dials int, verdict string) {
			t.Helper()
			f.dials = nil
			d := delivery(&hello, "s@x", "a@y")
			eg := &mail.Egress{Hop: mx, TLS: mail.TLSPolicy{Level: level}, Targets: targets("a.example 192.0.2.1 10")}
			err := tr.Serve(t.Context(), nil, eg, newSource(t, d))
			f.wg.Wait()
			if len(f.dials) != dials || d.Remote.TLSVerdict != verdict {
				t.Errorf("%s: %d dials, verdict %q, %v", when, len(f.dials), d.Remote.TLSVerdict, err)
			}
		}
		wait := func(d time.Duration) { <-time.NewTimer(d).C }
		check("first", mail.TLSMay, 2, "downgraded")
		check("second", mail.TLSMay, 1, "downgraded")
		check("demanding", mail.TLSEncrypt, 1, "")
		wait(5 * time.Hour)
		check("hours later", mail.TLSMay, 2, "downgraded")
		f.hosts["192.0.2.1"] = "STARTTLS"
		check("mended, yet remembered", mail.TLSMay, 1, "downgraded")
		check("mended, seen by another policy", mail.TLSEncrypt, 1, "verified")
		check("mended and forgotten", mail.TLSMay, 1, "verified")
		f.hosts["192.0.2.1"] = "refuse"
		check("gone", mail.TLSMay, 1, "")
	})
}

// A second connection resumes the session of the first, and its certificate is
// judged again.
// Covers S8.
func TestResumption(t *testing.T) {
	ca := newAuthority(t)
	config := ca.server("a.example")
	resumed := 0
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if s.DidResume {
			resumed++
		}
		if s.CurveID != tls.X25519MLKEM768 {
			t.Errorf("key exchange %v", s.CurveID)
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		f := &farm{hosts: map[string]string{"192.0.2.1": "STARTTLS"}, tls: config}
		tr := outbound.New(outbound.Options{Connect: f.connect, Timeouts: quick, Roots: ca.pool})
		for _, c := range []struct {
			policy  mail.TLSPolicy
			verdict string
			resumed int
		}{
			{verdict: "verified"},
			{verdict: "verified", resumed: 1},
			{policy: mail.TLSPolicy{Level: mail.TLSVerify}, verdict: "verified", resumed: 2},
			{policy: mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{"b.example"}}, verdict: "", resumed: 3},
		} {
			d := delivery(&hello, "s@x", "a@y")
			eg := &mail.Egress{Hop: mx, TLS: c.policy, Targets: targets("a.example 192.0.2.1 10")}
			err := tr.Serve(t.Context(), nil, eg, newSource(t, d))
			f.wg.Wait()
			if d.Remote.TLSVerdict != c.verdict || resumed != c.resumed {
				t.Errorf("verdict %q with %d resumed, not %q with %d: %v", d.Remote.TLSVerdict, resumed, c.verdict, c.resumed, err)
			}
		}
	})
}
