package mailbox

import (
	"container/list"
	"sync"
)

// shelfLeast is the least array that is worth keeping: a smaller one is read in less
// than a millisecond.
const shelfLeast = 1 << 10

// entryBytes is what a message takes in an array.
const entryBytes = 16

// shelf keeps the arrays of large mailboxes that no view shows any more, so that who
// opens one again, as programs do again and again, does not have it read from the index.
// The applier goes on bringing changes into them. It knows only sizes: the array itself
// is its mailbox's.
type shelf struct {
	limit int // bytes

	mu sync.Mutex
	// guards following
	used   int
	order  list.List // of *shelved, the one that was put there last in front
	places map[*Mailbox]*list.Element
}

type shelved struct {
	m     *Mailbox
	bytes int
}

func newShelf(limit int) *shelf {
	return &shelf{limit: limit, places: make(map[*Mailbox]*list.Element)}
}

// keep notes that m's array of n messages is kept, or that it is not worth that, and
// returns the mailboxes whose arrays must go for want of room.
func (s *shelf) keep(m *Mailbox, n int) (kept bool, evicted []*Mailbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(m)
	bytes := n * entryBytes
	if n < shelfLeast || bytes > s.limit {
		return false, nil
	}
	s.places[m] = s.order.PushFront(&shelved{m, bytes})
	for s.used += bytes; s.used > s.limit; {
		old := s.order.Back().Value.(*shelved).m
		s.removeLocked(old)
		evicted = append(evicted, old)
	}
	return true, evicted
}

func (s *shelf) removeLocked(m *Mailbox) {
	if e := s.places[m]; e != nil {
		s.used -= e.Value.(*shelved).bytes
		s.order.Remove(e)
		delete(s.places, m)
	}
}

// dropList lets the array go, unless a view shows it.
func (m *Mailbox) dropList() {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	if m.views == 0 {
		m.list = nil
	}
}
