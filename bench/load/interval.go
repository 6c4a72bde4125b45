package load

import (
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/result"
)

// Interval is a tick of a run.
type Interval struct {
	At     time.Duration // its end, since the run began
	Length time.Duration
	Warm   bool // its end is not behind the warm-up
	Counts      // of this tick
	// Response and Service are the latencies in microseconds of what was accepted
	// in this tick; valid during the call.
	Response, Service *hdr.Histogram
}

// Result returns i as it is kept, without what only server and sink know.
func (i *Interval) Result() result.Interval {
	phase := "load"
	if i.Warm {
		phase = "warmup"
	}
	return result.Interval{
		At: i.At.Seconds(), Phase: phase, Sent: i.Sent, Accepted: i.Accepted, Missed: i.Missed,
		Response: Summary(i.Response), Heat: Heat(i.Response),
	}
}

// Summary returns what a result keeps of a histogram of microseconds, without
// curve and histogram.
func Summary(h *hdr.Histogram) result.Latency {
	if h.TotalCount() == 0 {
		return result.Latency{}
	}
	v := h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99, 99.9})
	return result.Latency{Count: h.TotalCount(), Mean: h.Mean(), P50: v[0], P90: v[1], P95: v[2], P99: v[3], P999: v[4], Max: h.Max()}
}

// Whole returns all that a result keeps of a histogram of microseconds.
func Whole(h *hdr.Histogram) (result.Latency, error) {
	l := Summary(h)
	if l.Count == 0 {
		return l, nil
	}
	l.Curve = h.ValueAtPercentilesSlice(result.Percentiles())
	b, err := h.EncodeV2() // base64
	l.HDR = string(b)
	return l, err
}

// Heat returns how many values fell below each of result.HeatBounds and above the
// one before, and last those above all; nil when there are none.
func Heat(h *hdr.Histogram) []int64 {
	if h.TotalCount() == 0 {
		return nil
	}
	bounds := result.HeatBounds()
	heat := make([]int64, len(bounds)+1)
	i := 0
	for _, b := range h.Distribution() {
		for i < len(bounds) && b.From >= bounds[i] {
			i++
		}
		heat[i] += b.Count
	}
	return heat
}

// watch makes an Interval of each tick.
type watch struct {
	s         *SMTP
	began     time.Time
	log       *hlog
	spare     []*pair // empty, one for each recorder
	sum       *pair
	last      Counts
	at        time.Duration
	intervals []result.Interval
	err       error
}

func newWatch(s *SMTP, began time.Time) *watch {
	w := &watch{s: s, began: began, sum: newPair()}
	for range s.recorders {
		w.spare = append(w.spare, newPair())
	}
	if s.o.HLog != nil {
		w.log, w.err = newHLog(s.o.HLog, began)
	}
	return w
}

// run makes an interval at each tick, and the last when done is closed.
func (w *watch) run(done <-chan struct{}) {
	t := time.NewTicker(w.s.o.Tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			w.take(time.Now())
		case <-done:
			w.take(time.Now())
			return
		}
	}
}

func (w *watch) take(now time.Time) {
	w.sum.reset()
	for k, r := range w.s.recorders {
		p := r.swap(w.spare[k])
		w.sum.merge(p)
		p.reset()
		w.spare[k] = p
	}
	all := w.s.Counts()
	at := now.Sub(w.began)
	i := Interval{
		At: at, Length: at - w.at, Warm: !now.After(w.s.measured), Counts: all.sub(w.last),
		Response: w.sum.response, Service: w.sum.service,
	}
	w.intervals = append(w.intervals, i.Result())
	if w.log != nil && w.err == nil {
		w.err = w.log.add(&i)
	}
	if w.s.o.Interval != nil {
		w.s.o.Interval(&i)
	}
	w.last, w.at = all, at
}
