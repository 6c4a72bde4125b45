package bench

import (
	"context"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/cost"
	"postrider/bench/load"
	"postrider/bench/result"
)

// recorder makes an Interval of each second of a round, out of what generator,
// sink, ledger and meter say.
type recorder struct {
	r     *round
	meter cost.Meter
	kills int64 // set when the load is over

	// mu guards following: what the generators have said since the last tick.
	mu        sync.Mutex
	sent      counts
	response  *hdr.Histogram
	name      string // of the phase; "": warmup and load by time
	levels    []*level
	intervals []result.Interval

	last       time.Time
	deliveries int64
	cpu        time.Duration
	end        *hdr.Histogram // since the end of the warm-up

	// At the end of the warm-up.
	warm             time.Time
	warmDeliveries   int64
	warmDeliveredSet bool
}

// counts are messages of a tick.
type counts struct{ sent, accepted, missed, failed int64 }

func (c *counts) add(i *load.Interval) {
	c.sent += i.Sent
	c.accepted += i.Accepted
	c.missed += i.Missed
	c.failed += i.Refused + i.Unknown + i.Unsent
}

func newRecorder(r *round) *recorder {
	return &recorder{r: r, meter: r.server.Meter(), response: newHistogram(), end: newHistogram(), last: time.Now()}
}

// newHistogram holds latencies from a microsecond to an hour, to 3 digits.
func newHistogram() *hdr.Histogram { return hdr.New(1, 3_600_000_000, 3) }

// heard takes in what a generator says of its last tick. Latencies are of the
// first generator alone.
func (c *recorder) heard(i *load.Interval, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent.add(i)
	if first {
		c.response.Merge(i.Response)
	}
}

func (c *recorder) phase(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = name
}

// run ticks until ctx ends, and once more for what is left.
func (c *recorder) run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	if s, err := c.meter.Sample(); err == nil {
		c.cpu = s.CPU()
	}
	warm := c.r.s.Load.Warmup.D()
	warmed := time.NewTimer(warm)
	defer warmed.Stop()
	for {
		select {
		case <-warmed.C:
			c.warm, c.warmDeliveries, c.warmDeliveredSet = time.Now(), c.r.ledger.Deliveries(), true
		case <-t.C:
			c.tick(time.Now())
		case <-ctx.Done():
			c.tick(time.Now())
			return
		}
	}
}

func (c *recorder) tick(now time.Time) {
	ended := c.r.world.tick()
	c.mu.Lock()
	defer c.mu.Unlock()
	since := now.Sub(c.r.began)
	seconds := now.Sub(c.last).Seconds()
	c.last = now
	i := result.Interval{
		At: since.Seconds(), Phase: c.phaseLocked(since), Sent: c.sent.sent, Accepted: c.sent.accepted, Missed: c.sent.missed,
		Queued: c.r.ledger.Owed(), Response: load.Summary(c.response), EndToEnd: load.Summary(ended), Heat: load.Heat(c.response),
	}
	n := c.r.ledger.Deliveries()
	i.Delivered, c.deliveries = n-c.deliveries, n
	if s, err := c.meter.Sample(); err == nil && seconds > 0 {
		i.CPU = max(0, (s.CPU()-c.cpu).Seconds()/seconds)
		i.RSSBytes = s.RSSBytes
		c.cpu = s.CPU()
	}
	if i.Phase != "warmup" {
		c.end.Merge(ended)
	}
	c.levelLocked(since, ended)
	if n := len(c.intervals); n > 0 && seconds < 0.5 {
		fold(&c.intervals[n-1], &i)
	} else {
		c.intervals = append(c.intervals, i)
	}
	if c.r.p.Watch != nil {
		c.r.p.Watch.Live(Live{
			Elapsed: since, Phase: i.Phase, Rate: float64(i.Accepted) / max(seconds, 1e-3), Delivered: float64(i.Delivered) / max(seconds, 1e-3),
			P50Micros: i.Response.P50, P99Micros: i.Response.P99, Queued: i.Queued,
			Accepted: c.r.ledger.Accepted(), Ended: c.r.ledger.Ended(),
		})
	}
	c.sent = counts{}
	c.response.Reset()
}

// fold adds what is left at the end to the last whole interval: by itself its
// rates would be those of some milliseconds, in which the rest of a tick is told.
func fold(last, rest *result.Interval) {
	last.At = rest.At
	last.Sent += rest.Sent
	last.Accepted += rest.Accepted
	last.Delivered += rest.Delivered
	last.Missed += rest.Missed
	last.Queued = rest.Queued
	if last.Response.Count == 0 {
		last.Response = rest.Response
	}
	if last.EndToEnd.Count == 0 {
		last.EndToEnd = rest.EndToEnd
	}
	switch {
	case last.Heat == nil:
		last.Heat = rest.Heat
	case rest.Heat != nil:
		for i, n := range rest.Heat {
			last.Heat[i] += n
		}
	}
}

func (c *recorder) phaseLocked(since time.Duration) string {
	switch {
	case c.name != "":
		return c.name
	case since <= c.r.s.Load.Warmup.D():
		return "warmup"
	}
	return "load"
}

// levelLocked adds a tick to the level of a ramp that it belongs to.
func (c *recorder) levelLocked(since time.Duration, ended *hdr.Histogram) {
	from, step, every, ok := ramp(rates(c.r.s.Load.Pace, c.r.base))
	at := int((since - c.r.s.Load.Warmup.D() - time.Second/2) / max(1, every))
	if !ok || c.name != "" || at < 0 || every < time.Second {
		return
	}
	for len(c.levels) <= at {
		rate := from
		for range len(c.levels) {
			rate = step(rate)
		}
		c.levels = append(c.levels, &level{rate: rate, response: newHistogram(), end: newHistogram()})
	}
	l := c.levels[at]
	l.accepted += c.sent.accepted
	l.failed += c.sent.failed
	l.response.Merge(c.response)
	l.end.Merge(ended)
}

// into gives a result what was recorded.
func (c *recorder) into(run *result.Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	run.Intervals = c.intervals
	if len(c.levels) > 0 {
		knee(run, c.levels)
	}
}
