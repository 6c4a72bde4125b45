package sink

import "sync"

// Bounds of what a Ledger keeps: a byte a duty.
const (
	maxLedgerSeq  = 1 << 28
	maxLedgerRcpt = 1 << 12
	maxLedgerRuns = 64
)

// Ledger counts how often each duty (run, message, recipient) was taken, for a sink
// that does not know what was sent. It is safe for concurrent use. It costs a byte
// for each recipient of a message times the highest message number.
type Ledger struct {
	mu      sync.Mutex // guards following
	runs    map[uint64]*ledgerRun
	strange int64
}

// ledgerRun holds the counts of a run: for each recipient number the messages.
type ledgerRun struct {
	planes [][]uint8
}

// NewLedger returns an empty Ledger.
func NewLedger() *Ledger { return &Ledger{runs: map[uint64]*ledgerRun{}} }

// duty is one recipient of one message.
type duty struct {
	seq  uint64
	n    uint32
	none bool // the address names no duty
}

// add counts duties of one run.
func (l *Ledger) add(run uint64, duties []duty) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.runs[run]
	if r == nil {
		if len(l.runs) == maxLedgerRuns {
			l.strange += int64(len(duties))
			return
		}
		r = &ledgerRun{}
		l.runs[run] = r
	}
	for _, d := range duties {
		if d.none || d.seq >= maxLedgerSeq || d.n >= maxLedgerRcpt {
			l.strange++
			continue
		}
		if c := r.place(d.seq, d.n); *c < 255 {
			*c++
		}
	}
}

// place returns the count of a duty, making room for it.
func (r *ledgerRun) place(seq uint64, n uint32) *uint8 {
	for int(n) >= len(r.planes) {
		r.planes = append(r.planes, nil)
	}
	p := &r.planes[n]
	if seq >= uint64(len(*p)) {
		grown := make([]uint8, max(seq+1, uint64(2*len(*p)), 4096))
		copy(grown, *p)
		*p = grown
	}
	return &(*p)[seq]
}

// Count returns how often a duty was taken; 255 is 255 or more.
func (l *Ledger) Count(run, seq uint64, n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.runs[run]
	if r == nil || n < 0 || n >= len(r.planes) || seq >= uint64(len(r.planes[n])) {
		return 0
	}
	return int(r.planes[n][seq])
}

// LedgerTotals sum a Ledger up.
type LedgerTotals struct {
	Duties     int64 // taken at least once
	Duplicates int64 // taken beyond the first time
	Strange    int64 // recipients that name no duty, or one beyond the bounds
}

// Totals sums up every run.
func (l *Ledger) Totals() LedgerTotals {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := LedgerTotals{Strange: l.strange}
	for _, r := range l.runs {
		for _, p := range r.planes {
			for _, c := range p {
				if c > 0 {
					t.Duties++
					t.Duplicates += int64(c) - 1
				}
			}
		}
	}
	return t
}
