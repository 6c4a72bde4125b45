package stat

import "math"

// Counts returns the ratio of two rates that were counted once each, events of so
// many units, with its interval at alpha. Counted events scatter by the root of
// their number when nothing orders them, and by less when something does, so the
// interval is rather too wide. It is for what is too costly to count in every run.
func Counts(eventsA, unitsA, eventsB, unitsB int64, alpha float64) Interval {
	switch {
	case unitsA <= 0 || unitsB <= 0:
		return Interval{Ratio: math.NaN(), Hi: math.Inf(1)}
	case eventsA == 0 && eventsB == 0:
		return Interval{Ratio: 1, Lo: 1, Hi: 1}
	}
	a, b := float64(eventsA)+0.5, float64(eventsB)+0.5 // so that none is no infinity
	ratio := b / float64(unitsB) / (a / float64(unitsA))
	width := quantile(alpha) * math.Sqrt(1/a+1/b)
	return Interval{Ratio: ratio, Lo: ratio * math.Exp(-width), Hi: ratio * math.Exp(width)}
}
