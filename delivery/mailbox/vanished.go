package mailbox

import (
	"math"

	"postrider/delivery/mailbox/internal/rows"
)

// Vanished calls f for the ranges of UIDs expunged after the mod-sequence since
// (RFC 7162 section 3.2.5.1), in no order, perhaps more than once. It returns false
// when so much is no longer remembered.
func (m *Mailbox) Vanished(since uint64, f func(Range)) (complete bool, err error) {
	s := m.a.s
	if err := s.begin(); err != nil {
		return false, err
	}
	defer s.leave()
	m.a.mu.Lock()
	floor := m.floor
	m.a.mu.Unlock()
	if since < floor {
		return false, nil
	}
	if since == math.MaxUint64 {
		return true, nil
	}
	from := rows.VanishedKey(nil, m.a.id, m.id, since+1)
	to := rows.After(rows.VanishedKey(nil, m.a.id, m.id, 0)[:9])
	err = scanBetween(s.db, from, to, func(_, v []byte) (bool, error) {
		return true, rows.Ranges(v, func(from, to uint32) { f(Range{from, to}) })
	})
	if err != nil {
		return false, err
	}
	// What was forgotten meanwhile may be missing.
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	return since >= m.floor, nil
}
