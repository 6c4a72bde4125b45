// Package stat says how sure one may be of a difference between two servers, or
// between two versions of one.
//
// Nothing is assumed about how the figures of repeated runs are distributed:
// the centre is the median, its interval comes from the order of the values,
// two samples are held against each other by the test of Mann and Whitney, and
// the interval of their ratio is that test turned round: it has the ratios
// that the test would not reject. So a ratio lies outside the interval exactly
// when the test says so, and more runs make the interval narrower, never the
// other way. Too few runs have no interval: its ends are then 0 and infinity.
//
// Ratios are of B over A. They are taken on the logarithm, so that 2 and 0.5 are
// equally far from 1; of two zeros the ratio is 1.
//
// # Concurrency
//
// Functions of their arguments, which they leave as they are.
package stat

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// Confidence is that of the intervals around a median.
const Confidence = 0.95

// Summary is the median of a sample.
type Summary struct {
	N              int
	Median, Lo, Hi float64
	// Confidence is the real one of Lo and Hi, at least the one asked for.
	Confidence float64
}

// Bounded reports whether there were enough values for an interval.
func (s Summary) Bounded() bool { return !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0) && s.N > 0 }

// Summarize returns the median of values and its interval, which six values are
// needed for.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{Lo: math.Inf(-1), Hi: math.Inf(1)}
	}
	s := benchmath.AssumeNothing.Summary(sample(values, 1-Confidence), Confidence)
	if len(values) == 1 {
		s.Lo, s.Hi = math.Inf(-1), math.Inf(1)
	}
	return Summary{N: len(values), Median: s.Center, Lo: s.Lo, Hi: s.Hi, Confidence: s.Confidence}
}

// Interval is a ratio and the ends of its interval, [0, +Inf] when the runs were
// too few.
type Interval struct {
	Ratio, Lo, Hi float64
}

// Bounded reports whether there were enough values for an interval.
func (i Interval) Bounded() bool { return i.Lo > 0 && !math.IsInf(i.Hi, 1) }

// Excludes reports whether r lies outside.
func (i Interval) Excludes(r float64) bool { return r < i.Lo || r > i.Hi }

// Comparison holds two samples against each other.
type Comparison struct {
	A, B Summary
	// Interval is of B over A, at the confidence 1-Alpha.
	Interval
	// P is the chance of a difference at least as large between samples of the
	// same distribution.
	P     float64
	Alpha float64
}

// String returns "p=0.002, n=6+6".
func (c Comparison) String() string {
	p := fmt.Sprintf("p=%.3f", c.P)
	if c.P < 0.001 {
		p = "p<0.001"
	}
	return fmt.Sprintf("%s, n=%d+%d", p, c.A.N, c.B.N)
}

// Differ reports whether the samples differ significantly.
func (c Comparison) Differ() bool { return c.P < c.Alpha }

// Alpha is the level of a comparison: 0.01, and 0.05 with fewer than eight runs
// of the one or the other, where 0.01 would leave nothing to be seen.
func Alpha(nA, nB int) float64 {
	if min(nA, nB) < 8 {
		return 0.05
	}
	return 0.01
}

// Compare holds b against a at the level of Alpha.
func Compare(a, b []float64) Comparison {
	alpha := Alpha(len(a), len(b))
	c := Comparison{A: Summarize(a), B: Summarize(b), P: 1, Alpha: alpha}
	c.Interval = shift(a, b, alpha)
	if len(a) > 0 && len(b) > 0 {
		c.P = benchmath.AssumeNothing.Compare(sample(a, alpha), sample(b, alpha)).P
	}
	return c
}

// Pairs returns the median of the ratios b[i]/a[i] and its interval. Runs that
// were made next to each other share the machine's mood, which a ratio of the
// two takes out; so it is the figure for interleaved runs. What one slice has
// more of than the other is left out.
func Pairs(a, b []float64) Interval {
	n := min(len(a), len(b))
	if n == 0 {
		return Interval{Ratio: math.NaN(), Hi: math.Inf(1)}
	}
	logs := make([]float64, n)
	for i := range n {
		logs[i] = logRatio(a[i], b[i])
	}
	s := Summarize(logs)
	return Interval{Ratio: math.Exp(s.Median), Lo: math.Exp(s.Lo), Hi: math.Exp(s.Hi)}
}

// sample copies, because benchmath sorts what it is given.
func sample(values []float64, alpha float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.Thresholds{CompareAlpha: alpha})
}

// logRatio is of b over a, which are not negative.
func logRatio(a, b float64) float64 {
	if a == b {
		return 0
	}
	return math.Log(b) - math.Log(a)
}
