package report

import (
	"fmt"
	"math"

	"postrider/bench/stat"
)

// ratios holds the first target against another, a row for each figure.
type ratios struct {
	First, Other             string
	FirstColour, OtherColour int
	Rows                     []ratioLine
	Ticks                    []tick
	W                        float64
}

// ratioLine is a figure, with a dot and whiskers on a scale on which twice and
// half are equally far from 1.
type ratioLine struct {
	Figure, First, Other  string
	Ratio, Range, Verdict string
	P                     string
	Good, Bad             bool // for the first
	Dot, From, To         float64
	HasRange              bool
}

const ratioWidth, ratioMargin = 220.0, 14.0

func newRatios(first, other *target) ratios {
	r := ratios{First: first.Name, Other: other.Name, FirstColour: first.Colour, OtherColour: other.Colour, W: ratioWidth}
	list := compare(first, other)
	far := math.Log(1.25)
	for _, c := range list {
		for _, v := range []float64{c.shown().Ratio, c.shown().Lo, c.shown().Hi} {
			if v > 0 && !math.IsInf(v, 1) {
				far = max(far, math.Abs(math.Log(v)))
			}
		}
	}
	far *= 1.05
	place := func(v float64) float64 {
		x := math.Log(v) / far
		return ratioWidth/2 + max(-1, min(1, x))*(ratioWidth/2-ratioMargin)
	}
	for _, c := range list {
		r.Rows = append(r.Rows, c.line(place))
	}
	step := math.Exp(far) // about one label on each side of 1
	for _, s := range []float64{1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000} {
		if s <= math.Exp(far) {
			step = s
		}
	}
	r.Ticks = []tick{{place(1 / step), "÷" + plain(step)}, {place(1), "1"}, {place(step), "×" + plain(step)}}
	return r
}

// shown returns the interval that is shown: that of pairs, and where they are too
// few, that of all runs against all.
func (c *against) shown() stat.Interval {
	if c.Counted || c.Pair.Bounded() || math.IsNaN(c.Interval.Ratio) {
		return c.Pair
	}
	return c.Interval
}

func (c *against) line(place func(float64) float64) ratioLine {
	i := c.shown()
	l := ratioLine{
		Figure: c.Figure.Title, First: inUnit(c.B.Median, c.Figure.Unit), Other: inUnit(c.A.Median, c.Figure.Unit),
		Ratio: ratio(i.Ratio), P: c.Comparison.String(), Dot: place(i.Ratio),
	}
	if i.Bounded() {
		l.HasRange, l.From, l.To = true, place(i.Lo), place(i.Hi)
		l.Range = fmt.Sprintf("%s – %s", ratio(i.Lo), ratio(i.Hi))
	}
	differ := c.Differ()
	if c.Counted {
		differ, l.P = i.Bounded() && i.Excludes(1), "by audits"
	}
	switch {
	case differ && (!i.Bounded() || i.Excludes(1)):
		l.Good = (i.Ratio > 1) == c.Figure.Higher
		l.Bad = !l.Good
		l.Verdict = "worse"
		if l.Good {
			l.Verdict = "better"
		}
	default:
		l.Verdict = "no difference shown"
		if a, b, ok := c.More(1); ok && a+b > 0 && !c.Interval.Bounded() && !c.Counted {
			l.Verdict = fmt.Sprintf("%d more runs of each needed", max(a, b))
		}
	}
	return l
}
