package dnstest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"postrider/internal/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server for the time of a test.
func start(t testing.TB, o dnstest.Options) *dnstest.Server {
	t.Helper()
	s := dnstest.New(o)
	if _, err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

// ask sends one query.
func ask(t testing.TB, s *dnstest.Server, network, name string, kind uint16, change ...func(*dns.Msg)) (*dns.Msg, error) {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	for _, c := range change {
		c(q)
	}
	c := dns.Client{Net: network, Timeout: 5 * time.Second}
	m, _, err := c.Exchange(q, s.Addr())
	return m, err
}

// says returns an answer in one line: code, flags and records.
func says(t testing.TB, s *dnstest.Server, network, name string, kind uint16) string {
	t.Helper()
	m, err := ask(t, s, network, name, kind)
	if err != nil {
		return err.Error()
	}
	out := []string{dns.RcodeToString[m.Rcode]}
	if m.Truncated {
		out = append(out, "TC")
	}
	for _, rr := range m.Answer {
		out = append(out, strings.TrimPrefix(strings.ReplaceAll(rr.String(), "\t", " "), dns.Fqdn(name)+" "))
	}
	for _, rr := range m.Ns {
		out = append(out, dns.TypeToString[rr.Header().Rrtype])
	}
	return strings.Join(out, " | ")
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// world is a server with names of every sort.
func world(t testing.TB, o dnstest.Options) *dnstest.Server {
	t.Helper()
	s := start(t, o)
	s.AddMail("a.test", dnstest.MX{Preference: 10, Host: "mx.provider.test", Addrs: []netip.Addr{addr("127.0.1.1"), addr("::1")}}, dnstest.MX{Preference: 20, Addrs: []netip.Addr{addr("127.0.1.2")}})
	s.AddMail("bare.test")
	s.AddMail("c.test", dnstest.MX{Preference: 10, Host: "mx.provider.test", Addrs: []netip.Addr{addr("127.0.1.1")}}) // the same host
	s.AddHost("bare.test", addr("127.0.1.3"))
	s.AddTXT("a.test", strings.Repeat("x", 300))
	s.AddTLSA("_25._tcp.mx.provider.test", 3, 1, 1, strings.Repeat("ab", 32))
	s.AddCNAME("www.a.test", "mx.provider.test")
	if err := s.AddPTR(addr("127.0.1.1"), "mx.provider.test"); err != nil {
		t.Fatal(err)
	}
	s.Generate(100_000, func(i int) []dnstest.MX {
		if i%2 == 1 {
			return []dnstest.MX{{Preference: 5, Host: "mx.provider.test"}}
		}
		return []dnstest.MX{{Preference: 5, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)})}}}
	})
	return s
}

func TestRecords(t *testing.T) {
	s := world(t, dnstest.Options{TTL: 30 * time.Second})
	for _, c := range []struct {
		name string
		kind uint16
		want string
	}{
		{"a.test", dns.TypeMX, "NOERROR | 30 IN MX 10 mx.provider.test. | 30 IN MX 20 mx1.a.test."},
		{"A.TEST", dns.TypeA, "NOERROR | SOA"},
		{"mx.provider.test", dns.TypeA, "NOERROR | 30 IN A 127.0.1.1"},
		{"mx.provider.test", dns.TypeAAAA, "NOERROR | 30 IN AAAA ::1"},
		{"mx1.a.test", dns.TypeA, "NOERROR | 30 IN A 127.0.1.2"},
		{"mx2.a.test", dns.TypeA, "NXDOMAIN | SOA"},
		{"provider.test", dns.TypeA, "NOERROR | SOA"}, // a name with names below it
		{"bare.test", dns.TypeMX, "NOERROR | SOA"},
		{"bare.test", dns.TypeA, "NOERROR | 30 IN A 127.0.1.3"},
		{"a.test", dns.TypeTXT, `NOERROR | 30 IN TXT "` + strings.Repeat("x", 255) + `" "` + strings.Repeat("x", 45) + `"`},
		{"_25._tcp.mx.provider.test", dns.TypeTLSA, "NOERROR | 30 IN TLSA 3 1 1 " + strings.Repeat("ab", 32)},
		{"www.a.test", dns.TypeA, "NOERROR | 30 IN CNAME mx.provider.test. | mx.provider.test. 30 IN A 127.0.1.1"},
		{"www.a.test", dns.TypeCNAME, "NOERROR | 30 IN CNAME mx.provider.test."},
		{"1.1.0.127.in-addr.arpa", dns.TypePTR, "NOERROR | 30 IN PTR mx.provider.test."},
		{"d258.bench.test", dns.TypeMX, "NOERROR | 30 IN MX 5 mx0.d258.bench.test."},
		{"mx0.d258.bench.test", dns.TypeA, "NOERROR | 30 IN A 127.1.1.2"},
		{"d258.bench.test", dns.TypeA, "NOERROR | 30 IN A 127.1.1.2"},
		{"d259.bench.test", dns.TypeMX, "NOERROR | 30 IN MX 5 mx.provider.test."},
		{"mx0.d259.bench.test", dns.TypeA, "NXDOMAIN | SOA"},
		{"d0258.bench.test", dns.TypeMX, "NXDOMAIN | SOA"},
		{"d100000.bench.test", dns.TypeMX, "NXDOMAIN | SOA"},
		{"bench.test", dns.TypeMX, "NOERROR | SOA"},
		{"other.example", dns.TypeMX, "NXDOMAIN | SOA"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got := says(t, s, network, c.name, c.kind); got != c.want {
				t.Errorf("%s %s over %s:\n%s\nwant %s", c.name, dns.TypeToString[c.kind], network, got, c.want)
			}
		}
	}
	s.AddTXT("d258.bench.test", "v=spf1 -all")
	if got := says(t, s, "udp", "d258.bench.test", dns.TypeMX); !strings.Contains(got, "MX 5") {
		t.Errorf("a text hides the exchanger of a generated domain: %s", got)
	}
	s.Remove("a.test")
	if got := says(t, s, "udp", "a.test", dns.TypeMX); got != "NOERROR | SOA" { // www.a.test is left
		t.Error(got)
	}
	s.Remove("www.a.test")
	s.Remove("mx1.a.test")
	if got := says(t, s, "udp", "a.test", dns.TypeMX); got != "NXDOMAIN | SOA" {
		t.Error(got)
	}
}

func TestFaults(t *testing.T) {
	s := world(t, dnstest.Options{TTL: 30 * time.Second})
	for _, c := range []struct {
		fault      string
		name       string
		kind       uint16
		udp        string
		tcp        string // "": as over UDP
		leavesHost bool   // its host answers all the same
	}{
		{"servfail", "d2.bench.test", dns.TypeMX, "SERVFAIL", "", false},
		{"nxdomain", "d2.bench.test", dns.TypeMX, "NXDOMAIN | SOA", "", false},
		{"lame", "d2.bench.test", dns.TypeMX, "REFUSED", "", false},
		{"truncate", "d2.bench.test", dns.TypeMX, "NOERROR | TC", "NOERROR | 30 IN MX 5 mx0.d2.bench.test.", false},
		{"slow:1ms", "d2.bench.test", dns.TypeMX, "NOERROR | 30 IN MX 5 mx0.d2.bench.test.", "", true},
		{"nullmx", "d2.bench.test", dns.TypeMX, "NOERROR | 30 IN MX 0 .", "", true},
		{"nomx", "d2.bench.test", dns.TypeMX, "NOERROR | SOA", "", true},
		{"cname", "d2.bench.test", dns.TypeMX, "NOERROR | 30 IN CNAME alias.d2.bench.test. | alias.d2.bench.test. 30 IN MX 5 mx0.d2.bench.test.", "", true},
		{"cname", "alias.d2.bench.test", dns.TypeMX, "NOERROR | 30 IN MX 5 mx0.d2.bench.test.", "", true},
		{"cname", "d2.bench.test", dns.TypeCNAME, "NOERROR | 30 IN CNAME alias.d2.bench.test.", "", true},
		{"cname-loop", "d2.bench.test", dns.TypeMX, "NOERROR | 30 IN CNAME alias.d2.bench.test. | alias.d2.bench.test. 30 IN CNAME d2.bench.test.", "", true},
		{"no-tcp", "d2.bench.test", dns.TypeMX, "NOERROR | TC", "EOF", false},
		{"no-edns", "d2.bench.test", dns.TypeMX, "NOERROR | 30 IN MX 5 mx0.d2.bench.test.", "", true},
		{"spoofed", "d2.bench.test", dns.TypeMX, "NOERROR | 30 IN MX 5 mx0.d2.bench.test.", "", true},
		{"referral", "d2.bench.test", dns.TypeMX, "NOERROR | NS", "", false},
	} {
		f, err := dnstest.ParseFault(c.fault)
		if err != nil {
			t.Fatal(err)
		}
		s.Fail("d2.bench.test", f)
		if got := says(t, s, "udp", c.name, c.kind); got != c.udp {
			t.Errorf("%s: %s\nwant %s", c.fault, got, c.udp)
		}
		if c.tcp == "" {
			c.tcp = c.udp
		}
		if got := says(t, s, "tcp", c.name, c.kind); got != c.tcp {
			t.Errorf("%s over TCP: %s\nwant %s", c.fault, got, c.tcp)
		}
		host := says(t, s, "udp", "mx0.d2.bench.test", dns.TypeA)
		if healthy := host == "NOERROR | 30 IN A 127.1.0.2"; healthy != c.leavesHost {
			t.Errorf("%s: the host says %s", c.fault, host)
		}
		s.Heal("D2.bench.test.")
	}
	if got := says(t, s, "udp", "d2.bench.test", dns.TypeMX); got != "NOERROR | 30 IN MX 5 mx0.d2.bench.test." {
		t.Errorf("healed: %s", got)
	}
	for _, bad := range []string{"", "slow", "slow:x", "slow:-1s", "servfail:1s", "other"} {
		if _, err := dnstest.ParseFault(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// A domain that is to time out says nothing, and its neighbour answers.
func TestTimeout(t *testing.T) {
	s := world(t, dnstest.Options{})
	s.Fail("a.test", dnstest.Fault{Kind: dnstest.Timeout})
	c := dns.Client{Timeout: 50 * time.Millisecond}
	var timeout net.Error
	if _, _, err := c.Exchange(new(dns.Msg).SetQuestion("a.test.", dns.TypeMX), s.Addr()); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Error(err)
	}
	says(t, s, "udp", "bare.test", dns.TypeMX)
	if f, ok := s.FaultOf("a.test"); !ok || f.Kind != dnstest.Timeout {
		t.Errorf("%+v %v", f, ok)
	}
	if f, ok := s.FaultOf("bare.test"); ok {
		t.Errorf("%+v", f)
	}
}

// Shares of the domains are steady, disjoint and about as large as they should be;
// those of the queries are exact.
func TestShares(t *testing.T) {
	s := world(t, dnstest.Options{})
	if err := errors.Join(s.FailDomains(10, dnstest.Fault{Kind: dnstest.ServFail}), s.FailDomains(5, dnstest.Fault{Kind: dnstest.NXDomain})); err != nil {
		t.Fatal(err)
	}
	if s.FailDomains(86, dnstest.Fault{}) == nil || s.FailDomains(math.NaN(), dnstest.Fault{}) == nil || s.FailQueries(101, dnstest.Fault{}) == nil {
		t.Error("shares beyond the whole")
	}
	n := map[dnstest.Kind]int{}
	for i := range 20_000 {
		f, _ := s.FaultOf(dnstest.Generated(i))
		n[f.Kind]++
	}
	if f := n[dnstest.ServFail]; f < 1800 || f > 2200 {
		t.Errorf("%v", n)
	}
	if f := n[dnstest.NXDomain]; f < 850 || f > 1150 {
		t.Errorf("%v", n)
	}
	for i := range 40 {
		f, _ := s.FaultOf(dnstest.Generated(i))
		want := map[dnstest.Kind]string{"": "NOERROR", dnstest.ServFail: "SERVFAIL", dnstest.NXDomain: "NXDOMAIN"}[f.Kind]
		if got := says(t, s, "udp", dnstest.Generated(i), dns.TypeMX); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, not %s", dnstest.Generated(i), got, want)
		}
	}
	s.HealAll()
	if err := s.FailQueries(12.5, dnstest.Fault{Kind: dnstest.ServFail}); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for range 80 {
		if says(t, s, "udp", "a.test", dns.TypeMX) == "SERVFAIL" {
			failed++
		}
	}
	if failed != 10 {
		t.Errorf("%d of 80 queries failed", failed)
	}
}

// AD is only for those who ask, an answer that is too large for UDP is truncated,
// and EDNS makes room.
func TestFlags(t *testing.T) {
	s := world(t, dnstest.Options{Authentic: true})
	for i := range 60 {
		s.AddTXT("big.test", fmt.Sprintf("text number %d", i))
	}
	s.Fail("bare.test", dnstest.Fault{Kind: dnstest.ServFail})
	do := func(m *dns.Msg) { m.SetEdns0(4096, true) }
	for _, c := range []struct {
		name   string
		change []func(*dns.Msg)
		ad, tc bool
	}{
		{"a.test", nil, false, false},
		{"a.test", []func(*dns.Msg){do}, true, false},
		{"a.test", []func(*dns.Msg){func(m *dns.Msg) { m.AuthenticatedData = true }}, true, false},
		{"big.test", nil, false, true},
		{"big.test", []func(*dns.Msg){do}, true, false},
		{"bare.test", []func(*dns.Msg){do}, false, false},
	} {
		m, err := ask(t, s, "udp", c.name, dns.TypeTXT, c.change...)
		if err != nil || m.AuthenticatedData != c.ad || m.Truncated != c.tc || !m.RecursionAvailable {
			t.Errorf("%+v: %v %v", c, m, err)
		}
	}
}

// The resolver of the standard library reads it, and queries are counted.
func TestResolver(t *testing.T) {
	s := world(t, dnstest.Options{})
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Addr())
	}}
	mx, err := r.LookupMX(t.Context(), "a.test.")
	if err != nil || len(mx) != 2 || mx[0].Host != "mx.provider.test." || mx[1].Pref != 20 {
		t.Errorf("%v %v", mx, err)
	}
	addrs, err := r.LookupHost(t.Context(), "mx.provider.test.")
	slices.Sort(addrs)
	if err != nil || !slices.Equal(addrs, []string{"127.0.1.1", "::1"}) {
		t.Errorf("%v %v", addrs, err)
	}
	names, err := r.LookupAddr(t.Context(), "127.0.1.1")
	if err != nil || !slices.Equal(names, []string{"mx.provider.test."}) {
		t.Errorf("%v %v", names, err)
	}
	var none *net.DNSError
	if _, err := r.LookupMX(t.Context(), "other.example."); !errors.As(err, &none) || !none.IsNotFound {
		t.Error(err)
	}
	says(t, s, "tcp", "mx0.d4.bench.test", dns.TypeA)
	says(t, s, "tcp", "d4.bench.test", dns.TypeMX)
	if s.Queries("a.test") != 1 || s.Queries("mx.provider.test") != 2 || s.Queries("d4.bench.test") != 2 || s.Queries("none.test") != 0 {
		t.Errorf("%d %d %d", s.Queries("a.test"), s.Queries("mx.provider.test"), s.Queries("d4.bench.test"))
	}
	c := s.Counts()
	if c.TCP != 2 || c.MX < 3 || c.A != 2 || c.AAAA != 1 || c.PTR != 1 || c.Unknown < 1 || c.Failed != 0 || c.Queries != c.MX+c.A+c.AAAA+c.PTR {
		t.Errorf("%+v", c)
	}
}

// Serve ends at once when told to, even while an answer waits.
func TestEnd(t *testing.T) {
	s := dnstest.New(dnstest.Options{})
	if err := s.Serve(t.Context()); err == nil {
		t.Error("served without an address")
	}
	if _, err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.Fail("a.test", dnstest.Fault{Kind: dnstest.Slow, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	conn, err := net.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	q, err := new(dns.Msg).SetQuestion("a.test.", dns.TypeMX).Pack()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write(q)
	says(t, s, "udp", "b.test", dns.TypeMX) // the one before it has been read
	cancel()
	wg.Wait()
	_ = conn.Close()

	unused := dnstest.New(dnstest.Options{})
	if unused.Close() != nil || unused.Addr() != "" {
		t.Error("not bound")
	}
	if _, err := unused.Listen("127.0.0.1:0"); err != nil || unused.Close() != nil {
		t.Error(err)
	}
}
