package queue

import "postrider/internal/spool"

// Mark is a place in the queue's log up to which all events were handed out.
type Mark struct{ lsn spool.LSN }

// LogMark returns a mark: every message up to it has been through
// Options.Durable, every settlement through Settle. Whoever writes the event log
// (in Durable, and before Settle) takes a mark, flushes and syncs the log, and
// then calls Logged with it.
func (q *Queue) LogMark() Mark {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Mark{q.committed}
}

// Logged says that the event log is durable up to m. A generation of the hot
// spool is used again only when that has passed it, and Open hands out the
// events behind the last mark that was recorded. Call it several times in the
// time in which mail fills the spool, at least once a second.
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
