package report

import (
	"math"
	"slices"
	"strings"
	"testing"

	"postrider/bench/result"
)

func labels(a axis) string {
	var list []string
	for _, t := range a.Ticks {
		if t.Label != "" {
			list = append(list, t.Label)
		}
	}
	return strings.Join(list, " | ")
}

func TestAxes(t *testing.T) {
	for _, c := range []struct {
		name string
		a    axis
		want string
		hi   float64
	}{
		{"rates", linearAxis(14_300, 4, tickCount), "0 | 5,000 | 10k | 15k", 15_000},
		{"cores", linearAxis(0.37, 4, tickCount), "0 | 0.1 | 0.2 | 0.3 | 0.4", 0.4},
		{"a top of its own", linearAxis(1e6, 4, tickCount), "0 | 500k | 1M", 1e6},
		{"nothing", linearAxis(0, 4, tickCount), "0 | 0.5 | 1", 1},
		{"no number", linearAxis(math.NaN(), 4, tickCount), "0 | 0.5 | 1", 1},
		{"half a minute", timeAxis(38), "0 | 10 s | 20 s | 30 s", 38},
		{"ten minutes", timeAxis(600), "0 | 2 min | 4 min | 6 min | 8 min | 10 min", 600},
		{"a day", timeAxis(86400), "0 | 5 h | 10 h | 15 h | 20 h", 86400},
		{"a decade", logAxis(1100, 9000, tickDuration), "1 ms | 2 ms | 5 ms | 10 ms", 10_000},
		{"many decades", logAxis(130, 4e6, tickDuration), "100 µs | 1 ms | 10 ms | 100 ms | 1 s", 5e6},
		{"one value", logAxis(1000, 1000, tickDuration), "1 ms | 2 ms", 2000},
		{"no latency", logAxis(math.Inf(1), 0, tickDuration), "1000000 s | 2000000 s", 2e12},
		{"memory", byteAxis(245 << 20), "0 | 100 MiB | 200 MiB | 300 MiB", 300 << 20},
		{"much memory", byteAxis(5 << 30), "0 | 2 GiB | 4 GiB | 6 GiB", 6 << 30},
		{"percentiles", percentileAxis(30_000), "50% | 90% | 99% | 99.9% | 99.99%", 30_000},
	} {
		if got := labels(c.a); got != c.want || math.Abs(c.a.hi-c.hi) > c.hi*1e-9 {
			t.Errorf("%s: %q up to %v, want %q up to %v", c.name, got, c.a.hi, c.want, c.hi)
		}
	}
}

// Each number has its place, and the ends of an axis are the ends of the frame.
func TestAxisPlaces(t *testing.T) {
	a := axis{lo: 1, hi: 1000, from: 100, to: 400, log: true}
	for v, want := range map[float64]float64{1: 100, 10: 200, 100: 300, 1000: 400, 0: 100} {
		if got := a.at(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v is at %v, want %v", v, got, want)
		}
	}
	b := axis{hi: 10, from: 200, to: 20}
	if b.at(0) != 200 || b.at(10) != 20 || b.at(5) != 110 {
		t.Errorf("%v %v %v", b.at(0), b.at(10), b.at(5))
	}
}

func TestPaths(t *testing.T) {
	if got := path([]float64{0, 1, 2, 3}, []float64{5, math.NaN(), 6, 7}); got != "M0.0 5.0M2.0 6.0L3.0 7.0" {
		t.Errorf("a path with a gap: %q", got)
	}
	if got := area([]float64{0, 1}, []float64{1, 2}, []float64{3, 4}); got != "M0.0 3.0L1.0 4.0L1.0 2.0L0.0 1.0Z" {
		t.Errorf("an area: %q", got)
	}
}

// The line is the median of the runs at each time, the range is theirs, and
// rates are by the time that an interval really took.
func TestOverTime(t *testing.T) {
	var x target
	for _, accepted := range []int64{90, 100, 140} {
		r := &result.Run{}
		for i := range 4 {
			r.Intervals = append(r.Intervals, result.Interval{At: 0.5 * float64(i+1), Accepted: accepted})
		}
		x.Runs = append(x.Runs, r)
	}
	x.Runs[2].Intervals = append(x.Runs[2].Intervals, result.Interval{At: 2.5, Accepted: 7}) // a longer drain of one run
	width, end := slot(x.Runs, maxPoints)
	s, ok := x.overTime(width, end, rate(func(iv *result.Interval) int64 { return iv.Accepted }))
	if !ok || width != 0.5 || end != 2.5 {
		t.Fatalf("%v, slots of %v up to %v", ok, width, end)
	}
	if !slices.Equal(s.X, []float64{0.25, 0.75, 1.25, 1.75}) || s.Mid[0] != 200 || s.Lo[3] != 180 || s.Hi[3] != 280 {
		t.Errorf("%+v", s)
	}
	width, end = slot(x.Runs, 2)
	if s, _ = x.overTime(width, end, rate(func(iv *result.Interval) int64 { return iv.Accepted })); len(s.X) != 2 || s.Mid[0] != 200 {
		t.Errorf("averaged down to slots of %v: %+v", width, s)
	}
}

// Every response is in the heat map, whatever the number of its columns.
func TestHeatCells(t *testing.T) {
	f := fixture(2, postriderLike())
	var runs []*result.Run
	want := int64(0)
	for i := range f.Runs {
		runs = append(runs, &f.Runs[i])
		for _, iv := range f.Runs[i].Intervals {
			for _, n := range iv.Heat {
				want += n
			}
		}
	}
	for _, columns := range []int{1, 7, heatColumns, 1000} {
		width, end := slot(runs, columns)
		got := int64(0)
		for _, row := range heatCells(runs, width, end) {
			for _, n := range row {
				got += n
			}
		}
		if got != want {
			t.Errorf("%d columns have %d responses of %d", columns, got, want)
		}
	}
	// A file of another build may have more or fewer cells.
	runs[0].Intervals[0].Heat = append(slices.Clone(runs[0].Intervals[0].Heat), 1, 2, 3)
	runs[0].Intervals[1].Heat = nil
	if heatMap("x", 0, runs) == nil {
		t.Error("no heat map")
	}
}

// A last interval that is cut short leaves no gap among the whole ones.
func TestNoGaps(t *testing.T) {
	r := result.Run{}
	for i := range 8 {
		r.Intervals = append(r.Intervals, result.Interval{At: float64(i+1) + 0.004*float64(i%2), Heat: []int64{1, 2}})
	}
	r.Intervals = append(r.Intervals, result.Interval{At: 8.03, Heat: []int64{1}})
	width, end := slot([]*result.Run{&r}, heatColumns)
	for i, row := range heatCells([]*result.Run{&r}, width, end)[:8] {
		if row[0]+row[1] == 0 {
			t.Errorf("slots of %.3f s: number %d is empty", width, i)
		}
	}
}
