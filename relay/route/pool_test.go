package route_test

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"postrider/internal/mail"
	"postrider/relay/route"
)

func source(name, pool string, weight int) route.Source {
	return route.Source{SourceHost: mail.SourceHost{Name: name}, Pool: pool, Weight: weight}
}

// numbered returns ids as a queue gives them: near each other.
func numbered(n int) mail.ID {
	return mail.MakeID(1_800_000_000_000+int64(n/1000), 7, 0xfeedbeef, uint32(n))
}

func except(names ...string) func(*route.Source) bool {
	return func(s *route.Source) bool {
		for _, n := range names {
			if s.Name == n {
				return false
			}
		}
		return true
	}
}

// Each source gets its share by weight, from ids that follow each other closely.
//
// Covers T4.
func TestSharesFollowWeights(t *testing.T) {
	table := route.New(route.Options{Sources: []route.Source{
		source("a", "", 1), source("b", "", 2), source("c", "", 5), source("spare", "", 0), source("other", "other", 3),
	}})
	const n = 80_000
	got := map[string]int{}
	for i := range n {
		got[table.Pool("").Pick(numbered(i), nil).Name]++
	}
	for name, share := range map[string]float64{"a": 1. / 8, "b": 2. / 8, "c": 5. / 8, "spare": 0, "other": 0} {
		// Five standard deviations of a binomial count.
		if slack := 5*math.Sqrt(n*share*(1-share)) + 1; math.Abs(float64(got[name])-n*share) > slack {
			t.Errorf("%s: %d of %d, want %.0f", name, got[name], n, n*share)
		}
	}
	if s := table.Pool("").Pick(numbered(1), except("a", "b", "c")); s == nil || s.Name != "spare" {
		t.Errorf("with all others blocked: %v", s)
	}
	if s := table.Pool("").Pick(numbered(1), except("a", "b", "c", "spare")); s != nil {
		t.Errorf("with all blocked: %v", s)
	}
}

// A message keeps its source over attempts, restarts and reloads; when a source is
// blocked its messages move and no others, and by weight; when one is added only
// what it gets moves.
//
// Covers T5.
func TestSourceIsSticky(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 6).Draw(t, "weights")
		var sources []route.Source
		for i, w := range weights {
			sources = append(sources, source(string(rune('a'+i)), "", w))
		}
		blocked := sources[rapid.IntRange(0, len(sources)-1).Draw(t, "blocked")].Name
		var id mail.ID
		binary.BigEndian.PutUint64(id[:], rapid.Uint64().Draw(t, "high"))
		binary.BigEndian.PutUint64(id[8:], rapid.Uint64().Draw(t, "low"))

		first := route.New(route.Options{Sources: sources}).Pool("").Pick(id, nil).Name
		reversed := append([]route.Source(nil), sources...)
		for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
			reversed[i], reversed[j] = reversed[j], reversed[i]
		}
		reloaded := route.New(route.Options{Sources: reversed}).Pool("default")
		if again := reloaded.Pick(id, nil).Name; again != first {
			t.Fatalf("%s, after a restart %s", first, again)
		}
		rest := reloaded.Pick(id, except(blocked)).Name
		if first != blocked && rest != first || first == blocked && rest == blocked {
			t.Fatalf("%s, and %s with %s blocked", first, rest, blocked)
		}
		grown := route.New(route.Options{Sources: append(reversed, source("new", "", 3))}).Pool("")
		if s := grown.Pick(id, nil).Name; s != first && s != "new" {
			t.Fatalf("%s, and %s with one more", first, s)
		}
	})
	table := route.New(route.Options{Sources: []route.Source{source("a", "", 1), source("b", "", 1), source("c", "", 3)}})
	moved := map[string]int{}
	const n = 40_000
	for i := range n {
		if p := table.Pool(""); p.Pick(numbered(i), nil).Name == "a" {
			moved[p.Pick(numbered(i), except("a")).Name]++
		}
	}
	if all := float64(moved["b"] + moved["c"]); math.Abs(float64(moved["b"])/all-0.25) > 0.03 {
		t.Errorf("a's share went to %v", moved)
	}
}

func TestPoolsAndSources(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	both := source("both", "bulk", 1)
	both.V4, both.V6 = v4, v6
	four := source("four", "bulk", 1)
	four.V4 = v4
	table := route.New(route.Options{Sources: []route.Source{both, four, source("bulk", "other", 1)}})
	if p := table.Pool("bulk"); len(p.Sources) != 2 {
		t.Errorf("a source took the name of a pool: %+v", p)
	}
	if p := table.Pool("four"); len(p.Sources) != 1 || p.Pick(numbered(3), nil).V4 != v4 {
		t.Errorf("a source as a pool: %+v", p)
	}
	for _, name := range []string{"", "default", "gone"} {
		if s := table.Pool(name).Pick(numbered(1), nil); s == nil || s.Name != "" {
			t.Errorf("pool %q: %+v", name, s)
		}
	}
	for name, want := range map[string]string{"both": "both", "four": "four", "bulk": "bulk", "": ""} {
		if s := table.Source(name); s == nil || s.Name != want {
			t.Errorf("source %q: %+v", name, s)
		}
	}
	if s := table.Source("gone"); s != nil {
		t.Errorf("a source that is gone: %+v", s)
	}
	for _, c := range []struct {
		source string
		addr   netip.Addr
		want   bool
	}{{"both", v4, true}, {"both", v6, true}, {"four", v4, true}, {"four", v6, false}, {"", v4, true}, {"", v6, true}, {"four", netip.AddrFrom16(v4.As16()), true}} {
		if got := table.Source(c.source).Reaches(c.addr); got != c.want {
			t.Errorf("%s to %s: %v", c.source, c.addr, got)
		}
	}
	key := []byte("far.example")
	p := table.Pool("bulk")
	if one, other := p.PickFor(key, nil), p.PickFor(key, nil); one != other {
		t.Error("a bucket changes its source")
	}
	if s := p.PickFor(key, except(p.PickFor(key, nil).Name)); s == nil {
		t.Error("no other source for a bucket")
	}
}
