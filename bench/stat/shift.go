package stat

import (
	"math"
	"slices"
)

// exactBits bounds the number of orders of two samples, as a power of two, up to
// which the distribution of U is counted out, in the whole numbers that a
// float64 holds. With more orders the normal distribution is as good.
const exactBits = 50

// shift returns the ratio of b over a by Hodges and Lehmann, the median of the
// ratios of all pairs, with the interval that belongs to the test of Mann and
// Whitney: the ratios left when those are cut off at both ends that the test
// rejects at alpha.
func shift(a, b []float64, alpha float64) Interval {
	if len(a) == 0 || len(b) == 0 {
		return Interval{Ratio: math.NaN(), Hi: math.Inf(1)}
	}
	logs := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			logs = append(logs, logRatio(x, y))
		}
	}
	slices.Sort(logs)
	i := Interval{Ratio: math.Exp(middle(logs)), Hi: math.Inf(1)}
	if cut := rejected(len(a), len(b), alpha); cut > 0 {
		i.Lo, i.Hi = math.Exp(logs[cut-1]), math.Exp(logs[len(logs)-cut])
	}
	return i
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	lo, hi := sorted[(n-1)/2], sorted[n/2]
	if lo == hi { // infinities too
		return lo
	}
	return lo/2 + hi/2
}

// rejected returns how many of the values 0, 1, ... of U together have a
// chance of at most alpha/2.
func rejected(nA, nB int, alpha float64) int {
	m, n := float64(nA), float64(nB)
	if orders := lgamma(m+n+1) - lgamma(m+1) - lgamma(n+1); orders > exactBits*math.Ln2 {
		return max(0, int(m*n/2-quantile(alpha)*math.Sqrt(m*n*(m+n+1)/12)))
	}
	sum := 0.0
	for u, p := range distribution(nA, nB) {
		if sum += p; sum > alpha/2 {
			return u
		}
	}
	return nA * nB // not reached: the chances sum up to 1
}

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

// distribution returns the chance of each value of U, the number of pairs in
// which B is smaller: the coefficients of the Gaussian binomial, which is the
// product of (1-q^(nA+i))/(1-q^i) for i from 1 to nB.
func distribution(nA, nB int) []float64 {
	p := make([]float64, nA*nB+1)
	p[0] = 1
	for i := 1; i <= nB; i++ {
		for u := len(p) - 1; u >= nA+i; u-- {
			p[u] -= p[u-nA-i]
		}
		for u := i; u < len(p); u++ {
			p[u] += p[u-i]
		}
	}
	total := 0.0
	for _, n := range p {
		total += n
	}
	for u := range p {
		p[u] /= total
	}
	return p
}

// quantile returns how many standard deviations a normal value must be away
// for a chance of alpha, both sides together.
func quantile(alpha float64) float64 { return math.Sqrt2 * math.Erfinv(1-alpha) }

// MaxRuns is how far More looks.
const MaxRuns = 100

// More estimates how many more runs of A and of B it takes until the interval
// excludes limit, if centre and spread stay what they are: of B alone, as A is
// often a file that was kept, unless fewer in all do when A gets some too. Both
// are 0 when the limit is excluded already; ok is false when MaxRuns of both
// would not do: the ratio is too near to the limit to tell.
func (c Comparison) More(limit float64) (a, b int, ok bool) {
	if c.Bounded() && c.Excludes(limit) {
		return 0, 0, true
	}
	nA, nB := c.A.N, c.B.N
	for n := 1; n <= MaxRuns && !ok; n++ {
		if c.wouldExclude(limit, max(n, nA), max(n, nB)) {
			a, b, ok = max(0, n-nA), max(0, n-nB), true
		}
	}
	for n := nB + 1; nA > 0 && n <= MaxRuns; n++ {
		if ok && n-nB > a+b {
			break
		}
		if c.wouldExclude(limit, nA, n) {
			return 0, n - nB, true
		}
	}
	return a, b, ok
}

// wouldExclude scales the width of the interval by the root of the sizes and by
// the level that they are judged at.
func (c Comparison) wouldExclude(limit float64, nA, nB int) bool {
	alpha := Alpha(nA, nB)
	if rejected(nA, nB, alpha) == 0 {
		return false
	}
	if !c.Bounded() {
		return true // enough for an interval; how wide it is, that shows
	}
	width := math.Log(c.Hi / c.Ratio)
	if limit < c.Ratio {
		width = math.Log(c.Ratio / c.Lo)
	}
	inverse := func(x, y int) float64 { return 1/float64(x) + 1/float64(y) }
	width *= math.Sqrt(inverse(nA, nB)/inverse(c.A.N, c.B.N)) * quantile(alpha) / quantile(c.Alpha)
	return width < math.Abs(math.Log(limit/c.Ratio))
}
