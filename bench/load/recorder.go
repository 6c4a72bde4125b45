package load

import (
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// highestMicros is the largest latency that is told from larger ones.
const highestMicros = 600_000_000

// newHistogram holds latencies from a microsecond to ten minutes, to 3 digits.
func newHistogram() *hdr.Histogram { return hdr.New(1, highestMicros, 3) }

// pair is the latencies of some messages in microseconds.
type pair struct{ response, service *hdr.Histogram }

func newPair() *pair { return &pair{newHistogram(), newHistogram()} }

func (p *pair) record(response, service int64) {
	// A latency above the range is recorded as its largest value: no error is
	// left.
	_ = p.response.RecordValue(min(max(1, response), highestMicros))
	_ = p.service.RecordValue(min(max(1, service), highestMicros))
}

func (p *pair) merge(q *pair) {
	p.response.Merge(q.response)
	p.service.Merge(q.service)
}

func (p *pair) reset() {
	p.response.Reset()
	p.service.Reset()
}

// recorder takes the latencies of some of the workers: a few share one, for it
// is large.
type recorder struct {
	mu    sync.Mutex // guards following
	tick  *pair      // since the last swap, all messages
	total *pair      // those after the warm-up
}

func newRecorder() *recorder { return &recorder{tick: newPair(), total: newPair()} }

func (r *recorder) record(response, service time.Duration, warm bool) {
	a, b := response.Microseconds(), service.Microseconds()
	r.mu.Lock()
	r.tick.record(a, b)
	if !warm {
		r.total.record(a, b)
	}
	r.mu.Unlock()
}

// swap returns what the tick has brought, for p, which is empty.
func (r *recorder) swap(p *pair) *pair {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tick
	r.tick = p
	return t
}
