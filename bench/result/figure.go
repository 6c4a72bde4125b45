package result

// Figure is one of the numbers that runs are held against each other by.
type Figure struct {
	Key    string // of flags and benchmark lines: "messages/cpu-s"
	Title  string // of a table's column
	Unit   Unit
	Higher bool // more is better
	// Audited says that it comes of audits, which runs may share.
	Audited bool
	// Of returns the figure of a run, and whether the run measured it.
	Of func(*Run) (value float64, measured bool)
}

// Unit says how a number is to be written.
type Unit string

// The units.
const (
	PerSecond Unit = "/s"
	Micros    Unit = "us"
	Bytes     Unit = "B"
	Plain     Unit = ""
)

// Figures returns those of the headline, in the order of its columns.
func Figures() []Figure {
	return []Figure{
		{"messages/s", "accepted/s", PerSecond, true, false, func(r *Run) (float64, bool) {
			return r.Load.AcceptRate, r.Load.Messages > 0
		}},
		{"delivered/s", "delivered/s", PerSecond, true, false, func(r *Run) (float64, bool) {
			return r.Load.DeliveredRate, r.Load.DeliveredRate > 0
		}},
		{"messages/cpu-s", "messages/CPU-s", PerSecond, true, false, func(r *Run) (float64, bool) {
			return r.Cost.MessagesPerCPUSecond, r.Cost.By != "" && r.Cost.MessagesPerCPUSecond > 0
		}},
		{"accept-p99-us", "accept p99", Micros, false, false, func(r *Run) (float64, bool) {
			return float64(r.Load.Response.P99), r.Load.Response.Count > 0
		}},
		{"e2e-p99-us", "e2e p99", Micros, false, false, func(r *Run) (float64, bool) {
			return float64(r.Load.EndToEnd.P99), r.Load.EndToEnd.Count > 0
		}},
		{"syncs/message", "syncs/message", Plain, false, true, func(r *Run) (float64, bool) {
			return r.Cost.SyncsPerMessage, r.Cost.SyncsBy != ""
		}},
		{"rss-peak-bytes", "RSS peak", Bytes, false, false, func(r *Run) (float64, bool) {
			return float64(r.Cost.RSSPeakBytes), r.Cost.RSSPeakBytes > 0
		}},
		{"written/byte", "written/byte", Plain, false, false, func(r *Run) (float64, bool) {
			return r.Cost.WrittenPerByte, r.Cost.By != "" && r.Cost.WrittenPerByte > 0
		}},
	}
}

// FigureOf returns the figure of that key.
func FigureOf(key string) (Figure, bool) {
	for _, f := range Figures() {
		if f.Key == key {
			return f, true
		}
	}
	return Figure{}, false
}
