package dns

import (
	"errors"
	"testing"
	"time"

	wire "github.com/miekg/dns"
)

// FuzzAnswer gives the reader of answers whatever bytes. What it takes for an answer
// is capped, in order, and made of names and addresses.
func FuzzAnswer(f *testing.F) {
	kinds := []uint16{wire.TypeMX, wire.TypeA, wire.TypeAAAA, wire.TypeTXT, wire.TypeTLSA, wire.TypePTR}
	for _, texts := range [][]string{
		{"a.test. 60 IN MX 10 b.test.", "a.test. 60 IN MX 5 c.test.", "a.test. 60 IN MX 0 ."},
		{"a.test. 60 IN CNAME b.test.", "b.test. 60 IN A 192.0.2.1", "a.test. 60 IN CNAME a.test."},
		{"a.test. 60 IN AAAA ::ffff:192.0.2.1"},
		{`a.test. 60 IN TXT "a" "b\000"`},
		{"a.test. 60 IN TLSA 3 1 1 abcd"},
		{`a.test. 60 IN PTR \000\.b.test.`},
	} {
		m := new(wire.Msg).SetQuestion("a.test.", wire.TypeMX)
		m.Response, m.Id = true, 1
		for _, text := range texts {
			rr, err := wire.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		m.Question[0].Qtype = m.Answer[len(m.Answer)-1].Header().Rrtype
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range kinds {
			q := question("a.test", kind, true)
			q.Id = 1
			m := accept(b, q)
			if m == nil {
				continue
			}
			p, err := follow(m, "a.test", kind, 0)
			if err != nil {
				if !errors.Is(err, errChain) {
					t.Error(err)
				}
				continue
			}
			if p.links > MaxChain {
				t.Errorf("%d links", p.links)
			}
			a := &answer{expires: time.Now()}
			a.fill(p.records)
			check(t, a)
		}
	})
}

func check(t *testing.T, a *answer) {
	if len(a.hosts) > MaxHosts || len(a.addrs) > MaxAddresses || len(a.texts) > MaxTexts || len(a.tlsa) > MaxTexts {
		t.Errorf("more than the caps: %+v", a)
	}
	if a.null && len(a.hosts) > 0 {
		t.Errorf("a null MX with hosts: %+v", a)
	}
	for i, h := range a.hosts {
		if host, ok := hostName(h.Host); !ok || host != h.Host {
			t.Errorf("host %q", h.Host)
		}
		if i > 0 && a.hosts[i-1].Preference > h.Preference {
			t.Errorf("not in order: %v", a.hosts)
		}
	}
	for _, addr := range a.addrs {
		if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
			t.Errorf("address %v", addr)
		}
	}
	if a.bytes() <= 0 || a.bytes() > 5*wire.MaxMsgSize {
		t.Errorf("%d bytes", a.bytes())
	}
}

// FuzzName gives the reader of names whatever text.
func FuzzName(f *testing.F) {
	for _, name := range []string{"a.test", "A.Test.", "bücher.example", "xn--bcher-kva.test", "a..b", "192.0.2.1", "-", "_25._tcp.a", "ﬀ.test", "\u200d.test", "faß.de"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, ok := canonical(name)
		if !ok {
			return
		}
		if again, ok := canonical(got); !ok || again != got {
			t.Errorf("%q is %q, and that is %q", name, got, again)
		}
		if _, err := question(got, wire.TypeMX, false).Pack(); err != nil {
			t.Errorf("%q can't be asked for: %v", got, err)
		}
	})
}
