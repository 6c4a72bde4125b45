package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"postrider/internal/config"
	"postrider/internal/dns/dnstest"
)

// checkDNS runs the verb and returns what it printed and its exit code.
func checkDNS(t *testing.T, cfg *config.Config, args ...string) (string, int) {
	t.Helper()
	cmd := dnsCommand(func() (*config.Config, error) { return cfg, nil })
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs(append([]string{"check"}, args...))
	err := cmd.ExecuteContext(t.Context())
	var exit *exitError
	switch {
	case err == nil:
		return out.String(), 0
	case errors.As(err, &exit):
		return out.String(), exit.code
	}
	return out.String(), exitUsage
}

// The verb reads the listeners, asks the servers of the configuration, and ends with
// the code of the worst that it found.
func TestDNSCheck(t *testing.T) {
	s := dnstest.New(dnstest.Options{})
	if _, err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var served sync.WaitGroup
	served.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); served.Wait() })
	v4 := netip.MustParseAddr("192.0.2.1")
	cfg := config.Default()
	cfg.Hostname, cfg.DNS.Servers, cfg.Local.Domains = "mail.example.org", []string{s.Addr()}, []string{"example.org"}
	cfg.Listeners = []config.Listener{
		{Network: "tcp", Host: "0.0.0.0:25", Service: config.ServiceRelay},
		{Network: "tcp", Host: "127.0.0.1:465", Service: config.ServiceSubmissions},
		{Network: "tcp", Host: ":1465", Service: config.ServiceSubmissions},
		{Network: "tcp", Host: "[::]:995", Service: config.ServicePOP3S},
		{Network: "tcp", Host: "localhost:110", Service: config.ServicePOP3},
		{Network: "unix", Host: "/run/lmtp", Service: config.ServiceLMTP},
	}

	if out, code := checkDNS(t, cfg); code != 2 || !strings.Contains(out, "missing  example.org.") {
		t.Errorf("an empty zone: %d\n%s", code, out)
	}
	s.AddHost("mail.example.org", v4)
	if err := s.AddPTR(v4, "mail.example.org"); err != nil {
		t.Fatal(err)
	}
	s.AddMail("example.net", dnstest.MX{Preference: 10, Host: "mail.example.org"})
	s.AddTXT("example.net", "v=spf1 mx -all")
	out, code := checkDNS(t, cfg, "EXAMPLE.net.")
	if code != 1 {
		t.Errorf("without convenience: %d\n%s", code, out)
	}
	s.AddSRV("_submissions._tcp.example.net", 0, 1, 1465, "mail.example.org")
	s.AddSRV("_pop3s._tcp.example.net", 0, 1, 995, "mail.example.org")
	for _, absent := range []string{"submission", "pop3", "imap"} {
		s.AddSRV("_"+absent+"._tcp.example.net", 0, 0, 0, "")
	}
	s.AddSRV("_imaps._tcp.example.net", 0, 0, 993, "mail.example.org")
	out, code = checkDNS(t, cfg, "example.net")
	if line := "different  _imaps._tcp.example.net."; code != 1 || !strings.Contains(out, line) || strings.Count(out, "\n  ok ") != 9 {
		t.Errorf("one difference: %d\n%s", code, out)
	}
	s.Remove("_imaps._tcp.example.net")
	s.AddSRV("_imaps._tcp.example.net", 0, 0, 0, "")
	out, code = checkDNS(t, cfg, "--json", "example.net")
	if code != 0 {
		t.Errorf("a whole zone: %d\n%s", code, out)
	}
	count := 0
	for line := range strings.Lines(out) {
		var r struct{ Domain, Name, Type, Want, State string }
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.State != "ok" || r.Name == "" || (r.Domain == "example.net") != (count > 1) {
			t.Errorf("%v: %s", err, line)
		}
		count++
	}
	if count != 10 {
		t.Errorf("%d records\n%s", count, out)
	}
	if out, code := checkDNS(t, cfg, "no domain"); code != exitUsage || out != "" {
		t.Errorf("got %d\n%s", code, out)
	}
}
