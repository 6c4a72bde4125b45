package route_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postrider/internal/mail"
	"postrider/relay/route"
)

// A recipient goes where the first rule says of which all conditions are met,
// whoever brought it.
//
// Covers T3.
func TestConditions(t *testing.T) {
	table := route.New(route.Options{Local: []string{"mine.test"}, Rules: []route.Rule{
		{Domain: "a.example", Sender: "Boss@Mine.test", Hop: hop("boss:1")},
		{Sender: "mine.test", User: "bulk@mine.test", Hop: hop("bulk:1")},
		{Domain: ".example", Client: netip.MustParsePrefix("192.0.2.0/24"), Hop: hop("lab:1")},
		{User: "@guests.test", Hop: mail.Hop{Kind: mail.HopHold}},
		{Domain: "a.example", User: "*", Hop: hop("users:1")},
		{Sender: "<>", Hop: hop("bounces:1")},
		{Sender: ".sub.test", Hop: hop("sub:1")},
		{Domain: "b.example", Hop: hop("b:1")},
		{Client: netip.MustParsePrefix("2001:db8::/32"), Hop: mail.Hop{Kind: mail.HopDiscard}},
		{Domain: "c.example", Sender: "mine.test", Hop: mail.Hop{Kind: mail.HopReject}},
	}})
	for _, m := range []struct{ sender, user, client, domain, want string }{
		{"boss@mine.test", "", "", "a.example", "smtp:boss:1"},
		{"BOSS@mine.test", "bulk@mine.test", "", "a.example", "smtp:boss:1"},
		{"boss@mine.test", "", "", "b.example", "smtp:b:1"},
		{"x@mine.test", "Bulk@MINE.test", "", "z.example", "smtp:bulk:1"},
		{"x@mine.test", "bulk@mine.test", "192.0.2.9", "z.example", "smtp:bulk:1"},
		{"x@other.test", "bulk@mine.test", "", "z.example", "mx"},
		{"x@other.test", "", "192.0.2.9", "z.example", "smtp:lab:1"},
		{"x@other.test", "", "::ffff:192.0.2.9", "z.example", "smtp:lab:1"},
		{"x@other.test", "", "192.0.2.9", "example", "mx"},
		{"x@other.test", "joe@guests.test", "192.0.2.9", "z.example", "smtp:lab:1"},
		{"x@other.test", "joe@guests.test", "", "z.example", "hold"},
		{"x@other.test", "joe", "", "a.example", "smtp:users:1"},
		{"", "", "", "z.example", "smtp:bounces:1"},
		{"", "", "", "b.example", "smtp:bounces:1"},
		{"x@a.sub.test", "", "", "b.example", "smtp:sub:1"},
		{"x@sub.test", "", "", "b.example", "smtp:b:1"},
		{"x@other.test", "", "2001:db8::1%eth0", "mine.test", "discard"},
		{"x@other.test", "", "", "mine.test", "local"},
		{"x@mine.test", "", "", "c.example", "reject"},
		{"mine.test", "", "", "c.example", "mx"},
	} {
		env := &mail.Envelope{Sender: []byte(m.sender), User: []byte(m.user)}
		if m.client != "" {
			env.Client = netip.MustParseAddr(m.client)
		}
		selector := table.Selector(env)
		if got := table.Lookup([]byte(m.domain), []byte(selector)).Lane; got != m.want || len(selector) > route.MaxSelector {
			t.Errorf("%+v: %s by %q", m, got, selector)
		}
	}
}

// What a selector says holds after a reload that moves, adds and removes rules.
//
// Covers T3.
func TestSelectorsOutliveReloads(t *testing.T) {
	env := &mail.Envelope{Sender: []byte("x@mine.test"), User: []byte("joe")}
	before := route.New(route.Options{Rules: []route.Rule{
		{Sender: "mine.test", Hop: hop("one:1")}, {User: "joe", Hop: hop("joe:1")}, {Domain: "x.example", Hop: hop("x:1")},
	}})
	selector := []byte(before.Selector(env))
	after := route.New(route.Options{Rules: []route.Rule{
		{User: "anna", Hop: hop("anna:1")},
		{Domain: "y.example", User: "Joe", Hop: hop("joe:2")},
		{Sender: "mine.test", User: "*", Hop: hop("new:1")}, // a condition that was not tried
		{Domain: "*", Sender: "MINE.test", Hop: hop("one:2")},
	}})
	for domain, want := range map[string]string{"y.example": "smtp:joe:2", "x.example": "smtp:one:2"} {
		if got := after.Lookup([]byte(domain), selector).Lane; got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
	empty := route.New(route.Options{})
	for _, s := range []string{string(selector), "x", "zzzzzz", string(selector) + "short", "\x00\xff"} {
		if got := empty.Lookup([]byte("x.example"), []byte(s)).Lane; got != "mx" {
			t.Errorf("%q: %s", s, got)
		}
	}
}

// The index gives what walking the rules one by one gives, for any few rules.
//
// Covers T3.
func TestConditionsAreTheFirstMatch(t *testing.T) {
	domains := rapid.SampledFrom([]string{"a", "b.a", "c.b.a", "x"})
	patterns := rapid.SampledFrom([]string{"", "*", "a", ".a", "b.a", ".b.a", "x"})
	senders := rapid.SampledFrom([]string{"", "<>", "a", ".a", "u@a", "u@b.a"})
	users := rapid.SampledFrom([]string{"", "*", "u", "u@a", "@a"})
	nets := rapid.SampledFrom([]string{"", "10.0.0.0/8", "10.1.0.0/16"})
	rapid.Check(t, func(t *rapid.T) {
		var rules []route.Rule
		for i := range rapid.IntRange(0, 7).Draw(t, "rules") { // as many as a selector holds
			r := route.Rule{Domain: patterns.Draw(t, "domain"), Sender: senders.Draw(t, "sender"), User: users.Draw(t, "user"), Hop: hop(fmt.Sprint("r:", i+1))}
			if n := nets.Draw(t, "net"); n != "" {
				r.Client = netip.MustParsePrefix(n)
			}
			rules = append(rules, r)
		}
		env := &mail.Envelope{
			Sender: []byte(rapid.SampledFrom([]string{"", "u@a", "u@b.a", "v@a", "v@x"}).Draw(t, "from")),
			User:   []byte(rapid.SampledFrom([]string{"", "u", "u@a", "v@a", "v"}).Draw(t, "login")),
			Client: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.2.2.3"), netip.MustParseAddr("192.0.2.1")}).Draw(t, "peer"),
		}
		domain := domains.Draw(t, "to")
		table := route.New(route.Options{Rules: rules})
		want := "mx"
		for _, r := range rules {
			if meets(r, env, domain) {
				want = r.Hop.String()
				break
			}
		}
		if got := table.Lookup([]byte(domain), []byte(table.Selector(env))).Lane; got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func meets(r route.Rule, env *mail.Envelope, domain string) bool {
	matches := func(pattern, domain string) bool {
		return pattern == domain || pattern != "" && pattern[0] == '.' && strings.HasSuffix(domain, pattern)
	}
	sender, user := string(env.Sender), string(env.User)
	switch {
	case r.Domain != "" && r.Domain != "*" && !matches(r.Domain, domain):
		return false
	case r.Sender == "<>" && sender != "":
		return false
	case r.Sender != "" && r.Sender != "<>" && (sender == "" || r.Sender != sender && !matches(r.Sender, sender[strings.Index(sender, "@")+1:])):
		return false
	case r.User == "*" && user == "":
		return false
	case strings.HasPrefix(r.User, "@") && !strings.HasSuffix(user, r.User):
		return false
	case r.User != "" && r.User != "*" && r.User[0] != '@' && r.User != user:
		return false
	}
	return !r.Client.IsValid() || env.Client.IsValid() && r.Client.Contains(env.Client)
}

// More conditions than a selector holds leave the first rules.
func TestASelectorIsBounded(t *testing.T) {
	var rules []route.Rule
	for i := range 20 {
		bits := 28 - i
		rules = append(rules, route.Rule{Client: netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), bits), Domain: fmt.Sprintf("d%d.example", i), Hop: hop(fmt.Sprint("r:", i+1))})
	}
	table := route.New(route.Options{Rules: rules})
	selector := []byte(table.Selector(&mail.Envelope{Client: netip.MustParseAddr("10.0.0.1")}))
	if len(selector) != route.MaxSelector {
		t.Errorf("%d octets", len(selector))
	}
	for i, want := range map[int]string{0: "smtp:r:1", 7: "smtp:r:8", 8: "mx", 19: "mx"} {
		if got := table.Lookup(fmt.Appendf(nil, "d%d.example", i), selector).Lane; got != want {
			t.Errorf("rule %d: %s", i, got)
		}
	}
}

// After some attempts a recipient takes the fallback.
//
// Covers T9.
func TestFallback(t *testing.T) {
	table := route.New(route.Options{
		Sources: []route.Source{source("a", "bulk", 1)},
		Rules: []route.Rule{
			{Domain: "a.example", Hop: hop("first:25"), Pool: "bulk", Login: &mail.Login{User: "u"}, Fallback: hop("last.example:25"), FallbackAfter: 3},
			{Domain: "b.example", Hop: mail.Hop{Kind: mail.HopMX}, Fallback: mail.Hop{Kind: mail.HopHold}},
			{Domain: "c.example", Hop: mail.Hop{Kind: mail.HopMX}},
		},
		Policies: []route.Policy{{Domain: "last.example", TLS: mail.TLSPolicy{Level: mail.TLSVerify}}},
	})
	for domain, list := range map[string]map[int]string{
		"a.example": {0: "smtp:first:25", 2: "smtp:first:25", 3: "smtp:last.example:25", 99: "smtp:last.example:25"},
		"b.example": {4: "mx", 5: "hold"},
		"c.example": {99: "mx"},
	} {
		for attempts, want := range list {
			if got := table.Lookup([]byte(domain), nil).At(attempts).Lane; got != want {
				t.Errorf("%s after %d attempts: %s, want %s", domain, attempts, got, want)
			}
		}
	}
	p := table.Lookup([]byte("a.example"), nil).Fallback
	if p.Login != nil || p.Pool.Name != "bulk" || p.TLS.Level != mail.TLSVerify || p.Fallback != nil {
		t.Errorf("fallback %+v", p)
	}
}

// A domain has its own policy however many domains share its servers, and the most
// exact one wins.
//
// Covers T11.
func TestPolicies(t *testing.T) {
	verify := mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{".google.example"}}
	table := route.New(route.Options{
		Rules: []route.Rule{
			{Domain: "none.example", Hop: mail.Hop{Kind: mail.HopMX}, TLS: &mail.TLSPolicy{Level: mail.TLSNone}},
			{Domain: "hop.example", Hop: hop("relay.bank.example:25")},
			{Domain: "lmtp.example", Hop: mail.Hop{Kind: mail.HopLMTP, Network: "tcp", Address: "bank.example:24"}},
			{Domain: "login.example", Hop: hop("smart.example:587"), Login: &mail.Login{User: "u"}},
			{Domain: "open.example", Hop: hop("smart.example:587"), Login: &mail.Login{User: "u"}, TLS: &mail.TLSPolicy{Level: mail.TLSNone}},
		},
		Policies: []route.Policy{
			{Domain: ".example", TLS: mail.TLSPolicy{Level: mail.TLSMay}},
			{Domain: "*", TLS: mail.TLSPolicy{Level: mail.TLSEncrypt}},
			{Domain: ".bank.example", TLS: mail.TLSPolicy{Level: mail.TLSFingerprint, Fingerprints: [][32]byte{{1}}}},
			{Domain: "Bank.example", TLS: verify},
		},
	})
	for domain, want := range map[string]mail.TLSLevel{
		"bank.example":   mail.TLSVerify,
		"a.bank.example": mail.TLSFingerprint,
		"shop.example":   mail.TLSMay,
		"shop.test":      mail.TLSEncrypt,
		"none.example":   mail.TLSNone,
		"hop.example":    mail.TLSFingerprint, // by the host of the hop
		"lmtp.example":   mail.TLSMay,
		"login.example":  mail.TLSEncrypt, // no password in clear unless told to
		"open.example":   mail.TLSNone,
		"[192.0.2.1]":    mail.TLSEncrypt,
	} {
		got := table.TLS([]byte(domain), table.Lookup([]byte(domain), nil))
		if got.Level != want {
			t.Errorf("%s: %v, want %v", domain, got.Level, want)
		}
		if domain == "bank.example" && (len(got.Names) != 1 || got.Origin != "policy") {
			t.Errorf("%s: %+v", domain, got)
		}
	}
	none := route.New(route.Options{})
	if got := none.TLS([]byte("a.example"), none.Lookup([]byte("a.example"), nil)); got.Level != mail.TLSMay || got.Origin != "" {
		t.Errorf("without policies: %+v", got)
	}
}

func TestNothingAllocates(t *testing.T) {
	table := route.New(route.Options{
		Sources: []route.Source{source("a", "", 1), source("b", "", 1)},
		Rules: []route.Rule{
			{Sender: "mine.test", Hop: hop("a:1")}, {Sender: ".test", Hop: hop("b:1")}, {User: "*", Hop: hop("c:1")},
			{Client: netip.MustParsePrefix("10.0.0.0/8"), Domain: ".b.example", Hop: hop("d:1")},
		},
		Policies: []route.Policy{{Domain: ".example", TLS: mail.TLSPolicy{Level: mail.TLSEncrypt}}},
	})
	env := &mail.Envelope{Sender: []byte("A@Mine.test"), User: []byte("Joe@Mine.test"), Client: netip.MustParseAddr("10.1.2.3")}
	domain, dst := []byte("a.b.example"), make([]byte, 0, route.MaxSelector)
	usable := except("x")
	if n := testing.AllocsPerRun(100, func() {
		dst = table.AppendSelector(dst[:0], env)
		p := table.Lookup(domain, dst)
		_ = table.TLS(domain, p)
		if p.At(3).Pool.Pick(numbered(5), usable) == nil {
			t.Error("no source")
		}
	}); n != 0 || len(dst) != 24 {
		t.Errorf("%v allocations, selector %q", n, dst)
	}
}
