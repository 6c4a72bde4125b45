package outbound

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// What a connection's protection came to, in the words of the event log.
const (
	verdictVerified   = "verified"   // encrypted, and the certificate is the right one
	verdictUntrusted  = "untrusted"  // encrypted, with a certificate that proves nothing
	verdictClear      = "clear"      // never tried
	verdictDowngraded = "downgraded" // tried in vain, now or lately
)

var (
	errCertificate = errors.New("no certificate that the policy takes")
	errHandshake   = errors.New("handshake")
	errNotOffered  = errors.New("STARTTLS is not offered")
)

// secure encrypts the connection as the policy demands and the server can. Under
// TLSMay a failed handshake ends the connection with errHandshake, and the same
// target is due to be tried in clear.
func (s *session) secure() *Error {
	level := s.eg.TLS.Level
	if s.implicitTLS() || level == mail.TLSNone || s.inClear {
		return nil
	}
	if !s.c.Extensions.Set.Has(smtp.StartTLS) {
		if level.Enforced() {
			return s.unprotected(statusNoTLS, errNotOffered)
		}
		return nil
	}
	if err := s.c.StartTLS(&s.answer); err != nil {
		return failed(PhaseTLS, err)
	}
	switch code := s.answer.Code; {
	case code == 220:
	case level.Enforced():
		return s.unprotected(statusNoTLS, errors.New(s.answer.Status().String()))
	case code >= 400: // RFC 3207 section 4: whether to go on is the client's to decide
		s.remote.TLSVerdict = verdictDowngraded
		return nil
	default:
		return failed(PhaseTLS, errSequence)
	}
	if err := s.handshake(); err != nil {
		return err
	}
	return s.ask(PhaseHello, s.c.Hello)
}

// unprotected gives up a server that does not offer what the policy demands.
func (s *session) unprotected(status mail.Status, err error) *Error {
	s.c.Quit(&s.answer)
	return &Error{Phase: PhaseTLS, Status: status, Class: mail.ClassTLS, Err: err}
}

// implicitTLS reports a next hop that speaks TLS from the start (RFC 8314 section
// 3.3).
func (s *session) implicitTLS() bool {
	return s.eg.Hop.Kind == mail.HopSMTP && strings.HasSuffix(s.eg.Hop.Address, ":465") && s.eg.TLS.Level != mail.TLSNone
}

// handshake encrypts the connection and notes what came of it.
func (s *session) handshake() *Error {
	began := time.Now()
	state, err := s.c.Handshake(s.tlsConfig())
	if err != nil {
		status := statusHandshake
		if errors.Is(err, errCertificate) {
			status = statusCertificate
		}
		return &Error{Phase: PhaseTLS, Status: status, Class: mail.ClassTLS, Err: errors.Join(errHandshake, err)}
	}
	s.state = &state
	s.handshakeTook = time.Since(began)
	s.remote.TLS, s.remote.Cipher = versionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	return nil
}

func versionName(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "TLSv1.3"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS10:
		return "TLSv1"
	}
	return "unknown"
}

// tlsConfig returns what the policy comes to for this target. The certificate is
// judged by judgeCertificate alone, when a session is resumed, too.
func (s *session) tlsConfig() *tls.Config {
	c := &tls.Config{
		InsecureSkipVerify: true,
		VerifyConnection:   s.judgeCertificate,
		ClientSessionCache: s.t.resume,
		MinVersion:         tls.VersionTLS12,
		// A flight is large, and a record costs a write.
		DynamicRecordSizingDisabled: true,
	}
	if s.eg.TLS.Level == mail.TLSMay {
		c.MinVersion = tls.VersionTLS10 // RFC 7435: what is old is better than what is open
	}
	if host := s.remote.Host; !isLiteral(host) { // RFC 6066 section 3: a name, no address
		c.ServerName = host
	}
	return c
}

func isLiteral(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// judgeCertificate sets the verdict; an error ends the handshake.
func (s *session) judgeCertificate(state tls.ConnectionState) error {
	p := &s.eg.TLS
	s.remote.TLSVerdict = verdictUntrusted
	if len(state.PeerCertificates) == 0 {
		if p.Level >= mail.TLSVerify {
			return errCertificate
		}
		return nil
	}
	var ok bool
	if p.Level == mail.TLSFingerprint {
		ok = hasFingerprint(state.PeerCertificates[0], p.Fingerprints)
	} else {
		ok = s.t.trusts(state.PeerCertificates, p, s.remote.Host)
	}
	switch {
	case ok:
		s.remote.TLSVerdict = verdictVerified
	case p.Level >= mail.TLSVerify:
		return errCertificate
	}
	return nil
}

// hasFingerprint compares the certificate and its public key.
func hasFingerprint(leaf *x509.Certificate, list [][sha256.Size]byte) bool {
	whole, key := sha256.Sum256(leaf.Raw), sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return slices.ContainsFunc(list, func(f [sha256.Size]byte) bool {
		return bytes.Equal(f[:], whole[:]) || bytes.Equal(f[:], key[:])
	})
}

// trusts reports a chain to a known authority for one of the names that the
// policy takes.
func (t *Transport) trusts(chain []*x509.Certificate, p *mail.TLSPolicy, host string) bool {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: t.o.Roots, Intermediates: between, CurrentTime: time.Now()}); err != nil {
		return false
	}
	if len(p.Names) == 0 {
		return leaf.VerifyHostname(host) == nil
	}
	return slices.ContainsFunc(p.Names, func(name string) bool {
		if !strings.HasPrefix(name, ".") {
			return leaf.VerifyHostname(name) == nil
		}
		return slices.ContainsFunc(leaf.DNSNames, func(n string) bool {
			return len(n) > len(name) && strings.EqualFold(n[len(n)-len(name):], name)
		})
	})
}
