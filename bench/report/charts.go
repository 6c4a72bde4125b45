package report

import (
	"fmt"
	"math"
	"strings"

	"postrider/bench/result"
)

// plotted is a gauge with its name in the legend.
type plotted struct {
	name   string
	of     gauge
	dashed bool
}

// timeChart plots gauges of targets over time; nil: nothing measured. Several
// gauges that are not dashed are only for one target.
func timeChart(title, yTitle string, targets []target, scale func(top, bottom float64) axis, gauges ...plotted) *chart {
	var runs []*result.Run
	for _, t := range targets {
		runs = append(runs, t.Runs...)
	}
	width, end := slot(runs, maxPoints)
	if width == 0 {
		return nil
	}
	solid := 0
	for _, g := range gauges {
		if !g.dashed {
			solid++
		}
	}
	var list []series
	for i := range targets {
		for n, g := range gauges {
			s, ok := targets[i].overTime(width, end, g.of)
			if !ok {
				continue
			}
			s.Dashed = g.dashed
			if len(gauges) > 1 {
				s.Kind = g.name
			}
			if solid > 1 { // of one run: colours tell the gauges
				s.Name, s.Kind, s.Colour = g.name, "", (targets[i].Colour+n)%palette
			}
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil
	}
	c, x, y := frame(title, yTitle, timeAxis(end), scale(top(list), bottom(list)))
	c.shadePhases(phases(runs[0]), x)
	c.draw(list, x, y)
	return c
}

func countScale(top, _ float64) axis { return linearAxis(top, 4, tickCount) }
func byteScale(top, _ float64) axis  { return byteAxis(top) }
func durationScale(top, bottom float64) axis {
	return logAxis(bottom, top, tickDuration)
}

// charts returns the plots of targets, all in each.
func charts(targets []target) (list []*chart) {
	response := func(iv *result.Interval) *result.Latency { return &iv.Response }
	endToEnd := func(iv *result.Interval) *result.Latency { return &iv.EndToEnd }
	for _, c := range []*chart{
		timeChart("Messages accepted and duties delivered", "per second", targets, countScale,
			plotted{"accepted", rate(func(iv *result.Interval) int64 { return iv.Accepted }), false},
			plotted{"delivered", rate(func(iv *result.Interval) int64 { return iv.Delivered }), true}),
		timeChart("Accepted and not yet delivered", "duties", targets, countScale,
			plotted{"queued", func(iv *result.Interval, _ float64) (float64, bool) { return float64(iv.Queued), true }, false}),
		timeChart("Acceptance over time", "latency", targets, durationScale, percentilesOf(response)...),
		timeChart("End to end over time", "latency", targets, durationScale, percentilesOf(endToEnd)...),
		latencyCurve("Acceptance by percentile", targets, func(r *result.Run) *result.Latency { return &r.Load.Response }),
		latencyCurve("End to end by percentile", targets, func(r *result.Run) *result.Latency { return &r.Load.EndToEnd }),
		timeChart("CPU of the server", "cores", targets, countScale,
			plotted{"cpu", func(iv *result.Interval, _ float64) (float64, bool) { return iv.CPU, true }, false}),
		timeChart("Resident memory of the server", "", targets, byteScale,
			plotted{"rss", func(iv *result.Interval, _ float64) (float64, bool) { return float64(iv.RSSBytes), iv.RSSBytes > 0 }, false}),
	} {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// percentilesOf returns the gauges of a latency.
func percentilesOf(of func(*result.Interval) *result.Latency) []plotted {
	return []plotted{
		{"p99", func(iv *result.Interval, _ float64) (float64, bool) { return float64(of(iv).P99), of(iv).Count > 0 }, false},
		{"p50", func(iv *result.Interval, _ float64) (float64, bool) { return float64(of(iv).P50), of(iv).Count > 0 }, true},
	}
}

// runChart plots what one run sent, had accepted and delivered.
func runChart(t *target, r *result.Run) *chart {
	one := []target{{Name: t.Name, Colour: t.Colour, Info: t.Info, Runs: []*result.Run{r}}}
	return timeChart("Sent, accepted, delivered", "per second", one, countScale,
		plotted{"sent", rate(func(iv *result.Interval) int64 { return iv.Sent }), false},
		plotted{"accepted", rate(func(iv *result.Interval) int64 { return iv.Accepted }), false},
		plotted{"delivered", rate(func(iv *result.Interval) int64 { return iv.Delivered }), false})
}

// heatLevels is the number of shades, and heatColumns of the slots of time. The
// shade grows with a power of the count below 1, so that the few slow responses,
// which one looks for, are seen beside the many usual ones.
const (
	heatLevels  = 8
	heatColumns = 60
	heatPower   = 0.4
)

// heatMap plots how many responses of the runs took how long, over time; nil when
// none were counted.
func heatMap(title string, colour int, runs []*result.Run) *chart {
	width, end := slot(runs, heatColumns)
	if width == 0 {
		return nil
	}
	bounds := result.HeatBounds()
	cells := heatCells(runs, width, end)
	low, high, most := heatRange(cells)
	if most == 0 {
		return nil
	}
	low, high = max(0, low-1), min(len(bounds), high+1)
	y := axis{lo: heatEdge(low - 1), hi: heatEdge(high), log: true}
	every := 1 + (high-low)/8
	for i := low; i < high; i++ {
		if power := math.Log10(float64(bounds[i])); every == 1 || power == math.Trunc(power) {
			y.Ticks = append(y.Ticks, tick{float64(bounds[i]), tickDuration(float64(bounds[i]))})
		}
	}
	c, ax, ay := frame(title, "latency", timeAxis(end), y)
	c.Note = fmt.Sprintf("up to %s responses in a cell of %s", whole(most), strings.ReplaceAll(seconds(width), " ", "\u00a0"))
	levels := make([]string, heatLevels)
	for i, row := range cells {
		x0, x1 := ax.at(float64(i)*width), ax.at(min(end, float64(i+1)*width))
		for j, n := range row {
			if n == 0 {
				continue
			}
			y0, y1 := ay.at(heatEdge(j-1)), ay.at(heatEdge(j))
			level := min(heatLevels-1, int(math.Pow(float64(n)/float64(most), heatPower)*heatLevels))
			levels[level] += fmt.Sprintf("M%.1f %.1fH%.1fV%.1fH%.1fZ", x0, y0, x1, y1, x0)
		}
	}
	for i, d := range levels {
		c.Heat = append(c.Heat, shape{D: d, Colour: i})
	}
	c.Legend = []legend{{title, colour, false}}
	return c
}

// seconds writes the width of a slot.
func seconds(v float64) string {
	if math.Abs(v-math.Round(v)) < 0.05 && v > 0.5 {
		return plain(math.Round(v)) + " s"
	}
	return duration(v * 1e6)
}

// heatEdge returns the upper bound of a cell; below the first and above the last
// bound the cells are as high as those beside them.
func heatEdge(i int) float64 {
	b := result.HeatBounds()
	switch {
	case i < 0:
		return float64(b[0]) / 2
	case i >= len(b):
		return float64(b[len(b)-1]) * 2
	default:
		return float64(b[i])
	}
}

// heatCells sums the runs up, by slot of time and by latency.
func heatCells(runs []*result.Run, width, end float64) [][]int64 {
	size := len(result.HeatBounds()) + 1
	cells := make([][]int64, int(end/width)+1)
	for i := range cells {
		cells[i] = make([]int64, size)
	}
	for _, r := range runs {
		before := 0.0
		for _, iv := range r.Intervals {
			at := min(len(cells)-1, max(0, int((before+iv.At)/2/width)))
			before = iv.At
			for j, n := range iv.Heat[:min(size, len(iv.Heat))] {
				cells[at][j] += n
			}
		}
	}
	return cells
}

// heatRange returns the cells of latency that are used, and the highest count.
func heatRange(cells [][]int64) (low, high int, most int64) {
	low = len(result.HeatBounds())
	for _, row := range cells {
		for j, n := range row {
			if n > 0 {
				low, high, most = min(low, j), max(high, j), max(most, n)
			}
		}
	}
	return low, high, most
}
