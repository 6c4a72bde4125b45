package queue

import (
	"math"
	"time"

	"postrider/queue/internal/table"
)

// seeker finds ready slots of a lane by their messages' arrival, wherever they
// stand in its lines. Queue.mu guards it.
type seeker struct {
	oldest int64    // no later than the arrival of any it looks for, Unix milliseconds; math.MaxInt64: there is none
	found  []uint32 // and not yet handed out; at most maxFound
}

// maxFound bounds the slots that one search keeps.
const maxFound = 4096

// NextOlder leases a ready job whose message arrived before the moment given, be it
// behind others in its line, with its recipients that go by the same way, of whatever
// domain, and at most maxRcpts of them (0: no limit); nil when there is none. It never
// waits, and the lane's Order does not hear of it. reuse is as for Next.
//
// A lane that has nothing so old costs next to nothing, since the least arrival of
// all its ready recipients is known. One that has is searched once for each 4096
// that are found, at some 10 ns a ready recipient, all of it under the queue's
// lock.
func (l *Lane) NextOlder(before time.Time, maxRcpts int, reuse *Job) *Job {
	return l.nextFound(&l.older, before, &leaseRule{max: maxRcpts, mix: true}, reuse)
}

// NextLate is NextOlder for recipients whose sender was not told of a delay yet (see
// Result.Warned), and leases such only.
func (l *Lane) NextLate(before time.Time, reuse *Job) *Job {
	return l.nextFound(&l.late, before, &leaseRule{mix: true, unwarned: true}, reuse)
}

func (l *Lane) nextFound(k *seeker, before time.Time, rule *leaseRule, reuse *Job) *Job {
	j := reuse
	if j == nil {
		j = &Job{q: l.q}
	}
	for l.leaseFound(k, j, before.UnixMilli(), rule) {
		if j.open() {
			return j
		}
	}
	return nil
}

// leaseFound leases a job for nextFound; false when there is none.
func (l *Lane) leaseFound(k *seeker, j *Job, before int64, rule *leaseRule) bool {
	q := l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.starvedLocked() {
		return false
	}
	for {
		if len(k.found) == 0 && !l.searchLocked(k, before, rule.unwarned) {
			return false
		}
		i := k.found[len(k.found)-1]
		k.found = k.found[:len(k.found)-1]
		s := q.tb.At(i)
		if State(s.State()) != Ready || q.destOfLocked(s).lane != l || rule.unwarned && s.Has(table.Warned) {
			continue // it went another way since it was found
		}
		if s.IDMilli() >= before { // the caller's clock went back, or another waits in this slot
			k.oldest = min(k.oldest, s.IDMilli())
			continue
		}
		if !s.Has(table.Hot) && q.behind.Load() {
			k.oldest, k.found = min(k.oldest, s.IDMilli()), k.found[:0]
			return false
		}
		q.leaseSlotsLocked(l, j, i, rule)
		return true
	}
}

// searchLocked fills k.found; false when nothing is old enough.
func (l *Lane) searchLocked(k *seeker, before int64, unwarned bool) bool {
	first := l.ring.Head()
	if first == 0 || k.oldest >= before {
		return false
	}
	tb := l.q.tb
	oldest := int64(math.MaxInt64)
	for b := first; ; {
		for i := l.q.bk.At(b).Ready.Front(); i != 0; i = tb.Next(i) {
			s := tb.At(i)
			if unwarned && s.Has(table.Warned) {
				continue
			}
			switch at := s.IDMilli(); {
			case at >= before:
				oldest = min(oldest, at)
			case len(k.found) == maxFound:
				return true // what is left keeps k.oldest as it is
			default:
				k.found = append(k.found, i)
			}
		}
		if b = l.q.bk.Next(b); b == first {
			break
		}
	}
	k.oldest = oldest
	return len(k.found) > 0
}
