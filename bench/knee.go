package bench

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/result"
)

// What a server must keep to at a rate that still counts as served: of the
// retired mail benchmarks of SPEC the 5 s and 60 s of 95 % and the errors, and
// for acceptance a p99 that a human does not notice.
const (
	kneeAcceptP99   = 250 * time.Millisecond
	kneeAcceptP95   = 5 * time.Second
	kneeDeliverP95  = 60 * time.Second
	kneeErrorsShare = 0.01
)

// level is one step of a ramp.
type level struct {
	rate             float64 // intended messages a second
	accepted, failed int64
	response, end    *hdr.Histogram
}

// served reports whether the level was served well, or else why not.
func (l *level) served() (ok bool, why string) {
	at := func(h *hdr.Histogram, q float64) time.Duration {
		return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond
	}
	total := l.accepted + l.failed
	switch {
	case total == 0:
		return false, "nothing was accepted"
	case float64(l.failed) >= kneeErrorsShare*float64(total):
		return false, fmt.Sprintf("%d of %d not accepted", l.failed, total)
	case at(l.response, 99) > kneeAcceptP99:
		return false, fmt.Sprintf("accept p99 %v", at(l.response, 99))
	case at(l.response, 95) > kneeAcceptP95:
		return false, fmt.Sprintf("accept p95 %v", at(l.response, 95))
	case l.end.TotalCount() > 0 && at(l.end, 95) > kneeDeliverP95:
		return false, fmt.Sprintf("delivery p95 %v", at(l.end, 95))
	}
	return true, ""
}

// knee adds what each level of a ramp showed, and the highest that was served.
func knee(run *result.Run, levels []*level) {
	best := 0.0
	broken := false
	for _, l := range levels {
		ok, why := l.served()
		if ok && !broken {
			best = l.rate
		}
		broken = broken || !ok
		note := "served"
		if !ok {
			note = "not served: " + why
		}
		run.Values = append(run.Values, result.Value{
			Name: fmt.Sprintf("accept p99 at %.0f/s", l.rate), Unit: "us", Got: float64(l.response.ValueAtQuantile(99)), Note: note,
		})
	}
	run.Values = append(run.Values, result.Value{Name: "knee", Unit: "messages/s", Got: best, Note: "highest level that was served"})
}

// ramp takes a pace apart: the first rate, what comes after a rate, and how long
// each lasts.
func ramp(pace string) (from float64, next func(float64) float64, every time.Duration, ok bool) {
	rest, ok := strings.CutPrefix(pace, "ramp:")
	if !ok {
		return 0, nil, 0, false
	}
	next = func(r float64) float64 { return r }
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "from":
			from, _ = strconv.ParseFloat(value, 64) // checked by package load before
		case "every":
			every, _ = time.ParseDuration(value)
		case "step":
			share, percent := strings.CutSuffix(value, "%")
			step, _ := strconv.ParseFloat(share, 64)
			next = func(r float64) float64 { return r + step }
			if percent {
				next = func(r float64) float64 { return r * (1 + step/100) }
			}
		}
	}
	return from, next, every, true
}
