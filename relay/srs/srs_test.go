package srs_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postrider/internal/mail"
	"postrider/relay/srs"
)

// at is a rewriter whose clock stands.
func at(t testing.TB, now time.Time, length int, secrets ...string) *srs.Rewriter {
	t.Helper()
	r, err := srs.New(srs.Options{Domain: "Forward.example", Secrets: secrets, HashLength: length, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func address(t testing.TB, text string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress([]byte(text), true)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Addresses have the forms of the published scheme.
//
// Covers M6.
func TestForwardAndBack(t *testing.T) {
	r := at(t, noon, 4, "tops3cr3t")
	for _, m := range []struct{ sender, forwarded, back string }{
		{"alice@example.com", "SRS0=HASH=TT=example.com=alice@forward.example", ""},
		{"Alice.B+x=y@Example.com", "SRS0=HASH=TT=example.com=Alice.B+x=y@forward.example", "Alice.B+x=y@example.com"},
		{`"a b"@example.com`, `"SRS0=HASH=TT=example.com=a b"@forward.example`, ""},
		{"SRS0=xxxx=yy=first.example=bob@second.example", "SRS1=HASH=second.example==xxxx=yy=first.example=bob@forward.example", ""},
		{"srs0+xxxx=yy=first.example=bob@second.example", "SRS1=HASH=second.example=+xxxx=yy=first.example=bob@forward.example", "SRS0+xxxx=yy=first.example=bob@second.example"},
		{"SRS1=zzzz=second.example==xxxx=yy=f.example=bob@third.example", "SRS1=HASH=second.example==xxxx=yy=f.example=bob@forward.example", "SRS0=xxxx=yy=f.example=bob@second.example"},
		{"SRS1=broken@third.example", "SRS0=HASH=TT=third.example=SRS1=broken@forward.example", ""},
		{"srs@example.com", "SRS0=HASH=TT=example.com=srs@forward.example", ""},
		{"SRS0=already@forward.example", "SRS0=already@forward.example", "no"},
		{"", "", "no"},
	} {
		got, err := r.Forward(nil, []byte(m.sender), noon)
		if err != nil {
			t.Errorf("%s: %v", m.sender, err)
			continue
		}
		if !sameForm(string(got), m.forwarded) {
			t.Errorf("%s became %s, want %s", m.sender, got, m.forwarded)
		}
		if m.back == "no" {
			continue
		}
		want := m.sender
		if m.back != "" {
			want = m.back
		}
		back, err := r.Reverse(nil, address(t, string(got)))
		if err != nil || string(back) != want {
			t.Errorf("%s came back as %s, %v", got, back, err)
		}
	}
}

// sameForm compares with a form in which HASH and TT stand for what is computed.
func sameForm(got, form string) bool {
	before, rest, hashed := strings.Cut(form, "HASH")
	if !hashed {
		return got == form
	}
	if !strings.HasPrefix(got, before) || len(got) < len(before)+4 {
		return false
	}
	got = got[len(before)+4:]
	if after, stamped := strings.CutPrefix(rest, "=TT"); stamped {
		return len(got) > 3 && got[0] == '=' && got[3:] == after
	}
	return got == rest
}

// The signature and the day are what other implementations compute.
//
// Covers M6.
func TestKnownAddress(t *testing.T) {
	// Day 20513 is 33 modulo 1024: "BB". The hash is the base 64 of HMAC-SHA1 over
	// "bbexample.comalice".
	r := at(t, noon, 4, "tops3cr3t")
	got, err := r.Forward(nil, []byte("Alice@example.com"), noon)
	if want := "SRS0=73B5=BB=example.com=Alice@forward.example"; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// Covers M6.
func TestForgedAndExpired(t *testing.T) {
	r := at(t, noon, 0, "new-secret", "old-secret")
	good, err := r.Forward(nil, []byte("alice@example.com"), noon)
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for what, m := range map[string]struct {
		r    *srs.Rewriter
		text string
		want error
	}{
		"good":              {r, text, nil},
		"in upper case":     {r, strings.ToUpper(text), nil},
		"in lower case":     {r, strings.ToLower(text), nil},
		"last day":          {at(t, noon.AddDate(0, 0, 21), 0, "new-secret"), text, nil},
		"a day late":        {at(t, noon.AddDate(0, 0, 22), 0, "new-secret"), text, srs.ErrExpired},
		"a clock set back":  {at(t, noon.AddDate(0, 0, -1), 0, "new-secret"), text, nil},
		"of the future":     {at(t, noon.AddDate(0, 0, -2), 0, "new-secret"), text, srs.ErrExpired},
		"secret rotated":    {at(t, noon, 0, "third", "new-secret"), text, nil},
		"secret gone":       {at(t, noon, 0, "third"), text, srs.ErrForged},
		"another recipient": {r, strings.Replace(text, "=alice", "=mallory", 1), srs.ErrForged},
		"another domain":    {r, strings.Replace(text, "example.com", "example.net", 1), srs.ErrForged},
		"a later day":       {r, strings.Replace(text, "=BB=", "=BC=", 1), srs.ErrForged},
		"a short hash":      {r, "SRS0=" + text[6:], srs.ErrForged},
		"no hash":           {r, "SRS0==BB=example.com=alice@forward.example", srs.ErrForged},
		"parts missing":     {r, "SRS0=abcdef=BB@forward.example", srs.ErrForged},
		"a made SRS1":       {r, "SRS1=abcdef=example.com==x=y=z@forward.example", srs.ErrForged},
		"of another domain": {r, strings.Replace(text, "forward.example", "other.example", 1), srs.ErrForeign},
		"plain":             {r, "alice@forward.example", srs.ErrForeign},
	} {
		back, err := m.r.Reverse(nil, address(t, m.text))
		if !errors.Is(err, m.want) || m.want == nil && !strings.EqualFold(string(back), "alice@example.com") {
			t.Errorf("%s: %s, %v", what, back, err)
		}
		if m.want != nil && m.want != srs.ErrForeign {
			if s := srs.Refusal(err); s.Code != 550 || s.Enhanced != (mail.Enhanced{Class: 5, Subject: 7, Detail: 1}) {
				t.Errorf("%s: refused with %v", what, s)
			}
		}
	}
}

// A sender that would not fit stays as it is, and the caller knows.
//
// Covers M6.
func TestTooLong(t *testing.T) {
	r := at(t, noon, 6, "secret")
	fits := 64 - len("SRS0=123456=BB=example.com=")
	for n, want := range map[int]error{fits: nil, fits + 1: srs.ErrLong} {
		got, err := r.Forward(nil, []byte(strings.Repeat("a", n)+"@example.com"), noon)
		if !errors.Is(err, want) || (len(got) > 0) != (want == nil) {
			t.Errorf("%d: %s, %v", n, got, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []srs.Options{{}, {Domain: "x.example"}, {Domain: "x.example", Secrets: []string{""}}, {Secrets: []string{"s"}}, {Domain: "-", Secrets: []string{"s"}}} {
		if r, err := srs.New(o); err == nil {
			t.Errorf("%+v: %v", o, r)
		}
	}
}

// Whatever is forwarded comes back, through any number of forwarders, each of
// which may change the case.
//
// Covers M6.
func TestAnyChainLeadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[a-z0-9+=.-]{1,12}`).Draw(t, "local")
		domain := rapid.StringMatching(`[a-z]{1,6}\.(example|test)`).Draw(t, "domain")
		sender := mail.Address{Local: []byte(local), Domain: []byte(domain)}.AppendText(nil)
		var chain []*srs.Rewriter
		for i, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]\.fwd`), 1, 4, rapid.ID[string]).Draw(t, "forwarders") {
			r, err := srs.New(srs.Options{Domain: name, Secrets: []string{"secret " + string(rune('a'+i))}, Clock: func() time.Time { return noon }})
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, r)
		}
		now := sender
		for _, r := range chain {
			next, err := r.Forward(nil, now, noon)
			if errors.Is(err, srs.ErrLong) {
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", now, err)
			}
			now = next
		}
		for hops := 0; !bytes.EqualFold(now, sender); hops++ {
			if hops > 2 {
				t.Fatalf("still %s after %d hops", now, hops)
			}
			if rapid.Bool().Draw(t, "shout") {
				now = bytes.ToUpper(now)
			}
			a, err := mail.ParseAddress(bytes.Clone(now), true)
			if err != nil {
				t.Fatalf("%s: %v", now, err)
			}
			moved := false
			for _, r := range chain {
				if !bytes.Equal(r.Domain(), a.Domain) {
					continue
				}
				if now, err = r.Reverse(nil, a); err != nil {
					t.Fatalf("%s: %v", a, err)
				}
				moved = true
				break
			}
			if !moved {
				t.Fatalf("nobody knows %s", now)
			}
		}
	})
}

// A stranger's address is never turned into one unless it was signed, and nothing
// panics on the way.
func FuzzReverse(f *testing.F) {
	r := at(f, noon, 6, "secret")
	good, err := r.Forward(nil, []byte("alice@example.com"), noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add("SRS0=abcdef=BB=example.com=alice@forward.example")
	f.Add("SRS1=abcdef=example.com==abcd=BB=example.com=alice@forward.example")
	f.Add(`"SRS0= "@forward.example`)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := mail.ParseAddress([]byte(text), true)
		if err != nil {
			return
		}
		back, err := r.Reverse(nil, a)
		if err == nil && !strings.EqualFold(a.String(), string(good)) {
			t.Fatalf("%s became %s without a signature", text, back)
		}
		forwarded, err := r.Forward(nil, a.AppendText(nil), noon)
		if err != nil {
			return
		}
		b, err := mail.ParseAddress(bytes.Clone(forwarded), true)
		if err != nil {
			t.Fatalf("%s was forwarded as %q: %v", text, forwarded, err)
		}
		if bytes.Equal(a.Domain, r.Domain()) {
			return
		}
		if _, err = r.Reverse(nil, b); err != nil {
			t.Fatalf("%s was forwarded as %s: %v", text, forwarded, err)
		}
	})
}
