package site_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/dns"
	"postrider/internal/mail"
	"postrider/relay/site"
)

func fingerprint(b byte) (f [32]byte) {
	f[0] = b
	return f
}

// compose returns the site of exchangers that are written as for names.domain.
func compose(t *testing.T, exchangers string, p mail.TLSPolicy, o *site.Options) site.Site {
	t.Helper()
	n := newNames()
	n.domain("d.test", exchangers)
	mx := n.mx["d.test"]
	s, loops := site.Compose(&mx, p, o, time.Now())
	if loops || len(s.Hosts) == 0 {
		t.Fatalf("%s: no site (loops: %v)", exchangers, loops)
	}
	return s
}

// Covers Q5. Domains with the same hosts in the same order are one site, whatever
// numbers they give them; all others are not.
func TestKey(t *testing.T) {
	key := func(exchangers string) string { return compose(t, exchangers, mail.TLSPolicy{}, &site.Options{}).Key }
	if got := key("10 mx.a.test"); got != "mx.a.test" {
		t.Error(got)
	}
	two := key("10 mx1.a.test, 20 mx2.a.test")
	if name, hash, ok := strings.Cut(two, "~"); name != "mx1.a.test+1" || !ok || len(hash) != 16 {
		t.Error(two)
	}
	if got := key("1 mx1.a.test, 65535 mx2.a.test"); got != two {
		t.Errorf("other numbers make %s of %s", got, two)
	}
	seen := map[string]string{two: "two"}
	for _, other := range []string{
		"10 mx1.a.test", "10 mx1.a.test, 10 mx2.a.test", "10 mx2.a.test, 20 mx1.a.test", "10 mx1.a.test, 20 mx3.a.test",
		"10 mx1.a.test, 20 mx2.a.test, 30 mx3.a.test", "10 mx1.a.test, 20 mx2.a.test, 20 mx3.a.test",
	} {
		if before, again := seen[key(other)]; again {
			t.Errorf("%q and %q are both %s", before, other, key(other))
		}
		seen[key(other)] = other
	}
}

// providers are rules as an operator writes them.
func providers() []site.Provider {
	return []site.Provider{
		{Name: "alike", Hosts: []string{".alike.test", "mx.alike.example"}, OneSite: true},
		{Name: "apart", Hosts: []string{".apart.test"}},
		{Name: "late", Hosts: []string{".test"}},
	}
}

// Covers T10. A provider's hosts share its name; they are one site where its rule
// says that they are alike, and what is mixed belongs to whom the best hosts belong.
func TestProvider(t *testing.T) {
	o := &site.Options{Providers: providers()}
	for _, c := range []struct{ exchangers, key, provider string }{
		{"10 a-example.alike.test", "alike", "alike"},
		{"10 b-example.ALIKE.test, 20 mx.alike.example", "alike", "alike"},
		{"10 a-example.apart.test", "a-example.apart.test", "apart"},
		{"10 a-example.apart.test, 20 mx2.apart.test", "a-example.apart.test+1", "apart"},
		{"10 a.alike.test, 20 backup.example", "a.alike.test+1", "alike"},
		{"10 a.alike.test, 10 peer.example", "a.alike.test+1", ""},
		{"10 own.example, 20 a.alike.test", "own.example+1", ""},
		{"10 a.alike.test, 20 a.apart.test", "a.alike.test+1", "alike"},
		{"10 alike.test", "alike.test", "late"}, // the name itself is not below itself
		{"10 notalike.test", "notalike.test", "late"},
		{"10 mx.alike.example", "alike", "alike"},
		{"10 x.mx.alike.example", "x.mx.alike.example", ""},
	} {
		s := compose(t, c.exchangers, mail.TLSPolicy{}, o)
		key, _, _ := strings.Cut(s.Key, "~")
		if key != c.key || s.Provider != c.provider || s.OneSite != (c.key == "alike") {
			t.Errorf("%s: %s of %q, one site: %v", c.exchangers, s.Key, s.Provider, s.OneSite)
		}
	}
}

// Covers T11. The protection is a part of the site, before domains are rolled up, so
// that two domains with the same hosts meet only when they want the same.
func TestSecurityClass(t *testing.T) {
	const hosts = "10 mx1.a.test, 20 mx2.a.test"
	key := func(p mail.TLSPolicy, o *site.Options) string { return compose(t, hosts, p, o).Key }
	plain := key(mail.TLSPolicy{}, &site.Options{})
	seen := map[string]string{plain: "the default"}
	for name, p := range map[string]mail.TLSPolicy{
		"none":             {Level: mail.TLSNone},
		"encrypt":          {Level: mail.TLSEncrypt},
		"verify":           {Level: mail.TLSVerify},
		"verify names":     {Level: mail.TLSVerify, Names: []string{"a.test", ".b.test"}},
		"verify other":     {Level: mail.TLSVerify, Names: []string{"a.test", ".c.test"}},
		"verify joined":    {Level: mail.TLSVerify, Names: []string{"a.test.b.test"}},
		"fingerprint":      {Level: mail.TLSFingerprint, Fingerprints: [][32]byte{fingerprint(1)}},
		"two fingerprints": {Level: mail.TLSFingerprint, Fingerprints: [][32]byte{fingerprint(1), fingerprint(2)}},
	} {
		k := key(p, &site.Options{})
		if before, again := seen[k]; again {
			t.Errorf("%s and %s are both %s", before, name, k)
		}
		if seen[k] = name; !strings.HasPrefix(k, plain+"#"+p.Level.String()) {
			t.Errorf("%s: %s does not tell of it", name, k)
		}
		if k := key(p, &site.Options{Providers: []site.Provider{{Name: "a", Hosts: []string{".a.test"}, OneSite: true}}}); !strings.HasPrefix(k, "a#"+p.Level.String()) {
			t.Errorf("%s at a provider: %s", name, k)
		}
	}
	one := mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{"a.test", "b.test"}, Origin: "policy"}
	other := mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{"b.test", "a.test"}}
	if key(one, &site.Options{}) != key(other, &site.Options{}) {
		t.Error("the same protection makes two sites")
	}
}

// Covers T11. A domain whose policy can't be kept changes nothing for another domain of
// the same hosts, whoever is looked up first.
func TestPolicyAlone(t *testing.T) {
	n := newNames()
	n.host("mx.test", "203.0.113.1")
	n.domain("good.test", "10 mx.test")
	n.domain("bad.test", "10 mx.test")
	bad := mail.TLSPolicy{Level: mail.TLSVerify, Names: []string{"not.the.host.test"}}
	before, _ := lookup(t, n, "good.test", mail.TLSPolicy{}, &site.Options{})
	strict, _ := lookup(t, n, "bad.test", bad, &site.Options{})
	after, _ := lookup(t, n, "good.test", mail.TLSPolicy{}, &site.Options{})
	if before.Key != "mx.test" || after.Key != before.Key || after.TLS.Level != mail.TLSMay {
		t.Errorf("the good one: %+v, then %+v", before, after)
	}
	if strict.Key == before.Key || strict.TLS.Level != mail.TLSVerify {
		t.Errorf("the bad one: %+v", strict)
	}
}

// A site lives as long as its records say, within bounds, and has at most ten hosts.
func TestCompose(t *testing.T) {
	now := time.Now()
	for ttl, want := range map[time.Duration]time.Duration{
		0: time.Minute, 59 * time.Second: time.Minute, 5 * time.Minute: 5 * time.Minute, 24 * time.Hour: time.Hour,
	} {
		mx := dns.MX{Hosts: []dns.Exchanger{{Host: "mx.test"}}, Facts: dns.Facts{TTL: ttl, Authentic: true}}
		if s, _ := site.Compose(&mx, mail.TLSPolicy{}, &site.Options{}, now); s.Expires.Sub(now) != want || !s.Authentic {
			t.Errorf("TTL %s: %+v", ttl, s)
		}
	}
	var mx dns.MX
	for i := range 20 {
		mx.Hosts = append(mx.Hosts, dns.Exchanger{Host: fmt.Sprintf("mx%d.test", i), Preference: uint16(i)})
	}
	for o, want := range map[*site.Options]int{{}: 10, {MaxHosts: 3}: 3, {MaxHosts: 30}: 20} {
		if s, _ := site.Compose(&mx, mail.TLSPolicy{}, o, now); len(s.Hosts) != want || s.Hosts[want-1].Preference != uint16(want-1) {
			t.Errorf("%d hosts, want %d", len(s.Hosts), want)
		}
	}
}

// Whoever is looked up last does not change what a key stands for.
func FuzzKey(f *testing.F) {
	f.Add("10 a.test, 20 b.test", "10 a.test, 10 b.test")
	f.Add("10 a.test", "10 a.test+1")
	f.Fuzz(func(t *testing.T, one, two string) {
		parse := func(text string) (mx dns.MX, order string) {
			for e := range strings.SplitSeq(text, ", ") {
				var x dns.Exchanger
				if _, err := fmt.Sscan(e, &x.Preference, &x.Host); err != nil || strings.ContainsAny(x.Host, "=>+~#") {
					return mx, ""
				}
				if n := len(mx.Hosts); n > 0 && mx.Hosts[n-1].Preference > x.Preference {
					return mx, ""
				} else if n > 0 && mx.Hosts[n-1].Preference == x.Preference {
					order += "="
				} else {
					order += ">"
				}
				mx.Hosts = append(mx.Hosts, x)
				order += x.Host
			}
			return mx, order
		}
		a, orderA := parse(one)
		b, orderB := parse(two)
		if orderA == "" || orderB == "" {
			return
		}
		x, _ := site.Compose(&a, mail.TLSPolicy{}, &site.Options{MaxHosts: 1000}, time.Now())
		y, _ := site.Compose(&b, mail.TLSPolicy{}, &site.Options{MaxHosts: 1000}, time.Now())
		if len(x.Hosts) != len(a.Hosts) || len(y.Hosts) != len(b.Hosts) {
			return // addresses in the place of names
		}
		if (x.Key == y.Key) != (orderA == orderB) {
			t.Errorf("%q is %s, %q is %s", one, x.Key, two, y.Key)
		}
	})
}
