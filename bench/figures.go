package bench

import (
	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/load"
	"postrider/bench/result"
)

// whole returns the summary of h with its curve; an encoding that fails leaves
// that out.
func whole(h *hdr.Histogram) result.Latency {
	l, err := load.Whole(h)
	if err != nil {
		return load.Summary(h)
	}
	return l
}

// figures fills in what the generators saw.
func (r *round) figures(run *result.Run, results []load.Result) {
	main := &results[0]
	l := &run.Load
	o, err := r.s.Load.options(r.base)
	if err == nil {
		l.Model = o.Pace.Model()
	}
	for i := range results {
		n := &results[i]
		l.Messages += n.Accepted + n.Warm.Accepted
		l.Bytes += n.Bytes + n.Warm.Bytes
		l.Connections += n.Connections + n.Warm.Connections
		l.Failures += n.Failures + n.Warm.Failures
		if i > 0 {
			run.Values = append(run.Values, result.Value{
				Name: "accepted of " + orElse(r.s.Client[i-1].Name, "client"), Unit: "messages/s", Got: n.Rate(),
			})
		}
	}
	l.Missed = main.Missed
	l.AcceptRate = main.Rate()
	l.Response, l.Service, l.EndToEnd = whole(main.Response), whole(main.Service), whole(r.clock.end)
	run.Seconds = main.Elapsed.Seconds()
	run.DrainSeconds = r.drained.Sub(r.loaded).Seconds()
	from, before := r.clock.warm, r.clock.warmDeliveries
	if r.s.Server.Suspended { // then it is the rate of the drain
		from, before = r.loaded, 0
	}
	if t := r.drained.Sub(from).Seconds(); r.clock.warmDeliveredSet && t > 0 && r.s.Load.Users == 0 {
		l.DeliveredRate = float64(r.ledger.Deliveries()-before) / t
	}
	if run.Seconds > 0 && !r.s.closed() {
		l.Rate = float64(main.Sent+main.Abandoned) / run.Seconds
	}
	if main.Accepted == 0 && main.Warm.Accepted > 0 {
		run.Stamps = append(run.Stamps, "nothing measured: the load was over before its warm-up")
	}
	if main.Err != nil {
		r.first = main.Err
		run.Stamps = append(run.Stamps, "first failure of a connection: "+main.Err.Error())
	}
}

// closed reports whether the load waits for the server.
func (s *Scenario) closed() bool { return s.Load.Pace == "" || s.Load.Pace == "closed" }

// firstError says what the first connection died of.
func (r *round) firstError() string {
	if r.first == nil {
		return ""
	}
	return ": " + r.first.Error()
}
