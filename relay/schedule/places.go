package schedule

import (
	"container/heap"
	"time"
)

// site is what the lanes of one site share: its part of all connections.
type site struct {
	lanes   int
	held    int // connections
	leaving int // of those: were told to end
	waiting laneList
	turn    uint64
	at      int     // in its heap; -1: in none
	sure    bool    // it is known to be quick
	good    instant // last success
	first   instant // since when it holds connections
}

// A site is quick when it took mail not long ago, in not much time. One that holds
// connections and takes nothing for slowAfter is not, whatever it was.
const (
	slowAfter = instant(time.Minute)
	slowTook  = 10 * time.Second
)

func (s *Scheduler) siteLocked(name string) *site {
	st := s.sites[name]
	if st == nil {
		st = &site{at: -1}
		s.sites[name] = st
	}
	return st
}

// roomLocked reports whether a site may have one more of all connections. Places go
// to who holds fewest (max-min fairness), and a tenth is kept for sites that hold none.
// Of all that are slow, or have yet to show that they are not, each may have one while
// a tenth is left for the others, and they may have more while they hold less than
// a quarter.
func (s *Scheduler) roomLocked(st *site, at instant) bool {
	s.doubtLocked(st, at)
	if !s.fitsLocked(st) {
		return false
	}
	for _, h := range [...]*siteHeap{&s.quick, &s.slow} {
		if len(*h) > 0 {
			if top := (*h)[0]; top != st && top.held < st.held && s.fitsLocked(top) {
				return false
			}
		}
	}
	return true
}

func (s *Scheduler) fitsLocked(st *site) bool {
	kept := int(float64(s.o.Connections) * s.o.NewShare)
	free, unsure := s.o.Connections-s.used, s.o.Connections-kept
	if st.held > 0 {
		free, unsure = free-kept, s.o.Connections/4
	}
	return free > 0 && (st.sure || s.unsure < max(unsure, 1))
}

// doubtLocked takes back that a site is quick.
func (s *Scheduler) doubtLocked(st *site, at instant) {
	if st.sure && st.held > 0 && at-max(st.good, st.first) > slowAfter {
		s.sureLocked(st, false)
	}
}

func (s *Scheduler) sureLocked(st *site, sure bool) {
	if st.sure == sure {
		return
	}
	waits := st.at >= 0
	if waits {
		heap.Remove(s.heapOf(st), st.at)
	}
	st.sure = sure
	if sure {
		s.unsure -= st.held
	} else {
		s.unsure += st.held
	}
	if waits {
		heap.Push(s.heapOf(st), st)
	}
}

// holdLocked counts n connections more or less.
func (s *Scheduler) holdLocked(st *site, at instant, n int) {
	if st.held == 0 {
		st.first = at
	}
	st.held += n
	s.used += n
	if !st.sure {
		s.unsure += n
	}
	if st.at >= 0 {
		heap.Fix(s.heapOf(st), st.at)
	}
}

// yieldsLocked reports that a site has so many more connections than one that waits
// that it should give one up.
func (s *Scheduler) yieldsLocked(st *site) bool {
	if s.leaving >= len(s.quick)+len(s.slow) {
		return false // nobody waits, or enough were told already
	}
	keeps := st.held - st.leaving
	if len(s.quick) > 0 && s.quick[0] != st && s.quick[0].held+1 < keeps {
		return true
	}
	return !st.sure && len(s.slow) > 0 && s.slow[0] != st && s.slow[0].held+1 < keeps
}

// nextLocked returns the lane that should have the place that l has given up. It
// leaves its line: when it finds the place gone, it lines up again.
func (s *Scheduler) nextLocked(l *Lane, at instant) *Lane {
	for _, g := range [...]*group{l.provider, l.source} {
		if g == nil {
			continue
		}
		if w := s.firstLocked(&g.waiting, l, at); w != nil {
			return w
		}
	}
	for _, h := range [...]*siteHeap{&s.quick, &s.slow} {
		for range min(len(*h), 4) {
			if len(*h) == 0 || !s.fitsLocked((*h)[0]) {
				break
			}
			if w := s.firstLocked(&(*h)[0].waiting, l, at); w != nil {
				return w
			}
		}
	}
	return nil
}

// firstLocked returns the first of a line that would be let through, before others
// who holds fewer connections. Who would not goes to the line of the bound that is in
// the way now.
func (s *Scheduler) firstLocked(q *laneList, closing *Lane, at instant) *Lane {
	had := func(l *Lane) int {
		if l == closing {
			return l.conns + 1
		}
		return l.conns
	}
	for range 8 {
		w := q.head
		if w == nil {
			return nil
		}
		for o, n := w.next, 0; o != nil && n < 16; o, n = o.next, n+1 {
			if had(o) < had(w) {
				w = o
			}
		}
		w.unlistLocked()
		gate, _ := w.shutLocked(at)
		if gate != GateNone || w.ready == 0 {
			continue // its own time will come
		}
		gate, _, list := w.placeLocked(at)
		if gate == GateNone {
			return w
		}
		w.listLocked(list)
		if list == q {
			return nil
		}
	}
	return nil
}
