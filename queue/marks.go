package queue

import (
	"sync/atomic"

	"postrider/queue/internal/spool"
)

// Mark is a place in the queue's log up to which all events were handed out.
type Mark struct{ lsn spool.LSN }

// marks finds places behind which no Commit is still about to write its line to
// the event log. Commits enter one of two counts when their group is synced and
// leave it when the line is written; a place that was noted before the counts
// changed roles is safe when the older count is empty.
type marks struct {
	open [2]atomic.Int64

	// Guarded by Queue.mu.
	parity uint32
	next   spool.LSN // noted at the last change of roles
	safe   spool.LSN
}

func (m *marks) enterLocked() uint32 {
	m.open[m.parity].Add(1)
	return m.parity
}

func (m *marks) leave(parity uint32) { m.open[parity].Add(-1) }

// LogMark returns a mark. Whoever writes the event log takes one, flushes and
// syncs the log, and then calls Logged with it. A mark may lag one call behind:
// it never passes a Commit that has not returned.
func (q *Queue) LogMark() Mark {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &q.marks
	if m.open[1-m.parity].Load() == 0 {
		m.safe, m.next = m.next, q.committed
		m.parity = 1 - m.parity
	}
	return Mark{m.safe}
}

// Logged says that the event log is durable up to m. A generation of the hot
// spool is used again only when that has passed it, and Open hands out the
// events behind the last mark that was recorded.
func (q *Queue) Logged(m Mark) {
	q.mu.Lock()
	if m.lsn.Compare(q.logged) <= 0 {
		q.mu.Unlock()
		return
	}
	newGen := m.lsn.Gen != q.logged.Gen
	q.logged = m.lsn
	q.mu.Unlock()
	q.sp.SetLogged(m.lsn)
	if newGen {
		q.kickWorker()
	}
}
