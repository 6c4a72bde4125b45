package access

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/result"
)

// operation is a kind of command, or of a chain of them, that has a line of its
// own in the result.
type operation uint8

const (
	opLogin operation = iota
	opStat
	opList
	opUIDL
	opRetr
	opDele
	opQuit
	opStatus
	opSelect
	opFetchFlags
	opFetchBody
	opFetchEnvelope
	opFetchStructure
	opStore
	opExpunge
	opSearch
	opIdle
	opLogout
	opSession
	opDeliver
	opExists
	opExistsAfterReply
	operations
)

func (o operation) String() string {
	return [...]string{
		"LOGIN", "STAT", "LIST", "UIDL", "RETR", "DELE", "QUIT", "STATUS", "SELECT",
		"FETCH FLAGS", "FETCH BODY", "FETCH ENVELOPE", "FETCH BODYSTRUCTURE",
		"STORE", "EXPUNGE", "SEARCH", "IDLE", "LOGOUT", "SESSION",
		"delivery", "EXISTS after delivery", "EXISTS after 250",
	}[o]
}

// describedMost is how many violations of an operation are told in words.
const describedMost = 5

// tally sums up what sessions saw. A mutex for each operation is enough: a lock
// costs a thousandth of what the operation did.
type tally struct {
	live *live
	of   [operations]struct {
		mu sync.Mutex // guards following
		result.AccessResult
		latency *hdr.Histogram
	}
}

func newTally(l *live) *tally { return &tally{live: l} }

// Live are totals since New, for whoever watches.
type Live struct {
	Sessions   int64 // that came to their end; of idle: deliveries that were told of
	Delivered  int64 // messages
	Errors     int64
	Violations int64
}

// live are Live as they grow.
type live struct{ sessions, delivered, errors, violations atomic.Int64 }

// Live returns the totals so far. It may be called at any time.
func (b *Bench) Live() Live {
	l := &b.live
	return Live{Sessions: l.sessions.Load(), Delivered: l.delivered.Load(), Errors: l.errors.Load(), Violations: l.violations.Load()}
}

// longest is the longest latency that is told apart, in microseconds.
const longest = 600_000_000

// done counts an operation that was carried out.
func (t *tally) done(op operation, took time.Duration, items, bytes int64) {
	o := &t.of[op]
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.latency == nil {
		o.latency = hdr.New(1, longest, 3)
	}
	// The value is within the histogram's range.
	_ = o.latency.RecordValue(min(max(1, took.Microseconds()), longest))
	o.Count++
	switch op {
	case opSession, opExists:
		t.live.sessions.Add(1)
	case opDeliver:
		t.live.delivered.Add(1)
	}
	o.Items += items
	o.Bytes += bytes
}

// failed counts an operation that was refused or cut off.
func (t *tally) failed(op operation) {
	o := &t.of[op]
	o.mu.Lock()
	o.Errors++
	t.live.errors.Add(1)
	o.mu.Unlock()
}

// late counts what was due before a connection was free for it.
func (t *tally) late(op operation) {
	o := &t.of[op]
	o.mu.Lock()
	o.Missed++
	o.mu.Unlock()
}

// violation counts an answer that contradicts the model, and describes the first
// ones.
func (t *tally) violation(op operation, box *mailbox, format string, args ...any) {
	o := &t.of[op]
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Violations++
	t.live.violations.Add(1)
	if len(o.Described) < describedMost {
		o.Described = append(o.Described, box.name+": "+fmt.Sprintf(format, args...))
	}
}

// results returns a line for each operation that was tried.
func (t *tally) results(o Options, elapsed time.Duration) []result.AccessResult {
	var all []result.AccessResult
	for i := range t.of {
		op := &t.of[i]
		op.mu.Lock()
		r, h := op.AccessResult, op.latency
		op.mu.Unlock()
		if r.Count == 0 && r.Errors == 0 && r.Violations == 0 && r.Missed == 0 {
			continue
		}
		r.Protocol, r.Workload, r.Operation = o.Protocol, string(o.Workload), operation(i).String()
		if operation(i) == opDeliver {
			r.Protocol = "lmtp"
			if o.LMTP == "" {
				r.Protocol = "smtp"
			}
		}
		if elapsed > 0 {
			r.PerSecond = float64(r.Items) / elapsed.Seconds()
		}
		if h != nil {
			r.Latency = summary(h)
		}
		all = append(all, r)
	}
	return all
}

// summary turns a histogram of microseconds into plain data.
func summary(h *hdr.Histogram) result.Latency {
	l := result.Latency{
		Count: h.TotalCount(), Mean: h.Mean(), Max: h.Max(),
		P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P95: h.ValueAtQuantile(95),
		P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9),
	}
	for _, p := range result.Percentiles() {
		l.Curve = append(l.Curve, h.ValueAtQuantile(p))
	}
	if text, err := h.Encode(hdr.V2CompressedEncodingCookieBase); err == nil { // in base64 already
		l.HDR = string(text)
	}
	return l
}
