package sink

import (
	"encoding"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// What is no such thing is an error when it is read, and what is read is written
// the same.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		into      func() encoding.TextUnmarshaler
		good, bad []string
	}{
		{func() encoding.TextUnmarshaler { return new(Duration) }, []string{"0s", "200ms", "1h0m0s"}, []string{"", "5", "-1s", "x"}},
		{func() encoding.TextUnmarshaler { return new(Share) }, []string{"0%", "0.5%", "100%"}, []string{"", "5", "-1%", "101%", "NaN%", "%"}},
		{func() encoding.TextUnmarshaler { return new(Delay) }, []string{"", "20ms", "uniform:20ms-400ms", "exponential:mean=50ms", "lognormal:median=50ms,p99=2s"},
			[]string{"x", "-1s", "uniform:20ms", "uniform:2s-1s", "uniform:1s-2s-3s", "exponential:50ms", "lognormal:median=50ms", "lognormal:median=2s,p99=1s", "lognormal:p99=2s,median=1s", "zipf:1s", "lognormal:median=0s,p99=1s"}},
		{func() encoding.TextUnmarshaler { return new(Window) }, []string{"10s to 40s", "10s-40s", "0s-1ms"}, []string{"", "10s", "40s-10s", "1s-1s", "x to y"}},
		{func() encoding.TextUnmarshaler { return new(DomainSet) }, []string{"*", "a.test", ".a.test", "d0-d99", "d7", "5%", "5%-10%", "d0, a.test,5%"},
			[]string{"", "a.test,", "d9-d1", "d1-e2", "abc", "101%", "10%-5%", "a b", "0%", "d01"}},
		{func() encoding.TextUnmarshaler { return new(TLSMode) }, []string{"none", "good", "expired", "wrongname", "selfsigned", "old", "broken"}, []string{"", "best"}},
		{func() encoding.TextUnmarshaler { return new(Stage) }, []string{"connect", "hello", "mail", "rcpt", "data", "end"}, []string{"", "quit"}},
	} {
		for _, text := range c.good {
			v := c.into()
			if err := v.UnmarshalText([]byte(text)); err != nil {
				t.Errorf("%T %q: %v", v, text, err)
			} else if m, ok := v.(encoding.TextMarshaler); ok {
				if got, err := m.MarshalText(); err != nil || string(got) != text {
					t.Errorf("%T %q is written %q, %v", v, text, got, err)
				}
			}
		}
		for _, text := range c.bad {
			if v := c.into(); v.UnmarshalText([]byte(text)) == nil {
				t.Errorf("%T: %q was taken", v, text)
			}
		}
	}
}

// Delays have the quantiles that their texts state.
func TestDelays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for text, want := range map[string][3]time.Duration{ // least, median, 99th percentile
		"20ms":                         {20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond},
		"uniform:20ms-120ms":           {20 * time.Millisecond, 70 * time.Millisecond, 119 * time.Millisecond},
		"exponential:mean=100ms":       {0, 69 * time.Millisecond, 460 * time.Millisecond},
		"lognormal:median=50ms,p99=2s": {0, 50 * time.Millisecond, 2 * time.Second},
	} {
		s, err := Delay{text}.parse()
		if err != nil {
			t.Fatal(err)
		}
		var all []time.Duration
		for range 100_000 {
			all = append(all, s.draw(random))
		}
		slices.Sort(all)
		near := func(a, b time.Duration) bool { return math.Abs(float64(a-b)) <= 0.06*float64(b) }
		if all[0] < want[0] || !near(all[50_000], want[1]) || !near(all[99_000], want[2]) || all[len(all)-1] > time.Hour {
			t.Errorf("%s: %v %v %v", text, all[0], all[50_000], all[99_000])
		}
	}
}

// Shares of the domains are what they should be, disjoint, and spread over busy and
// quiet ones; the first site that fits counts.
func TestDomainSets(t *testing.T) {
	set, err := newSiteSet([]Site{{Name: "a", Domains: DomainSet{"5%"}}, {Name: "b", Domains: DomainSet{"5%-10%,x.test"}}, {Name: "c", Domains: DomainSet{"d0-d9,.sub.test"}}, {Name: "rest", Domains: DomainSet{"*"}}}, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	count, early := map[string]int{}, map[string]int{}
	for i := range 1000 {
		name := set.place("d"+strconv.Itoa(i)+".bench.test", i).b.name
		count[name]++
		if i < 100 {
			early[name]++
		}
	}
	if n := count["a"]; n < 48 || n > 52 {
		t.Errorf("%v", count)
	}
	if n := count["b"]; n < 48 || n > 52 || count["c"] == 0 || count["rest"] < 880 {
		t.Errorf("%v", count)
	}
	if early["a"] < 3 || early["a"] > 7 || early["b"] < 3 || early["b"] > 7 {
		t.Errorf("%v", early)
	}
	for domain, want := range map[string]string{"x.test": "b", "a.sub.test": "c", "sub.test": "rest", "d0.bench.test": "c", "e0.test": "rest"} {
		if got := set.place(domain, -1).b.name; got != want {
			t.Errorf("%s: %s, not %s", domain, got, want)
		}
	}
	for _, bad := range []Site{{Domains: DomainSet{"abc"}}, {Domains: DomainSet{"*"}, Policy: Policy{Latency: Latencies{End: Delay{"x"}}}}, {Domains: DomainSet{"*"}, Policy: Policy{Down: []Window{{"x"}}}},
		{Domains: DomainSet{"*"}, Policy: Policy{Reply: []Reply{{At: AtRcpt, Text: "250 ok"}}}}, {Domains: DomainSet{"*"}, Policy: Policy{TLS: tlsModes}}, {Domains: DomainSet{"*"}, Policy: Policy{Limits: Limits{Rate: -1}}}} {
		if _, err := NewFarm(FarmOptions{Front: "127.0.0.1:0"}, nil, []Site{bad}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// A value is found again within the width of a step.
func TestCoarse(t *testing.T) {
	for v := int64(0); v <= maxLatency; v += 1 + v/50 {
		if got := stepValue(step(v)); math.Abs(float64(got-v)) > 0.0651*float64(v) {
			t.Fatalf("%d is taken for %d", v, got)
		}
	}
	var c coarse
	for v := range int64(1000) {
		c.record(v * 100)
	}
	l := c.latency()
	if l.Count != 1000 || l.Max != 99_900 || l.Mean != 49_950 || math.Abs(float64(l.P50)-50_000) > 3500 || math.Abs(float64(l.P99)-99_000) > 6500 || len(l.Curve) == 0 || l.Curve[len(l.Curve)-1] > l.Max {
		t.Errorf("%+v", l)
	}
}

func FuzzForms(f *testing.F) {
	for _, s := range []string{"lognormal:median=50ms,p99=2s", "uniform:1s-2s", "5%-10%,d0-d9", "10s to 40s", "12.5%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := (Delay{text}).parse(); err == nil && s != nil {
			random := rand.New(rand.NewPCG(1, 2))
			for range 10 {
				if d := s.draw(random); d < 0 || d > time.Hour {
					t.Errorf("%q: %v", text, d)
				}
			}
		}
		if rules, err := (DomainSet{text}).parse(); err == nil {
			for _, r := range rules {
				_ = r.fits("d5.bench.test", 5)
			}
		}
		if w, err := (Window{text}).parse(); err == nil && w.from >= w.to {
			t.Errorf("%q: %+v", text, w)
		}
	})
}
