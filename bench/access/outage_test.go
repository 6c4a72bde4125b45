package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"postrider/bench/access"
)

// What a broken connection leaves open is an error and never a violation,
// whichever way the server has decided it.
func TestOutage(t *testing.T) {
	for _, c := range []struct {
		fault    string
		workload access.Workload
	}{
		{"cut at STAT", access.Poll},
		{"cut at STAT", access.Download},
		{"cut before QUIT", access.Download},
		{"cut after QUIT", access.Download},
		{"cut at delivery", access.Download},
		{"cut at SELECT", access.Sync},
		{"cut at STORE", access.Sync},
		{"cut before EXPUNGE", access.Sync},
		{"cut after EXPUNGE", access.Sync},
		{"cut at delivery", access.Sync},
		{"cut at SELECT", access.Webmail},
		{"cut at STORE", access.Webmail},
		{"cut at delivery", access.Idle},
	} {
		t.Run(string(c.workload)+"/"+c.fault, func(t *testing.T) {
			after := 20
			if c.fault == "cut at delivery" {
				after = 50 // 30 of them fill
			}
			f := startFake(t, c.fault, after)
			o := f.options(c.workload)
			o.Arrivals = 1
			errors := int64(0)
			for _, l := range play(t, o) {
				errors += l.Errors
				if l.Violations != 0 {
					t.Errorf("%s: %d violations: %q", l.Operation, l.Violations, l.Described)
				}
			}
			if errors == 0 {
				t.Error("no connection has failed")
			}
		})
	}
}

// Sessions over TLS from the first octet on are checked like any.
func TestImplicitTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	f := startFake(t, "", 0)
	pop3s, imaps := f.listen(f.servePOP3, config), f.listen(f.serveIMAP, config)
	for _, w := range []access.Workload{access.Poll, access.Sync, access.Idle} {
		o := f.options(w)
		o.UserFormat = string(w) + "%d"
		o.POP3, o.IMAP, o.TLS = pop3s, imaps, access.TLSImplicit
		for _, l := range play(t, o) {
			if l.Errors != 0 || l.Violations != 0 || l.Count == 0 {
				t.Errorf("%s %s: %d done, %d errors, %d violations: %q", w, l.Operation, l.Count, l.Errors, l.Violations, l.Described)
			}
		}
	}
}
