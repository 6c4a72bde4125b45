package route_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postrider/internal/mail"
	"postrider/relay/route"
)

func hop(address string) mail.Hop {
	return mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: address}
}

func TestLookup(t *testing.T) {
	table := route.New(route.Options{Rules: []route.Rule{
		{Domain: "Exact.Example", Hop: hop("a:1")},
		{Domain: ".sub.example", Hop: hop("b:1")},
		{Domain: "late.sub.example", Hop: hop("c:1")}, // never: the suffix stands before it
		{Domain: "here.example", Hop: mail.Hop{Kind: mail.HopHold}},
		{Domain: ".example", Hop: mail.Hop{Kind: mail.HopLMTP, Network: "unix", Address: "/run/x"}},
		{Domain: "exact.example", Hop: hop("d:1")}, // never: the first wins
		{Domain: ".deep.sub.example", Hop: hop("e:1")},
	}, Local: []string{"here.example", "Mine.test"}})
	for domain, want := range map[string]string{
		"exact.example":      "smtp:a:1",
		"x.sub.example":      "smtp:b:1",
		"late.sub.example":   "smtp:b:1",
		"a.deep.sub.example": "smtp:b:1",
		"sub.example":        "lmtp:unix:/run/x", // a suffix does not match itself
		"example":            "mx",
		"xexample":           "mx",
		"here.example":       "hold",
		"mine.test":          "local",
		"a.mine.test":        "mx",
		"other.test":         "mx",
		"[192.0.2.1]":        "mx",
		"":                   "mx",
	} {
		if got := table.Lookup([]byte(domain), nil).Hop.String(); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
		if got := table.Lookup([]byte(domain), nil).Lane; got != want {
			t.Errorf("lane of %s: %s, want %s", domain, got, want)
		}
	}
	star := route.New(route.Options{Rules: []route.Rule{{Domain: "a.test", Hop: hop("a:1")}, {Domain: "*", Hop: hop("z:1")}, {Domain: "b.test", Hop: hop("b:1")}}, Local: []string{"b.test"}})
	for domain, want := range map[string]string{"a.test": "smtp:a:1", "b.test": "smtp:z:1", "c": "smtp:z:1"} {
		if got := star.Lookup([]byte(domain), nil).Lane; got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
}

// The index gives what walking the rules one by one gives.
func TestLookupIsTheFirstMatch(t *testing.T) {
	labels := rapid.SampledFrom([]string{"a", "b", "c", "ab"})
	domain := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(labels, 1, 4).Draw(t, "labels"), ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		var rules []route.Rule
		for i := range rapid.IntRange(0, 8).Draw(t, "rules") {
			d := domain.Draw(t, "domain")
			switch rapid.IntRange(0, 6).Draw(t, "form") {
			case 0:
				d = "*"
			case 1, 2, 3:
				d = "." + d
			}
			rules = append(rules, route.Rule{Domain: d, Hop: hop(string(rune('a'+i)) + ":1")})
		}
		local := rapid.SliceOfN(domain, 0, 2).Draw(t, "local")
		table := route.New(route.Options{Rules: rules, Local: local})
		d := domain.Draw(t, "wanted")
		if got, want := table.Lookup([]byte(d), nil).Lane, slow(rules, local, d); got != want {
			t.Fatalf("%s in %v: %s, want %s", d, rules, got, want)
		}
	})
}

func slow(rules []route.Rule, local []string, domain string) string {
	for _, r := range rules {
		if r.Domain == "*" || r.Domain == domain || r.Domain[0] == '.' && strings.HasSuffix(domain, r.Domain) {
			return r.Hop.String()
		}
	}
	for _, l := range local {
		if l == domain {
			return "local"
		}
	}
	return "mx"
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table := route.New(route.Options{Rules: []route.Rule{{Domain: ".sub.example", Hop: hop("b:1")}, {Domain: "*", Hop: hop("z:1")}}})
	domain := []byte("some.host.sub.example")
	if n := testing.AllocsPerRun(100, func() { _ = table.Lookup(domain, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
