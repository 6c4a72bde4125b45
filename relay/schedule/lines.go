package schedule

import (
	"container/heap"
)

// laneList is a line of lanes that wait for a place; the zero value is empty.
type laneList struct {
	head, tail *Lane
}

func (l *Lane) listLocked(q *laneList) {
	if q == nil {
		return
	}
	l.list, l.prev, l.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = l
	} else {
		q.head = l
	}
	q.tail = l
	if st := l.site; q == &st.waiting && st.at < 0 {
		l.s.turn++
		st.turn = l.s.turn
		heap.Push(l.s.heapOf(st), st)
	}
}

func (l *Lane) unlistLocked() {
	q := l.list
	if q == nil {
		return
	}
	if l.prev != nil {
		l.prev.next = l.next
	} else {
		q.head = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	} else {
		q.tail = l.prev
	}
	l.list, l.next, l.prev = nil, nil, nil
	if st := l.site; q == &st.waiting && q.head == nil && st.at >= 0 {
		heap.Remove(l.s.heapOf(st), st.at)
	}
}

// siteHeap has the site on top that holds fewest connections, of equal ones the one
// that has waited longest.
type siteHeap []*site

func (s *Scheduler) heapOf(st *site) *siteHeap {
	if st.sure {
		return &s.quick
	}
	return &s.slow
}

func (h siteHeap) Len() int { return len(h) }
func (h siteHeap) Less(i, j int) bool {
	return h[i].held < h[j].held || h[i].held == h[j].held && h[i].turn < h[j].turn
}
func (h siteHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *siteHeap) Push(x any) {
	st := x.(*site)
	st.at = len(*h)
	*h = append(*h, st)
}
func (h *siteHeap) Pop() any {
	old := *h
	st := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	st.at = -1
	return st
}
