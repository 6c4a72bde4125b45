package report

import (
	"math"
	"slices"
	"unicode/utf8"

	"postrider/bench/result"
)

// chart is a plot, ready for the template.
type chart struct {
	Title, YTitle            string
	Note                     string // below the title
	W, H                     float64
	Left, Top, Right, Bottom float64 // of the frame
	X, Y                     []tick
	Shades                   []shade
	Bands, Lines             []shape
	Legend                   []legend
	Heat                     []shape // by level, the faintest first
}

// shape is a path of a colour.
type shape struct {
	D      string
	Colour int
	Dashed bool
	Name   string
}

// neutral is the colour of what holds for all targets.
const neutral = palette

// legend is an entry of the legend.
type legend struct {
	Name   string
	Colour int
	Dashed bool
}

// shade marks a phase of the run.
type shade struct {
	X, W  float64
	Label string // "" when it has no room
	Mid   float64
	Odd   bool // painted, so that neighbours differ
}

// frame lays out axes: the left margin has room for the widest label.
func frame(title, yTitle string, x, y axis) (*chart, *axis, *axis) {
	widest := 0
	for _, t := range y.Ticks {
		widest = max(widest, utf8.RuneCountInString(t.Label))
	}
	c := &chart{
		Title: title, YTitle: yTitle, W: plotWidth, H: plotHeight,
		Left: 12 + charWidth*float64(widest), Top: plotTop, Right: plotWidth - plotRight, Bottom: plotHeight - plotBottom,
	}
	x.from, x.to = c.Left, c.Right
	y.from, y.to = c.Bottom, c.Top
	cx, cy := x, y
	cx.Ticks, cy.Ticks = slices.Clone(x.Ticks), slices.Clone(y.Ticks)
	cx.place()
	cy.place()
	c.X, c.Y = cx.Ticks, cy.Ticks
	return c, &x, &y
}

// draw adds lines with their ranges and the legend: colours tell targets, dashes
// what is plotted of them.
func (c *chart) draw(list []series, x, y *axis) {
	project := func(a *axis, values []float64) []float64 {
		out := make([]float64, len(values))
		for i, v := range values {
			out[i] = a.at(v)
		}
		return out
	}
	for _, s := range list {
		xs := project(x, s.X)
		if !s.Dashed && !slices.Equal(s.Lo, s.Hi) {
			c.Bands = append(c.Bands, shape{D: area(xs, project(y, s.Lo), project(y, s.Hi)), Colour: s.Colour})
		}
		c.Lines = append(c.Lines, shape{D: path(xs, project(y, s.Mid)), Colour: s.Colour, Dashed: s.Dashed, Name: s.Name + " " + s.Kind})
		if l := (legend{s.Name, s.Colour, false}); s.Name != "" && !slices.Contains(c.Legend, l) {
			c.Legend = append(c.Legend, l)
		}
	}
	for _, s := range list {
		if l := (legend{s.Kind, neutral, s.Dashed}); s.Kind != "" && !slices.Contains(c.Legend, l) {
			c.Legend = append(c.Legend, l)
		}
	}
}

// shadePhases marks the phases of a run, with names where there is room.
func (c *chart) shadePhases(list []phase, x *axis) {
	if len(list) < 2 {
		return
	}
	for i, p := range list {
		s := shade{X: x.at(p.From), Label: p.Name, Odd: i%2 == 0 && p.Name != "load"}
		s.W = min(x.at(p.To), c.Right) - s.X
		s.Mid = s.X + s.W/2
		if charWidth*float64(utf8.RuneCountInString(p.Name))+6 > s.W {
			s.Label = ""
		}
		if s.W > 0 {
			c.Shades = append(c.Shades, s)
		}
	}
}

// top returns the highest value of lines.
func top(list []series) (v float64) {
	for _, s := range list {
		v = max(v, slices.Max(s.Hi))
	}
	return v
}

// bottom returns the lowest value above 0.
func bottom(list []series) float64 {
	v := math.Inf(1)
	for _, s := range list {
		for _, lo := range s.Lo {
			if lo > 0 {
				v = min(v, lo)
			}
		}
	}
	return v
}

// byteAxis is a linear axis in the binary unit that fits.
func byteAxis(top float64) axis {
	unit, name := 1.0, "B"
	for _, n := range []string{"KiB", "MiB", "GiB"} {
		if top >= 2*1024*unit {
			unit, name = unit*1024, n
		}
	}
	a := linearAxis(top/unit, 4, func(v float64) string {
		if v == 0 {
			return "0"
		}
		return plain(v) + " " + name
	})
	a.hi *= unit
	for i := range a.Ticks {
		a.Ticks[i].At *= unit
	}
	return a
}

// percentileAxis is of 1/(1-p), on the logarithm: every nine takes as much room.
func percentileAxis(hi float64) axis {
	a := axis{lo: 1, hi: max(hi, 10), log: true}
	for _, p := range []struct {
		x     float64
		label string
	}{{2, "50%"}, {10, "90%"}, {100, "99%"}, {1e3, "99.9%"}, {1e4, "99.99%"}, {1e5, "99.999%"}, {1e6, "99.9999%"}} {
		if p.x <= a.hi {
			a.Ticks = append(a.Ticks, tick{p.x, p.label})
		}
	}
	return a
}

// latencyCurve plots a latency by percentile for all targets; nil: nothing measured.
func latencyCurve(title string, targets []target, of func(*result.Run) *result.Latency) *chart {
	var list []series
	end := 0.0
	for i := range targets {
		if s, ok := targets[i].curve(of); ok {
			list = append(list, s)
			end = max(end, s.X[len(s.X)-1])
		}
	}
	if len(list) == 0 {
		return nil
	}
	c, x, y := frame(title, "latency", percentileAxis(end), logAxis(bottom(list), top(list), tickDuration))
	c.draw(list, x, y)
	return c
}

// Places that the template needs.

// PlotHeight is that of the frame.
func (c *chart) PlotHeight() float64 { return c.Bottom - c.Top }

// LabelX is where labels of the y axis end.
func (c *chart) LabelX() float64 { return c.Left - 6 }

// MarkY is the end of a mark of the x axis.
func (c *chart) MarkY() float64 { return c.Bottom + 4 }

// XLabelY is the line of the x axis's labels.
func (c *chart) XLabelY() float64 { return c.Bottom + 17 }

// PhaseY is the line of the names of phases.
func (c *chart) PhaseY() float64 { return c.Top - 4 }
