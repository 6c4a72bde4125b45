package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The plots are geometry: numbers and labels that a template makes SVG of. So no
// text from outside ever becomes markup.

// The frame of a plot, in units of its view box.
const (
	plotWidth  = 460.0
	plotHeight = 230.0
	plotTop    = 14.0
	plotRight  = 14.0
	plotBottom = 24.0
	charWidth  = 6.4 // of a tick's label
)

// tick is a labelled place on an axis.
type tick struct {
	At    float64 // first in the axis's own numbers, then in the view box
	Label string
}

// axis maps numbers to places.
type axis struct {
	lo, hi   float64 // of the numbers
	from, to float64 // in the view box
	log      bool
	Ticks    []tick
}

func (a *axis) at(v float64) float64 {
	lo, hi := a.lo, a.hi
	if a.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(max(v, lo))
	}
	if hi == lo {
		return a.from
	}
	return a.from + (v-lo)/(hi-lo)*(a.to-a.from)
}

// place moves the ticks into the view box.
func (a *axis) place() {
	for i := range a.Ticks {
		a.Ticks[i].At = a.at(a.Ticks[i].At)
	}
}

// steps of scales: of counts, and of seconds.
func decimalSteps(power float64) []float64 { return []float64{power, 2 * power, 5 * power} }

// linearAxis begins at 0, ends at a round number not below top, and has about n
// ticks.
func linearAxis(top float64, n int, label func(float64) string) axis {
	if top <= 0 || math.IsInf(top, 0) || math.IsNaN(top) {
		top = 1
	}
	step := niceStep(top/float64(n), decimalSteps)
	a := axis{hi: math.Ceil(top/step-1e-9) * step}
	for i := 0; float64(i)*step <= a.hi*(1+1e-9); i++ {
		v := float64(i) * step
		a.Ticks = append(a.Ticks, tick{v, label(v)})
	}
	return a
}

// niceStep returns the smallest round step of at least least.
func niceStep(least float64, of func(power float64) []float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for {
		for _, s := range of(power) {
			if s >= least*(1-1e-9) {
				return s
			}
		}
		power *= 10
	}
}

// timeAxis is of seconds.
func timeAxis(end float64) axis {
	a := axis{hi: end}
	unit, name := 1.0, "s"
	if end > 300 {
		unit, name = 60, "min"
	}
	if end > 4*3600 {
		unit, name = 3600, "h"
	}
	step := niceStep(end/unit/6, func(p float64) []float64 { return []float64{p, 2 * p, 5 * p} })
	for v := 0.0; v <= end/unit*(1+1e-9); v += step {
		label := plain(v) + " " + name
		if v == 0 {
			label = "0"
		}
		a.Ticks = append(a.Ticks, tick{v * unit, label})
	}
	return a
}

// plain writes the round number of a tick.
func plain(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}

// tickCount writes a round count.
func tickCount(v float64) string {
	switch {
	case v >= 1e6:
		return plain(v/1e6) + "M"
	case v >= 1e4:
		return plain(v/1e3) + "k"
	case v >= 1e3:
		return whole(int64(v))
	default:
		return plain(v)
	}
}

// tickDuration writes round microseconds.
func tickDuration(us float64) string {
	switch {
	case us >= 1e6:
		return plain(us/1e6) + " s"
	case us >= 1e3:
		return plain(us/1e3) + " ms"
	default:
		return plain(us) + " µs"
	}
}

// maxMicros bounds an axis of durations: eleven days.
const maxMicros = 1e12

// logAxis goes from a round number below lo to one above hi, in steps of 1, 2, 5.
// Those of 2 and 5 are labelled only where that leaves few.
func logAxis(lo, hi float64, label func(float64) string) axis {
	lo, hi = max(1, min(lo, maxMicros)), min(hi, maxMicros)
	hi = max(hi, lo)
	rounds := []float64{}
	for p := math.Pow(10, math.Floor(math.Log10(lo))); p < hi*10; p *= 10 {
		rounds = append(rounds, decimalSteps(p)...)
	}
	first, last := 0, len(rounds)-1
	for first+1 < len(rounds) && rounds[first+1] <= lo {
		first++
	}
	for last > first+1 && rounds[last-1] >= hi {
		last--
	}
	a := axis{lo: rounds[first], hi: rounds[last], log: true}
	for i := first; i <= last; i++ {
		t := tick{At: rounds[i]}
		if i%3 == 0 || last-first <= 6 {
			t.Label = label(rounds[i])
		}
		a.Ticks = append(a.Ticks, t)
	}
	return a
}

// path draws a line through points.
func path(x, y []float64) string {
	var b strings.Builder
	pen := byte('M')
	for i := range x {
		if math.IsNaN(y[i]) {
			pen = 'M'
			continue
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", pen, x[i], y[i])
		pen = 'L'
	}
	return b.String()
}

// area fills what lies between two lines.
func area(x, lo, hi []float64) string {
	if len(x) == 0 {
		return ""
	}
	back, under := slices.Clone(x), slices.Clone(lo)
	slices.Reverse(back)
	slices.Reverse(under)
	return path(append(slices.Clone(x), back...), append(slices.Clone(hi), under...)) + "Z"
}
