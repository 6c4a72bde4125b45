package report

import (
	"math"
	"slices"

	"postrider/bench/result"
)

// maxPoints is of a line in time; longer runs are averaged down to it.
const maxPoints = 160

// series is a line of a plot: the median of the runs of a target, and their range.
type series struct {
	Name        string // of the target
	Kind        string // what of it is plotted, "" where the title says so
	Colour      int
	Dashed      bool
	X           []float64
	Mid, Lo, Hi []float64
}

// gauge reads a value of an interval that took seconds; false: not measured.
type gauge func(iv *result.Interval, seconds float64) (value float64, ok bool)

// rate returns the gauge of a count.
func rate(of func(*result.Interval) int64) gauge {
	return func(iv *result.Interval, seconds float64) (float64, bool) { return float64(of(iv)) / seconds, true }
}

// slot returns the width of the slots that time is cut into for these runs, and
// the end of the longest. It is that of the usual interval, not of the mean: the
// last is cut short, and slots a bit too narrow would leave some empty.
func slot(runs []*result.Run, points int) (width, end float64) {
	var lengths []float64
	for _, r := range runs {
		before := 0.0
		for i := range r.Intervals {
			lengths = append(lengths, r.Intervals[i].At-before)
			before = r.Intervals[i].At
		}
		end = max(end, before)
	}
	if end <= 0 {
		return 0, 0
	}
	slices.Sort(lengths)
	return max(lengths[len(lengths)/2], end/float64(points)), end
}

// slots averages a gauge of one run over slots of time, NaN where there is none.
func slots(r *result.Run, width, end float64, g gauge) []float64 {
	n := int(end/width) + 1
	sums, weights := make([]float64, n), make([]float64, n)
	before := 0.0
	for i := range r.Intervals {
		iv := &r.Intervals[i]
		seconds := iv.At - before
		if seconds <= 0 {
			continue
		}
		at := min(n-1, int((before+seconds/2)/width))
		before = iv.At
		if v, ok := g(iv, seconds); ok {
			sums[at] += v * seconds
			weights[at] += seconds
		}
	}
	for i := range sums {
		sums[i] /= weights[i] // 0/0 is the NaN that is meant
	}
	return sums
}

// overTime returns the line of a gauge for a target, false when there is nothing
// to draw.
func (t *target) overTime(width, end float64, g gauge) (series, bool) {
	s := series{Name: t.Name, Colour: t.Colour}
	var runs [][]float64
	for _, r := range t.Runs {
		if len(r.Intervals) > 0 {
			runs = append(runs, slots(r, width, end, g))
		}
	}
	if len(runs) == 0 {
		return s, false
	}
	for i := range runs[0] {
		var values []float64
		for _, r := range runs {
			if !math.IsNaN(r[i]) {
				values = append(values, r[i])
			}
		}
		if 2*len(values) >= len(runs) && len(values) > 0 {
			s.add((float64(i)+0.5)*width, values)
		}
	}
	return s, len(s.X) > 1 && slices.Max(s.Hi) > 0
}

func (s *series) add(x float64, values []float64) {
	slices.Sort(values)
	s.X = append(s.X, x)
	s.Mid = append(s.Mid, middle(values))
	s.Lo = append(s.Lo, values[0])
	s.Hi = append(s.Hi, values[len(values)-1])
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	return sorted[(n-1)/2]/2 + sorted[n/2]/2
}

// curve returns the line of a latency by percentile, with 1/(1-p) as its x, up to
// the percentile that the fewest messages still show.
func (t *target) curve(of func(*result.Run) *result.Latency) (series, bool) {
	s := series{Name: t.Name, Colour: t.Colour}
	percentiles := result.Percentiles()
	least := int64(math.MaxInt64)
	var runs [][]int64
	for _, r := range t.Runs {
		if l := of(r); l.Count > 0 && len(l.Curve) == len(percentiles) {
			runs = append(runs, l.Curve)
			least = min(least, l.Count)
		}
	}
	if len(runs) == 0 {
		return s, false
	}
	for i, p := range percentiles {
		x := 1 / (1 - p/100)
		if p == 100 {
			x = float64(least)
		}
		if n := len(s.X); x > float64(least) || n > 0 && x <= s.X[n-1] {
			continue
		}
		var values []float64
		for _, c := range runs {
			values = append(values, float64(c[i]))
		}
		s.add(x, values)
	}
	return s, len(s.X) > 1
}

// phase is a stretch of a run.
type phase struct {
	Name     string
	From, To float64
}

// phases returns those of a run.
func phases(r *result.Run) (list []phase) {
	before := 0.0
	for _, iv := range r.Intervals {
		if n := len(list); n > 0 && list[n-1].Name == iv.Phase {
			list[n-1].To = iv.At
		} else {
			list = append(list, phase{iv.Phase, before, iv.At})
		}
		before = iv.At
	}
	return list
}
