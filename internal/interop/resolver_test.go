//go:build interop

package interop

import (
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"postrider/internal/dns"
	"postrider/internal/dns/dnstest"
	"postrider/internal/mail"
	"postrider/relay/site"
)

// unbound runs a validating resolver that forwards some domains to the server of
// names, and has signed.test and, with a signature that does not fit, bogus.test
// itself. It returns its address.
func unbound(t *testing.T, names string, forwarded ...string) string {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	host, port, err := net.SplitHostPort(names)
	if err != nil {
		t.Fatal(err)
	}
	_, ours, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`server:
	interface: 127.0.0.1@%s
	directory: %q
	chroot: ""
	username: ""
	pidfile: ""
	logfile: ""
	use-syslog: no
	do-daemonize: no
	num-threads: 1
	do-not-query-localhost: no
	module-config: "validator iterator"
	local-zone: "test." nodefault
	local-zone: "127.in-addr.arpa." nodefault
`, ours, dir)
	zones := ""
	for _, zone := range []string{"signed.test", "bogus.test"} {
		records, anchor := signed(t, zone, zone == "bogus.test")
		if err := os.WriteFile(filepath.Join(dir, zone), []byte(records), 0o644); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("\ttrust-anchor: %q\n", anchor)
		zones += fmt.Sprintf("auth-zone:\n\tname: %q\n\tzonefile: %q\n\tfor-downstream: no\n\tfor-upstream: yes\n\tfallback-enabled: no\n", zone, zone)
	}
	text += "remote-control:\n\tcontrol-enable: no\n"
	for _, name := range forwarded { // a forwarder for all would come before the zones
		text += fmt.Sprintf("forward-zone:\n\tname: %q\n\tforward-addr: %s@%s\n", name, host, port)
	}
	text += zones
	config := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unbound", "-d", "-p", "-c", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("unbound: %s", out.String())
		}
	})
	if !await(15*time.Second, func() bool { return dials(address) }) {
		t.Fatalf("unbound does not listen: %s", out.String())
	}
	return address
}

// signed returns the text of a zone with one exchanger, signed with a key of its own,
// and the key as a trust anchor. Broken: the MX was changed after it was signed.
func signed(t *testing.T, zone string, broken bool) (records, anchor string) {
	t.Helper()
	key := &wire.DNSKEY{
		Hdr:   wire.RR_Header{Name: zone + ".", Rrtype: wire.TypeDNSKEY, Class: wire.ClassINET, Ttl: 300},
		Flags: wire.SEP | wire.ZONE, Protocol: 3, Algorithm: wire.ECDSAP256SHA256,
	}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	sets := []wire.RR{key}
	for _, text := range []string{
		" 300 IN SOA ns." + zone + ". host." + zone + ". 1 3600 600 86400 60",
		" 300 IN NS ns." + zone + ".",
		" 300 IN MX 10 mx." + zone + ".",
	} {
		rr, err := wire.NewRR(zone + "." + text)
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, rr)
	}
	for _, name := range []string{"mx.", "ns."} {
		rr, err := wire.NewRR(name + zone + ". 300 IN A 203.0.113.7")
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, rr)
	}
	var text strings.Builder
	for _, rr := range sets {
		sig := &wire.RRSIG{
			Hdr:       wire.RR_Header{Ttl: 300},
			Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: zone + ".",
			Inception: uint32(time.Now().Add(-time.Hour).Unix()), Expiration: uint32(time.Now().Add(time.Hour).Unix()),
		}
		if err := sig.Sign(private.(crypto.Signer), []wire.RR{rr}); err != nil {
			t.Fatal(err)
		}
		if mx, ok := rr.(*wire.MX); ok && broken {
			mx.Mx = "forged.test."
		}
		fmt.Fprintf(&text, "%s\n%s\n", rr, sig)
	}
	return text.String(), strings.ReplaceAll(key.String(), "\t", " ")
}

// Covers HO4, HO5, HO6. Our resolver asks a real one, which asks the server of the
// test: everything comes through as what it is.
func TestUnbound(t *testing.T) {
	names := dnstest.New(dnstest.Options{})
	serveNames(t, names, "127.0.0.1:0")
	names.AddMail("plain.test", dnstest.MX{Preference: 10, Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")}})
	names.AddMail("null.test", dnstest.MX{Host: "."})
	names.AddMail("bare.test")
	names.AddHost("bare.test", netip.MustParseAddr("203.0.113.2"))
	names.AddMail("private.test", dnstest.MX{Preference: 10, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}})
	names.AddMail("fail.test")
	names.AddMail("loop.test")
	names.AddBomb("wide.test", 500, 50, 4)
	names.AddBomb("long.test", 2, 1, 20)
	for name, kind := range map[string]dnstest.Kind{"fail.test": dnstest.ServFail, "loop.test": dnstest.CNAMELoop, "silent.test": dnstest.Timeout, "lame.test": dnstest.Lame} {
		names.Fail(name, dnstest.Fault{Kind: kind})
	}
	r, err := dns.New(dns.Options{Servers: []string{unbound(t, names.Addr(), "example", "plain.test", "null.test", "bare.test", "private.test", "wide.test", "long.test", "fail.test", "loop.test", "silent.test", "lame.test")}, Timeout: time.Second, Total: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for domain, want := range map[string]string{
		"plain.test":      "mx0.plain.test",
		"bare.test":       "bare.test",
		"signed.test":     "mx.signed.test",
		"wide.test":       "x0.wide.test+9",
		"null.test":       "556 5.1.10",
		"none.plain.test": "550 5.1.2",
		"none.example":    "550 5.1.2",
		"private.test":    "550 5.4.4",
		"fail.test":       "451 4.4.3",
		"lame.test":       "451 4.4.3",
		"loop.test":       "451 4.4.3",
		"silent.test":     "451 4.4.3",
		"long.test":       "451 4.4.3",
		"bogus.test":      "451 4.4.3",
		"[203.0.113.9]":   "[203.0.113.9]",
	} {
		for range 2 { // also out of the caches
			s, status := site.Lookup(t.Context(), r, domain, mail.TLSPolicy{}, &site.Options{})
			got, _, _ := strings.Cut(s.Key, "~")
			if !status.IsZero() {
				got = string(status.Enhanced.AppendText(fmt.Appendf(nil, "%d ", status.Code)))
			}
			if got != want || s.Authentic != (domain == "signed.test") {
				t.Errorf("%s: %s (authentic: %v), want %s", domain, got, s.Authentic, want)
			}
		}
	}
	a, err := r.Addresses(t.Context(), "mx0.plain.test")
	if err != nil || len(a.V4) != 1 || len(a.V6) != 1 || a.Authentic {
		t.Errorf("%+v, %v", a, err)
	}
	a, err = r.Addresses(t.Context(), "mx.bogus.test") // the rest of the zone is well
	if err != nil || len(a.V4) != 1 || !a.Authentic {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err = r.TXT(t.Context(), "plain.test"); !errors.Is(err, dns.ErrNoData) {
		t.Error(err)
	}
}
