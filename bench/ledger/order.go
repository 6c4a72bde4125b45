package ledger

import "sync/atomic"

const (
	workerPage  = 1 << 10
	workerPages = 1 << 10
)

// workers holds, for each connection of the generator, one more than the highest
// message number that has arrived.
type workers [workerPages]atomic.Pointer[[workerPage]atomic.Uint64]

// Order says that a message of a connection of the generator has arrived for the
// first time, and counts it as out of order when a later one of the same
// connection came before it. Connections beyond a million are not followed.
func (l *Ledger) Order(worker int, seq uint64) {
	if worker < 0 || worker >= workerPages*workerPage || seq >= l.next.Load() {
		return
	}
	slot := &l.order[worker/workerPage]
	p := slot.Load()
	if p == nil {
		slot.CompareAndSwap(nil, new([workerPage]atomic.Uint64))
		p = slot.Load()
	}
	highest := &p[worker%workerPage]
	for {
		h := highest.Load()
		switch {
		case h == seq+1: // another recipient of it
			return
		case h > seq+1:
			l.disorder.Add(1)
			return
		case highest.CompareAndSwap(h, seq+1):
			return
		}
	}
}
