package load

import (
	"bytes"
	"strings"
	"testing"

	"postrider/relay/smtp"
)

func FuzzCorpus(f *testing.F) {
	f.Add([]byte("Subject: a\n\n.dot\nbody\n"))
	f.Add([]byte(".x\r\n\r\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 {
			return
		}
		s := newSample(text)
		whole := append(bytes.Clone(s.header), s.body...)
		var c smtp.TextCheck
		c.Add(whole)
		c.End()
		if c.Bare || !bytes.HasSuffix(s.header, []byte("\r\n")) || !bytes.HasSuffix(whole, []byte("\r\n")) || c.EightBit != s.eightBit {
			t.Fatalf("%q %q", s.header, s.body)
		}
		if i := bytes.Index(whole, []byte("\r\n\r\n")); !bytes.HasPrefix(whole, []byte("\r\n")) && (i < 0 || i+4 != len(s.header)) {
			t.Fatalf("%q %q", s.header, s.body)
		}
	})
}

func FuzzModels(f *testing.F) {
	for _, s := range []string{"4096:80,65536:20", "lognormal:median=12k,p99=2M", "mime,8bit", "zipf:n=50,s=1.1", "a.test,b.test", "uniform:n=5", "5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "histogram") || strings.HasPrefix(text, "corpus") || strings.HasPrefix(text, "weights") {
			return // name files
		}
		if s, err := ParseSizes(text); err == nil {
			for i := range uint64(20) {
				if n := s.draw(draw(1, i, 1)); n < 1 || n > maxBytes {
					t.Fatalf("%q: %d", text, n)
				}
			}
		}
		if r, err := ParseRecipients(text); err == nil {
			if n := r.draw(draw(1, 1, 1)); n < 1 || n > r.Max() {
				t.Fatalf("%q: %d", text, n)
			}
		}
		if d, err := ParseDomains(text); err == nil {
			if name := d.append(nil, d.draw(1, 1, 1)); !plainDomain(string(name)) {
				t.Fatalf("%q: %q", text, name)
			}
		}
		if s, err := ParseShape(text); err == nil {
			if q, err := ParseShape(s.String()); err != nil || q != s {
				t.Fatalf("%q: %v", text, s)
			}
		}
	})
}

func FuzzWeights(f *testing.F) {
	f.Add("1k-2k 3 # most\n\n4k 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		spans, weights, err := parseHistogram(strings.NewReader(text))
		if err != nil {
			return
		}
		s := newSizes(spans, weights)
		for i := range uint64(20) {
			if n := s.draw(draw(1, i, 1)); n < s.low || n > s.high || n < 1 {
				t.Fatalf("%q: %d", text, n)
			}
		}
	})
}
