package queue

import (
	"fmt"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
	"postrider/queue/internal/table"
)

// holdGaps holds the messages that a salvage found damage near: an operator
// decides about them.
func (q *Queue) holdGaps() {
	status := mail.NewStatus(451, 4, 3, 0, "the log was damaged near this message")
	for _, g := range q.sp.Recovery().Gaps {
		q.alarm("damage", fmt.Errorf("%w: generation %d, bytes %d to %d", ErrDamaged, g.Gen, g.From, g.To))
		for _, id := range g.IDs {
			q.hold(id, status)
		}
	}
}

func (q *Queue) hold(id mail.ID, status mail.Status) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.index.Find(q.tb, id)
	if i == 0 || q.closed {
		return
	}
	var e *entry
	if s := q.tb.At(i); s.Has(table.Hot) {
		e = q.hot[s.Link]
	}
	st := q.newSettlement(id)
	for _, k := range q.slotsLocked(i, e) {
		if State(q.tb.At(k).State()) != InFlight {
			q.unscheduleLocked(k)
			q.changeLocked(st, e, k, Held, q.base, status, nil)
		}
	}
	if len(st.settle.Changes) == 0 {
		q.settlements.Put(st)
		return
	}
	if e != nil {
		st.e = e
		e.writes++
	}
	st.append(record.KindAction, false)
}
