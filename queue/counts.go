package queue

import (
	"sync"
	"time"

	"postrider/queue/internal/table"
)

// Tally counts what is in one state.
type Tally struct {
	Recipients  int64
	Messages    int64 // with at least one recipient in the state
	OldestMicro int64 // when the oldest of them was accepted, Unix microseconds; 0: none
}

// Counts says what the queue holds.
type Counts struct {
	States        [numStates]Tally // by State; terminal ones are 0
	Recipients    int64            // that have not ended
	Inherited     int64            // that Open has brought back so far, whatever became of them
	Messages      int64            // with at least one such recipient
	HotMessages   int64            // that live in the hot spool
	Bytes         int64            // of texts
	MemoryBytes   int64            // of texts in memory, those being received included
	TableBytes    int64            // of memory for waiting recipients
	DiskFreeBytes uint64           // as of the last time it was asked
	Unsynced      int64            // recipients whose last change is not synced: a crash now undoes it
	Ages          [len(ageBounds) + 1]int64
	SegmentsFree  int // of the hot spool
	SegmentsTotal int
}

const (
	// scanEvery is how old the messages and the oldest of each state may be in
	// Counts when there is much to look through.
	scanEvery = 5 * time.Second
	// scanAlways: up to so many recipients are looked through each time.
	scanAlways = 4096
)

// countScan is what a walk over all waiting recipients has found.
type countScan struct {
	mu     sync.Mutex // guards following; taken before Queue.mu
	at     time.Time
	states [numStates]Tally
	ages   [len(ageBounds) + 1]int64
}

// ageBounds part Counts.Ages: recipients of messages younger than the first, than
// the second, and so on; last, those older than all.
var ageBounds = [...]time.Duration{
	5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute,
	160 * time.Minute, 320 * time.Minute, 640 * time.Minute, 1280 * time.Minute, 2560 * time.Minute, 5120 * time.Minute,
}

// AgeBounds returns the upper bounds of Counts.Ages but the last, which has none.
func AgeBounds() []time.Duration { return ageBounds[:] }

func ageClass(age time.Duration) int {
	for k, b := range ageBounds {
		if age < b {
			return k
		}
	}
	return len(ageBounds)
}

// Counts returns the totals. Recipients are exact; the messages, the oldest
// of each state and the ages are those of a walk that is up to 5 s old in a big queue.
func (q *Queue) Counts() Counts {
	var c Counts
	q.scan.mu.Lock()
	q.scanTable()
	c.States, c.Ages = q.scan.states, q.scan.ages
	q.scan.mu.Unlock()
	q.mu.Lock()
	for st := range c.States {
		c.States[st].Recipients = q.states[st]
		c.Recipients += q.states[st]
		if q.states[st] == 0 {
			c.States[st] = Tally{}
		}
	}
	c.Inherited, c.Unsynced = q.inherited, q.unsynced
	c.Messages, c.HotMessages, c.Bytes = q.messages, int64(q.hotCount), q.hotBytes
	c.TableBytes = int64(q.tb.Bytes())
	q.mu.Unlock()
	c.Bytes += q.st.cold.LiveBytes() + q.movedLarge.Load()
	c.MemoryBytes = q.mem.Load()
	c.DiskFreeBytes = q.diskFree.Load()
	c.SegmentsFree, c.SegmentsTotal = q.sp.Usage()
	return c
}

// scanTable walks over the table, a page at a time under the lock, unless the
// last walk is young enough. q.scan.mu is held.
func (q *Queue) scanTable() {
	now := q.o.Clock()
	q.mu.Lock()
	few := q.tb.Len() <= scanAlways
	q.mu.Unlock()
	if age := now.Sub(q.scan.at); !few && age >= 0 && age < scanEvery {
		return
	}
	q.scan.at = now
	states := &q.scan.states
	*states = [numStates]Tally{}
	q.scan.ages = [len(ageBounds) + 1]int64{}
	for page, more := 0, true; more; page++ {
		q.mu.Lock()
		more = q.tb.Scan(page, func(i uint32, s *table.Slot) {
			t := &states[s.State()]
			at := q.tb.ID(i).Time()
			q.scan.ages[ageClass(now.Sub(at))]++
			if us := at.UnixMicro(); t.OldestMicro == 0 || us < t.OldestMicro {
				t.OldestMicro = us
			}
			if q.firstInStateLocked(i, s) {
				t.Messages++
			}
		})
		q.mu.Unlock()
	}
}

// firstInStateLocked reports whether slot i is the first of its message's that
// is in its state.
func (q *Queue) firstInStateLocked(i uint32, s *table.Slot) bool {
	if s.Has(table.Hot) {
		for _, k := range q.hot[s.Link].slots {
			if q.tb.At(k).State() == s.State() {
				return k == i
			}
		}
		return false
	}
	if s.Link == i {
		return true
	}
	first := q.index.Find(q.tb, q.tb.ID(i))
	for k := first; k != 0; {
		if q.tb.At(k).State() == s.State() {
			return k == i
		}
		if k = q.tb.At(k).Link; k == first {
			break
		}
	}
	return false
}
