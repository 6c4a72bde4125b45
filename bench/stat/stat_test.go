package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// runs simulates n runs around centre, whose noise is a factor with that
// standard deviation, and each twentieth of which is disturbed.
func runs(rng *rand.Rand, n int, centre, noise float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = centre * math.Exp(rng.NormFloat64()*noise)
		if rng.IntN(20) == 0 {
			v[i] *= 1 - 3*noise
		}
	}
	return v
}

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		values         []float64
		median, lo, hi float64
	}{
		{nil, 0, math.Inf(-1), math.Inf(1)},
		{[]float64{7}, 7, math.Inf(-1), math.Inf(1)},
		{[]float64{3, 1, 2}, 2, math.Inf(-1), math.Inf(1)},
		{[]float64{6, 5, 4, 3, 2, 1}, 3.5, 1, 6},
		{[]float64{9, 8, 7, 6, 5, 4, 3, 2, 1}, 5, 2, 8},
	} {
		given := slices.Clone(c.values)
		s := Summarize(c.values)
		if s.N != len(c.values) || s.Median != c.median || s.Lo != c.lo || s.Hi != c.hi {
			t.Errorf("Summarize(%v) = %+v", c.values, s)
		}
		if s.Bounded() != (len(c.values) >= 6) {
			t.Errorf("Summarize(%v).Bounded() = %v", c.values, s.Bounded())
		}
		if !slices.Equal(given, c.values) {
			t.Errorf("Summarize changed %v to %v", given, c.values)
		}
	}
}

// The critical values of U for two-sided tests, as in every table of them.
func TestRejected(t *testing.T) {
	for _, c := range []struct {
		nA, nB int
		alpha  float64
		want   int // values of U, from 0
	}{
		{3, 3, 0.05, 0}, {4, 4, 0.05, 1}, {5, 5, 0.05, 3}, {6, 6, 0.05, 6}, {5, 8, 0.05, 7}, {10, 10, 0.05, 24}, {20, 20, 0.05, 128},
		{4, 4, 0.01, 0}, {5, 5, 0.01, 1}, {8, 8, 0.01, 8}, {10, 10, 0.01, 17}, {20, 20, 0.01, 106},
	} {
		if got := rejected(c.nA, c.nB, c.alpha); got != c.want {
			t.Errorf("rejected(%d, %d, %v) = %d, want %d", c.nA, c.nB, c.alpha, got, c.want)
		}
	}
	// Where the normal distribution takes over, the two agree within one.
	exact, sum := 0, 0.0
	for u, p := range distribution(26, 26) {
		if sum += p; sum > 0.005 {
			exact = u
			break
		}
	}
	if got := rejected(27, 27, 0.01); got < exact {
		t.Errorf("rejected(27, 27) = %d by the normal distribution, and %d for 26 by counting", got, exact)
	}
}

func TestCompare(t *testing.T) {
	a, b := []float64{100, 101, 102, 103, 104, 105}, []float64{200, 202, 204, 206, 208, 210}
	c := Compare(a, b)
	if math.Abs(c.Ratio-2) > 0.01 || c.Lo > 2 || c.Hi < 2 || c.Lo < 1.9 || c.Hi > 2.1 {
		t.Errorf("ratio %v [%v, %v]", c.Ratio, c.Lo, c.Hi)
	}
	if math.Abs(c.P-2.0/924) > 1e-9 || !c.Differ() || c.String() != "p=0.002, n=6+6" {
		t.Errorf("p = %v: %s", c.P, c)
	}
	if same := Compare(a, a); same.Differ() || same.Ratio != 1 || same.Excludes(1) {
		t.Errorf("a sample differs from itself: %+v", same)
	}
	for _, few := range [][2][]float64{{nil, nil}, {nil, b}, {a, nil}, {{1}, {2}}, {{1, 2, 3}, {4, 5, 6}}} {
		if c := Compare(few[0], few[1]); c.Bounded() || c.Differ() {
			t.Errorf("Compare(%v) finds a difference: %+v", few, c)
		}
	}
	zeros := []float64{0, 0, 0, 0, 0, 0}
	if c := Compare(zeros, zeros); c.Ratio != 1 || c.Lo != 1 || c.Hi != 1 || c.Differ() {
		t.Errorf("zeros: %+v", c)
	}
	if c := Compare(zeros, a); !math.IsInf(c.Ratio, 1) || !c.Differ() || !c.Excludes(1.05) {
		t.Errorf("from zeros to some: %+v", c)
	}
	if c := Compare(a, zeros); c.Ratio != 0 || !c.Differ() {
		t.Errorf("from some to zeros: %+v", c)
	}
}

func TestAlpha(t *testing.T) {
	if Alpha(7, 20) != 0.05 || Alpha(20, 7) != 0.05 || Alpha(8, 8) != 0.01 {
		t.Error("Alpha changes its mind elsewhere than at eight runs")
	}
}

// The interval holds the true ratio as often as it claims to, whatever the
// shape of the noise.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{5, 6, 10, 20} {
		const trials = 2000
		held := 0
		for range trials {
			if c := Compare(runs(rng, n, 1000, 0.05), runs(rng, n, 1300, 0.05)); !c.Excludes(1.3) {
				held++
			}
		}
		want := 1 - Alpha(n, n)
		if share := float64(held) / trials; share < want-0.012 {
			t.Errorf("n=%d: the interval held the true ratio in %.3f of the trials, want %.2f", n, share, want)
		}
	}
}

// The drift of the machine, which is larger than the difference, goes away
// within pairs.
func TestPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	a, b := runs(rng, 8, 1000, 0.005), runs(rng, 8, 1100, 0.005)
	for i := range a {
		drift := 1 + 0.1*float64(i)
		a[i], b[i] = a[i]*drift, b[i]*drift
	}
	p := Pairs(a, b)
	if !p.Bounded() || p.Excludes(1.1) || p.Hi-p.Lo > 0.06 {
		t.Errorf("pairs: %+v", p)
	}
	if u := Compare(a, b); !u.Excludes(1.0) && u.Hi-u.Lo < p.Hi-p.Lo {
		t.Errorf("the drift does not widen the interval of unpaired runs: %+v", u)
	}
	if p := Pairs(a, b[:3]); p.Bounded() {
		t.Errorf("three pairs have an interval: %+v", p)
	}
	if p := Pairs(nil, b); p.Bounded() || !math.IsNaN(p.Ratio) {
		t.Errorf("no pairs: %+v", p)
	}
}

func TestMore(t *testing.T) {
	none := Interval{Ratio: 1, Hi: math.Inf(1)}
	for _, c := range []struct {
		name     string
		nA, nB   int
		interval Interval
		limit    float64
		a, b     int
		ok       bool
	}{
		{"excluded already", 10, 10, Interval{1, 0.98, 1.02}, 0.95, 0, 0, true},
		{"excluded on the other side", 10, 10, Interval{0.9, 0.88, 0.92}, 0.95, 0, 0, true},
		{"too few for any interval", 3, 3, none, 0.95, 0, 2, true},
		{"one run against a kept file", 10, 1, none, 0.95, 0, 1, true},
		{"one run each", 1, 1, none, 0.95, 3, 3, true},
		{"nothing at all", 0, 0, none, 0.95, 4, 4, true},
		{"a little too wide", 6, 6, Interval{1, 0.945, 1.06}, 0.95, 0, 4, true},
		{"too wide for runs of B alone", 6, 6, Interval{1, 0.9, 1.11}, 0.95, 38, 38, true},
		{"on the limit", 10, 10, Interval{0.95, 0.93, 0.97}, 0.95, 0, 0, false},
		{"near the limit", 10, 10, Interval{0.951, 0.93, 0.97}, 0.95, 0, 0, false},
	} {
		cmp := Comparison{A: Summary{N: c.nA}, B: Summary{N: c.nB}, Interval: c.interval, Alpha: Alpha(c.nA, c.nB)}
		if a, b, ok := cmp.More(c.limit); a != c.a || b != c.b || ok != c.ok {
			t.Errorf("%s: More = %d, %d, %v; want %d, %d, %v", c.name, a, b, ok, c.a, c.b, c.ok)
		}
	}
}

// Runs in the number that More asked for decide most of the open cases.
func TestMoreIsEnough(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	asked, decided := 0, 0
	for range 300 {
		a, b := runs(rng, 6, 1000, 0.03), runs(rng, 6, 1000, 0.03)
		c := Compare(a, b)
		moreA, moreB, ok := c.More(0.95)
		if !ok || moreA+moreB == 0 {
			continue
		}
		asked++
		a, b = append(a, runs(rng, moreA, 1000, 0.03)...), append(b, runs(rng, moreB, 1000, 0.03)...)
		if Compare(a, b).Excludes(0.95) {
			decided++
		}
	}
	if asked < 20 || decided*2 < asked {
		t.Errorf("of %d open cases, the runs asked for decided %d", asked, decided)
	}
}

// The interval of counts holds the true ratio of random events as often as it
// claims to.
func TestCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	count := func(perUnit float64, units int) (n int64) {
		for range units {
			if rng.Float64() < perUnit {
				n++
			}
		}
		return n
	}
	held := 0
	const trials = 300
	for range trials {
		if !Counts(count(0.05, 2000), 2000, count(0.08, 1000), 1000, 0.01).Excludes(1.6) {
			held++
		}
	}
	if held < trials*98/100 {
		t.Errorf("held the true ratio in %d of %d trials", held, trials)
	}
	for _, c := range []struct {
		a, unitsA, b, unitsB int64
		over, under          bool // shown to be above 1.05, below it
	}{
		{0, 1000, 0, 1000, false, true},
		{0, 1000, 200, 1000, true, false},
		{200, 1000, 0, 1000, false, true},
		{36, 640, 40, 640, false, false},
		{36, 640, 300, 640, true, false},
		{10000, 5000, 10000, 5000, false, true},
		{1, 0, 1, 10, false, false},
	} {
		i := Counts(c.a, c.unitsA, c.b, c.unitsB, 0.01)
		if over, under := i.Lo > 1.05, i.Hi < 1.05; over != c.over || under != c.under {
			t.Errorf("%+v: %+v", c, i)
		}
	}
}
