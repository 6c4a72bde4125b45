package sink_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"testing"

	"postrider/bench/sink"
)

// Each mode of TLS is what it says.
func TestTLS(t *testing.T) {
	var sites []sink.Site
	modes := []sink.TLSMode{sink.TLSGood, sink.TLSExpired, sink.TLSWrongName, sink.TLSSelfSigned, sink.TLSOld, sink.TLSBroken, sink.TLSNone}
	for i, m := range modes {
		sites = append(sites, sink.Site{Domains: set(fmt.Sprintf("d%d", i)), Policy: sink.Policy{TLS: m}})
	}
	f := startFarm(t, sink.FarmOptions{Spread: true}, sites...)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(f.AuthorityPEM()) {
		t.Fatal("no authority")
	}
	for i, m := range modes {
		c := dial(t, f.Addr(fmt.Sprintf("d%d.bench.test", i)).String())
		c.begin()
		got := c.say("RSET", "STARTTLS")
		if want := map[bool]string{true: "250 500", false: "250 220"}[m == sink.TLSNone]; got != want {
			t.Errorf("%d: %s", m, got)
		}
		if m == sink.TLSNone {
			continue
		}
		conn := tls.Client(c.conn, &tls.Config{RootCAs: roots, ServerName: "mx.bench.test"})
		err := conn.Handshake()
		var verify *tls.CertificateVerificationError
		switch m {
		case sink.TLSGood:
			if err != nil {
				t.Error(err)
				continue
			}
			c.conn, c.in = conn, textproto.NewReader(bufio.NewReader(conn))
			if got := c.say("MAIL FROM:<x>", "EHLO x", "STARTTLS", "MAIL FROM:<x>", "RCPT TO:<r0.0@d0.bench.test>", "DATA", ".", "QUIT"); got != "503 250 503 250 250 354 250 221" {
				t.Error(got)
			}
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("no proper end: %v", err)
			}
		case sink.TLSExpired, sink.TLSWrongName, sink.TLSSelfSigned:
			if !errors.As(err, &verify) {
				t.Errorf("%d: %v", m, err)
			}
		default:
			if err == nil || errors.As(err, &verify) {
				t.Errorf("%d: %v", m, err)
			}
		}
	}
	if sum, err := f.TLSA(); err != nil || len(sum) != 64 {
		t.Errorf("%q %v", sum, err)
	}
}
