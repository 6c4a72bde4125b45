package bench_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/bench"
)

// Every scenario that comes with the program is right in both its forms, says
// what it does, and reads back from its own text.
func TestScenarios(t *testing.T) {
	names := bench.Names()
	if len(names) < 30 || names[0] != "ceiling" {
		t.Fatalf("%v", names)
	}
	for _, n := range names {
		for _, full := range []bool{false, true} {
			s, err := bench.Find(n, full)
			if err != nil {
				t.Error(err)
				continue
			}
			if s.About == "" || s.Proves == "" || strings.Contains(s.About, "\n") {
				t.Errorf("%s: says neither what it does nor what for: %q %q", n, s.About, s.Proves)
			}
			again, err := bench.Parse(n, []byte(s.Text()), false)
			if err != nil {
				t.Errorf("%s: its own text: %v", n, err)
			} else if again.Text() != s.Text() {
				t.Errorf("%s: changes when it is read again:\n%s\n%s", n, s.Text(), again.Text())
			}
		}
	}
}

// What is wrong is refused with the line and the reason, all of it at once.
func TestScenarioErrors(t *testing.T) {
	for text, want := range map[string]string{
		"about = \"x\"\n[load]\nconnz = 3\nmessages = 1":                      "line 3: unknown key load.connz",
		"about = \"x\"\n[load]\nconns = \"many\"":                             "line 3",
		"about = \"x\"\n[load]\nduration = \"soon\"":                          "soon",
		"about = \"x\"\n[load]\nduration = \"-3s\"":                           "below zero",
		"about = \"x\"\n[load]\nmessages = 1\nsize = \"4q\"":                  "size",
		"about = \"x\"\n[load]\nmessages = 1\npace = \"poisson:70%\"":         "is a share",
		"about = \"x\"\n[load]\n":                                             "neither messages nor duration",
		"[load]\nmessages = 1":                                                "about is empty",
		"about = \"x\"\nneeds = [\"uucp\"]\n[load]\nmessages = 1":             "uucp",
		"about = \"x\"\n[load]\nmessages = 1\n[[step]]\ndo = \"fill\"":        "needs server.disk",
		"about = \"x\"\n[load]\nmessages = 1\n[[step]]\ndo = \"dance\"":       "dance",
		"about = \"x\"\n[load]\nmessages = 1\n[expect]\nrss = \"lots\"":       "lots",
		"about = \"x\"\n[load]\nmessages = 1\n[expect]\nduplicates = \"few\"": "few",
		"about = \"x\"\n[load]\nmessages = 1\n[dns]\nfail = [\"servfail\"]":   "servfail",
		"about = \"x\"\n[load]\nmessages = 1\n[server]\ndisk = \"ram\"":       "tmpfs",
		"about = ": "line 1",
	} {
		s, err := bench.Parse("it", []byte(text), false)
		if err == nil {
			err = s.Check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, should tell of %q", text, err, want)
		}
	}
	s, err := bench.Parse("it", []byte("[load]\nsize = \"4q\"\nconns = -1"), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err == nil || strings.Count(err.Error(), ";") < 3 {
		t.Errorf("not all that is wrong at once: %v", err)
	}
}

func TestOverride(t *testing.T) {
	s, err := bench.Find("steady", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []string{"load.size=64k", "load.conns=3", "load.duration=2s", "expect.delivered=false", `load.domains = "a.test,b.test"`} {
		if err := s.Override(o); err != nil {
			t.Error(err)
		}
	}
	if s.Load.Size != "64k" || s.Load.Conns != 3 || s.Load.Duration.D() != 2*time.Second || s.Expect.Delivered || s.Load.Domains != "a.test,b.test" {
		t.Errorf("%+v", s.Load)
	}
	for _, o := range []string{"load.size", "=3", "load.conns=many", "load.nothing=3", "load.size=1\n[expect]"} {
		if err := s.Override(o); err == nil {
			t.Errorf("%q is taken", o)
		}
	}
}

// A scenario can be a file; a name that is nearly right is suggested.
func TestFind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.toml")
	if err := os.WriteFile(path, []byte("about = \"own\"\n[load]\nmessages = 5\n[full.load]\nmessages = 50\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for full, want := range map[bool]int64{false: 5, true: 50} {
		s, err := bench.Find(path, full)
		if err != nil || s.Name != "own" || s.Load.Messages != want {
			t.Errorf("%v %+v", err, s)
		}
	}
	if _, err := bench.Find("stedy", false); err == nil || !strings.Contains(err.Error(), "did you mean steady") {
		t.Errorf("%v", err)
	}
	if _, err := bench.Find("nothing-like-it", false); err == nil || strings.Contains(err.Error(), "mean") {
		t.Errorf("%v", err)
	}
	if _, err := bench.Find(path+".toml", false); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestSources(t *testing.T) {
	got, err := bench.ParseSources("127.0.0.254-127.0.1.1, 127.9.9.9")
	want := []string{"127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1", "127.9.9.9"}
	if err != nil || !slices.EqualFunc(got, want, func(a netip.Addr, b string) bool { return a.String() == b }) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"x", "127.0.0.2-127.0.0.1", "127.0.0.1-::1", "127.0.0.1-127.9.0.1"} {
		if got, err := bench.ParseSources(bad); err == nil {
			t.Errorf("%q: %d addresses", bad, len(got))
		}
	}
}

func TestRates(t *testing.T) {
	for pace, want := range map[string]string{
		"closed":                          "closed",
		"poisson:70%":                     "poisson:140.0",
		"poisson:70":                      "poisson:70",
		"ramp:from=50%,step=10%,every=4s": "ramp:from=100.0,step=10%,every=4s",
		"burst:base=10%,peak=100%,for=3s,every=8s": "burst:base=20.0,peak=200.0,for=3s,every=8s",
	} {
		if got := bench.Rates(pace, 200); got != want {
			t.Errorf("%s: %s, not %s", pace, got, want)
		}
	}
}
