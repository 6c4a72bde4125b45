package dnscheck_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"postrider/internal/dns"
	"postrider/internal/dns/dnstest"
	"postrider/internal/dnscheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	v4    = netip.MustParseAddr("192.0.2.1")
	v6    = netip.MustParseAddr("2001:db8::1")
	other = netip.MustParseAddr("192.0.2.99")
)

// zone starts a name server and a checker that asks it.
func zone(t *testing.T, change func(*dnscheck.Options)) (*dnstest.Server, *dnscheck.Checker) {
	t.Helper()
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
	r, err := dns.New(dns.Options{Servers: []string{s.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		served.Wait()
	})
	o := dnscheck.Options{Hostname: "mail.example.org", Autoconfig: true, Ports: map[string]uint16{"submissions": 465, "pop3s": 995, "pop3": 110}}
	if change != nil {
		change(&o)
	}
	return s, dnscheck.New(r, o)
}

// whole is a zone in which all is as it should be.
func whole(t *testing.T, s *dnstest.Server) {
	t.Helper()
	s.AddHost("mail.example.org", v4, v6)
	for _, a := range []netip.Addr{v4, v6} {
		if err := s.AddPTR(a, "mail.example.org"); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMail("example.org", dnstest.MX{Preference: 10, Host: "mail.example.org"})
	s.AddTXT("example.org", "v=spf1 mx -all")
	s.AddTXT("example.org", "something-else=1")
	s.AddCNAME("autoconfig.example.org", "mail.example.org")
	s.AddSRV("_submissions._tcp.example.org", 0, 1, 465, "mail.example.org")
	s.AddSRV("_pop3s._tcp.example.org", 0, 1, 995, "mail.example.org")
	s.AddSRV("_pop3._tcp.example.org", 5, 0, 110, "mail.example.org")
	for _, absent := range []string{"submission", "imap", "imaps"} {
		s.AddSRV("_"+absent+"._tcp.example.org", 0, 0, 0, "")
	}
}

func lines(records []dnscheck.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s %s %s %s\n", r.State, r.Name, r.Type, r.Want)
	}
	return b.String()
}

// What there should be, in a zone that has it and in an empty one.
func TestWholeAndEmpty(t *testing.T) {
	s, c := zone(t, nil)
	whole(t, s)
	records := append(c.Host(t.Context()), c.Domain(t.Context(), "example.org")...)
	want := `ok mail.example.org. A/AAAA the server's addresses
ok 192.0.2.1 PTR mail.example.org.
ok 2001:db8::1 PTR mail.example.org.
ok example.org. MX 10 mail.example.org.
ok example.org. TXT "v=spf1 mx -all"
ok autoconfig.example.org. CNAME mail.example.org.
ok _submissions._tcp.example.org. SRV 0 1 465 mail.example.org.
ok _submission._tcp.example.org. SRV 0 0 0 .
ok _imaps._tcp.example.org. SRV 0 0 0 .
ok _imap._tcp.example.org. SRV 0 0 0 .
ok _pop3s._tcp.example.org. SRV 0 1 995 mail.example.org.
ok _pop3._tcp.example.org. SRV 0 1 110 mail.example.org.
`
	if got := lines(records); got != want || dnscheck.Level(records) != 0 {
		t.Errorf("got\n%swant\n%s", got, want)
	}

	_, c = zone(t, func(o *dnscheck.Options) { o.Autoconfig = false })
	records = c.Host(t.Context())
	if got := lines(records); got != "missing mail.example.org. A/AAAA the server's addresses\n" || dnscheck.Level(records) != 2 {
		t.Errorf("got\n%s", got)
	}
	records = c.Domain(t.Context(), "example.org")
	for _, r := range records {
		if r.State != dnscheck.Missing || r.Type == "CNAME" {
			t.Errorf("%s %s %s in an empty zone", r.State, r.Name, r.Type)
		}
	}
	if len(records) != 8 || dnscheck.Level(records) != 2 || dnscheck.Level(records[2:]) != 1 {
		t.Errorf("level %d of\n%s", dnscheck.Level(records), lines(records))
	}
}

// One thing is wrong in an otherwise whole zone.
func TestDifferences(t *testing.T) {
	for name, one := range map[string]struct {
		change  func(s *dnstest.Server)
		options func(o *dnscheck.Options)
		want    string // the record that is not ok, with what is there
		level   int
	}{
		"mail goes elsewhere": {func(s *dnstest.Server) {
			s.Remove("example.org")
			s.AddMail("example.org", dnstest.MX{Preference: 5, Host: "mx.example.net"})
			s.AddTXT("example.org", "v=spf1 a:mail.example.org -all")
		}, nil, `different MX [5 mx.example.net.]`, 2},
		"no MX": {func(s *dnstest.Server) {
			s.Remove("example.org")
			s.AddTXT("example.org", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all")
		}, nil, `missing MX []`, 2},
		"takes no mail": {func(s *dnstest.Server) {
			s.Fail("example.org", dnstest.Fault{Kind: dnstest.NullMX})
			s.Remove("example.org")
			s.AddMail("example.org", dnstest.MX{Host: "mail.example.org"})
			s.AddTXT("example.org", "v=spf1 +all")
		}, nil, `different MX [0 .]`, 2},
		"address has another name": {func(s *dnstest.Server) {
			s.Remove("1.2.0.192.in-addr.arpa")
			s.AddPTRName("1.2.0.192.in-addr.arpa", "host1.provider.example")
		}, nil, `different PTR [host1.provider.example.]`, 2},
		"address has no name": {func(s *dnstest.Server) { s.Remove("1.2.0.192.in-addr.arpa") }, nil, `missing PTR []`, 2},
		"source of another name": {func(s *dnstest.Server) {
			if err := s.AddPTR(other, "out.example.org"); err != nil {
				t.Error(err)
			}
			s.Remove("example.org")
			s.AddMail("example.org", dnstest.MX{Host: "mail.example.org"})
			s.AddTXT("example.org", "v=spf1 mx ip4:192.0.2.99 -all")
		}, func(o *dnscheck.Options) { o.Sources = []dnscheck.Source{{Addr: other, Name: "out.example.org"}} }, `different PTR [out.example.org.]`, 2},
		"service of another port": {func(s *dnstest.Server) {
			s.Remove("_pop3s._tcp.example.org")
			s.AddSRV("_pop3s._tcp.example.org", 0, 1, 1995, "mail.example.org")
		}, nil, `different SRV [0 1 1995 mail.example.org.]`, 1},
		"service that is not here": {func(s *dnstest.Server) {
			s.Remove("_imap._tcp.example.org")
			s.AddSRV("_imap._tcp.example.org", 0, 1, 143, "mail.example.org")
		}, nil, `different SRV [0 1 143 mail.example.org.]`, 1},
		"autoconfig elsewhere": {func(s *dnstest.Server) {
			s.Remove("autoconfig.example.org")
			s.AddHost("autoconfig.example.org", other)
		}, nil, `different CNAME [192.0.2.99]`, 1},
		"no autoconfig":     {func(s *dnstest.Server) { s.Remove("autoconfig.example.org") }, nil, `missing CNAME []`, 1},
		"servers that fail": {func(s *dnstest.Server) { s.Fail("_pop3._tcp.example.org", dnstest.Fault{Kind: dnstest.ServFail}) }, nil, `unknown SRV []`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := zone(t, one.options)
			whole(t, s)
			one.change(s)
			records := append(c.Host(t.Context()), c.Domain(t.Context(), "example.org")...)
			var wrong []string
			for _, r := range records {
				if r.State != dnscheck.OK {
					wrong = append(wrong, fmt.Sprintf("%s %s %v", r.State, r.Type, r.Have))
				}
			}
			if got := strings.Join(wrong, "; "); got != one.want || dnscheck.Level(records) != one.level {
				t.Errorf("got %s at level %d, want %s at %d", got, dnscheck.Level(records), one.want, one.level)
			}
		})
	}
}

// Which policies let the server send, as far as can be seen without following them.
func TestPolicies(t *testing.T) {
	for policies, want := range map[string]string{
		"v=spf1 mx -all":                                  "ok",
		"V=SPF1 MX:example.org ~all":                      "ok",
		"v=spf1 a:MAIL.example.org. -all":                 "ok",
		"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all":       "ok",
		"v=spf1 ip4:192.0.2.0/25 ip6:2001:db8::/64 -all":  "ok",
		"v=spf1 include:_spf.example.net -all":            "ok noted",
		"v=spf1 redirect=_spf.example.net":                "ok noted",
		"v=spf1 a -all":                                   "ok noted",
		"v=spf1 mx:example.net -all":                      "ok noted",
		"v=spf1 ip4:192.0.2.1 -all":                       "different noted",
		"v=spf1 ip4:192.0.2.1/99 ip6:x -all":              "different noted",
		"v=spf1 -ip4:192.0.2.1 -ip6:2001:db8::1 -mx -all": "different noted",
		"v=spf1 -all":                                     "different noted",
		"v=spf1 mx -all|v=spf1 -all":                      "different noted",
		"v=spf10 mx -all":                                 "missing",
		"spf2.0/mfrom mx -all":                            "missing",
	} {
		s, c := zone(t, nil)
		whole(t, s)
		s.Remove("example.org")
		s.AddMail("example.org", dnstest.MX{Host: "mail.example.org"})
		for p := range strings.SplitSeq(policies, "|") {
			s.AddTXT("example.org", p)
		}
		r := c.Domain(t.Context(), "example.org")[1]
		got := string(r.State)
		if r.Note != "" {
			got += " noted"
		}
		if r.Type != "TXT" || got != want {
			t.Errorf("%s: %s (%s), want %s", policies, got, r.Note, want)
		}
	}
	_, c := zone(t, func(o *dnscheck.Options) {
		o.Sources = []dnscheck.Source{{Addr: other}, {Addr: netip.MustParseAddr("2001:db8::2")}}
	})
	if got := c.Domain(t.Context(), "example.org")[1].Want; got != `"v=spf1 mx ip4:192.0.2.99 ip6:2001:db8::2 -all"` {
		t.Errorf("wanted is %s", got)
	}
}
