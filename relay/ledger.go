package relay

import (
	"runtime"
	"sync/atomic"
)

// ledger counts recipients as they come and as they end, beside the queue's own
// count of what it holds: accepted - ended - queued must be 0. It is a check on
// the whole, so it shares no counter with the queue.
type ledger struct {
	accepted atomic.Int64
	ended    atomic.Int64
}

func (l *ledger) accept(n int) { l.accepted.Add(int64(n)) }
func (l *ledger) end(n int)    { l.ended.Add(int64(n)) }

// Ledger is a reading of the engine's accounts, in recipients.
type Ledger struct {
	Inherited int64 // queued when the engine was opened, as far as they are loaded
	Accepted  int64 // since then
	Ended     int64 // since then
	Queued    int64
}

// Imbalance is what is missing (or, below 0, too many): 0 when all is well.
func (l Ledger) Imbalance() int64 { return l.Inherited + l.Accepted - l.Ended - l.Queued }

// Ledger reads the accounts. Mail that moves while they are read puts them out
// for a moment, so it reads until they balance or have not for a while.
func (e *Engine) Ledger() Ledger {
	const readings = 200
	var r Ledger
	for range readings {
		ended := e.ledger.ended.Load()
		accepted := e.ledger.accepted.Load()
		c := e.queue.Counts()
		r = Ledger{
			Inherited: c.Inherited,
			Accepted:  accepted,
			Queued:    c.Recipients,
			Ended:     e.ledger.ended.Load(),
		}
		if r.Imbalance() == 0 && ended == r.Ended {
			break
		}
		runtime.Gosched()
	}
	return r
}
