package load_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/bench/load"
)

// parsed parses by kind and gives the text back.
func parsed(kind, text string) (string, error) {
	switch kind {
	case "pace":
		p, err := load.ParsePace(text)
		return p.String(), err
	case "sizes":
		s, err := load.ParseSizes(text)
		return s.String(), err
	case "shape":
		s, err := load.ParseShape(text)
		return s.String(), err
	case "recipients":
		r, err := load.ParseRecipients(text)
		return r.String(), err
	case "tls":
		m, err := load.ParseTLS(text)
		return m.String(), err
	}
	d, err := load.ParseDomains(text)
	return d.String(), err
}

// A text that is understood is given back as it came, or as the same in other
// words.
func TestParse(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"pace", "closed", ""}, {"pace", "", "closed"}, {"pace", "constant:1000", ""}, {"pace", "poisson:0.5", ""},
		{"pace", "burst:base=500,peak=5000,for=10s,every=30s", ""},
		{"pace", "burst:every=30s,for=10s,peak=5000,base=500", "burst:base=500,peak=5000,for=10s,every=30s"},
		{"pace", "ramp:from=500,step=10%,every=10s", ""}, {"pace", "ramp:from=500,step=100,every=10s", ""},
		{"sizes", "4096", ""}, {"sizes", "10k", ""}, {"sizes", "4096:80,65536:20", ""}, {"sizes", "1.5M:1,512", ""},
		{"sizes", "lognormal:median=12k,p99=2M", ""}, {"sizes", "lognormal:median=12k,p99=2M,max=5M", ""},
		{"shape", "", "plain"}, {"shape", "plain", ""}, {"shape", "8bit, mime", "mime,8bit"}, {"shape", "smtputf8,longlines,random,signed", ""},
		{"recipients", "1", ""}, {"recipients", "1000", ""}, {"recipients", "zipf:n=500,s=1.1", ""}, {"recipients", "zipf:n=500", "zipf:n=500,s=1"},
		{"domains", "a.test,b.test", ""}, {"domains", "uniform:n=1000", ""}, {"domains", "zipf:n=1000,s=1.0", ""},
		{"tls", "none", ""}, {"tls", "starttls", ""}, {"tls", "implicit", ""},
	} {
		if c.want == "" {
			c.want = c.text
		}
		got, err := parsed(c.kind, c.text)
		if err != nil || got != c.want {
			t.Errorf("%s %q: %q, %v", c.kind, c.text, got, err)
		}
		if again, err := parsed(c.kind, got); err != nil || again != got {
			t.Errorf("%s %q again: %q, %v", c.kind, got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for kind, texts := range map[string][]string{
		"pace": {
			"open", "closed:1", "constant", "constant:0", "constant:-1", "constant:NaN", "constant:Inf", "constant:1e8", "poisson:x",
			"burst:base=1,peak=2,for=30s,every=30s", "burst:base=1,peak=2,for=1s", "burst:base=1,peak=2,for=1s,every=2s,x=1",
			"burst:base=1,base=1,peak=2,for=1s,every=2s", "ramp:from=1,step=%,every=1s", "ramp:from=1,step=1%,every=0s", "replay:" + none,
			"replay:" + none + ",speed=0",
		},
		"sizes": {
			"", "x", "0", "-1", "4096:0", "4096:", "2G", "1q", "lognormal:median=2M,p99=12k", "lognormal:median=12k", "lognormal:median=1k,p99=2k,max=1k",
			"histogram:" + none, "corpus:" + none, "corpus:" + t.TempDir(),
		},
		"shape":      {"round", "mime,,x"},
		"recipients": {"", "0", "1001", "zipf:n=1001", "zipf:", "zipf:n=5,s=-1", "zipf:n=5,q=1"},
		"domains":    {"", "a b", "a.test,", "-a", "a>b.test", "uniform:n=0", "uniform:n=10000000", "zipf:s=1", "weights:" + none, "gauss:n=1"},
		"tls":        {"", "ssl"},
	} {
		for _, text := range texts {
			if got, err := parsed(kind, text); err == nil {
				t.Errorf("%s %q was taken as %q", kind, text, got)
			}
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDomainList(t *testing.T) {
	weights := "weights:" + write(t, "weights", "# who\nbig.test 90\n\nsmall.test 10 # few\n")
	for text, want := range map[string]string{
		"a.test,b.test": "a.test b.test", "uniform:n=3": "d0.bench.test d1.bench.test d2.bench.test",
		"zipf:n=2,s=1": "d0.bench.test d1.bench.test", weights: "big.test small.test",
	} {
		d, err := load.ParseDomains(text)
		if got := strings.Join(d.List(), " "); err != nil || got != want {
			t.Errorf("%s: %q %v", text, got, err)
		}
	}
	if got := (load.Domains{}).List(); !slices.Equal(got, []string{"sink.invalid"}) {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"", "# nothing", "a.test", "a.test x", "a.test 0", "a.test 1 2", "a> 1"} {
		if _, err := load.ParseDomains("weights:" + write(t, "weights", bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string][2]float64{
		"closed": {0, 0}, "constant:100": {100, 150}, "poisson:100": {100, 150}, "ramp:from=10,step=10,every=1s": {10, 15},
		"burst:base=100,peak=400,for=10s,every=30s": {200, 300},
	} {
		p, err := load.ParsePace(text)
		if err != nil || p.Rate() != want[0] || p.Scale(1.5).Rate() != want[1] {
			t.Errorf("%s: %v, %v; %v", text, p.Rate(), p.Scale(1.5).Rate(), err)
		}
	}
	p, _ := load.ParsePace("ramp:from=10,step=10,every=1s")
	if got := p.Scale(2).String(); got != "ramp:from=20,step=20,every=1s" {
		t.Error(got)
	}
}
