package sink

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/result"
)

// maxLatency is the longest end-to-end latency that is told from longer ones, in
// microseconds: an hour.
const maxLatency = 3_600_000_000

func newHistogram() *hdr.Histogram { return hdr.New(1, maxLatency, 3) }

// latencyShards keeps connections from waiting for each other.
const latencyShards = 8

// endToEnd is a histogram that many connections write to.
type endToEnd struct {
	shards [latencyShards]struct {
		mu   sync.Mutex     // guards following
		fill *hdr.Histogram // since the last cut
		_    [48]byte       // a cache line each
	}
	mu    sync.Mutex     // guards following; taken before that of a shard
	total *hdr.Histogram // what was cut
}

func newEndToEnd() *endToEnd {
	e := &endToEnd{total: newHistogram()}
	for i := range e.shards {
		e.shards[i].fill = newHistogram()
	}
	return e
}

// record counts n latencies.
func (e *endToEnd) record(shard uint, micros int64, n int) {
	s := &e.shards[shard%latencyShards]
	s.mu.Lock()
	_ = s.fill.RecordValues(micros, int64(n)) // within the range
	s.mu.Unlock()
}

// cut returns what came since the last cut.
func (e *endToEnd) cut() *hdr.Histogram {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := newHistogram()
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		if s.fill.TotalCount() > 0 {
			out.Merge(s.fill)
			s.fill.Reset()
		}
		s.mu.Unlock()
	}
	e.total.Merge(out)
	return out
}

// all returns everything; what was not cut yet will still be.
func (e *endToEnd) all() *hdr.Histogram {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := newHistogram()
	out.Merge(e.total)
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		out.Merge(s.fill)
		s.mu.Unlock()
	}
	return out
}

// coarse is a histogram of a few hundred bytes, for each of thousands of domains:
// eight steps to each doubling, so that a value is within 6 % of the truth.
type coarse struct {
	counts atomic.Pointer[[coarseSteps]atomic.Uint32]
	sum    atomic.Int64
	max    atomic.Int64
}

const coarseSteps = 8 * 30

// step returns the number of the step that holds v, at least 0.
func step(v int64) int {
	if v < 8 {
		return int(v)
	}
	e := bits.Len64(uint64(v)) - 4 // v>>e is 8 to 15
	return min(8*e+int(v>>e), coarseSteps-1)
}

// stepValue returns the middle of a step.
func stepValue(i int) int64 {
	if i < 16 {
		return int64(i)
	}
	e := i/8 - 1
	low := int64(i%8+8) << e
	return low + (int64(1)<<e)/2
}

func (c *coarse) record(micros int64) {
	p := c.counts.Load()
	if p == nil {
		c.counts.CompareAndSwap(nil, new([coarseSteps]atomic.Uint32))
		p = c.counts.Load()
	}
	p[step(micros)].Add(1)
	c.sum.Add(micros)
	for {
		m := c.max.Load()
		if micros <= m || c.max.CompareAndSwap(m, micros) {
			return
		}
	}
}

// latency summarises the histogram.
func (c *coarse) latency() (l result.Latency) {
	p := c.counts.Load()
	if p == nil {
		return l
	}
	var counts [coarseSteps]int64
	for i := range p {
		counts[i] = int64(p[i].Load())
		l.Count += counts[i]
	}
	if l.Count == 0 {
		return l
	}
	l.Mean, l.Max = float64(c.sum.Load())/float64(l.Count), c.max.Load()
	at := func(percent float64) int64 {
		want, sum := int64(math.Ceil(float64(l.Count)*percent/100)), int64(0)
		for i, n := range counts {
			if sum += n; sum >= max(1, want) {
				return min(stepValue(i), l.Max)
			}
		}
		return l.Max
	}
	l.P50, l.P90, l.P95, l.P99, l.P999 = at(50), at(90), at(95), at(99), at(99.9)
	for _, q := range result.Percentiles() {
		l.Curve = append(l.Curve, at(q))
	}
	return l
}
