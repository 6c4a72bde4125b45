package relay

import (
	"context"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
)

// Drop ends the recipients that f matches without delivering them, for an
// operator. It returns after the sync; every recipient dropped has its event
// line with actor and reason, or is given one after a crash by the queue's replay.
func (e *Engine) Drop(ctx context.Context, f queue.Filter, actor, reason string) (queue.ActionResult, error) {
	return e.queue.Drop(ctx, f, reason, func(id mail.ID, recipient int) {
		e.ledger.end(1)
		e.o.Metrics.Final(metrics.FinalDropped, 1)
		e.o.Log.Dropped(&maillog.Attempt{ID: id, Recipient: recipient, Actor: actor, Reason: reason})
	})
}

// Why tells, for a recipient that is ready and still waits, what its lane waits
// for; the zero Status when nothing holds it.
func (e *Engine) Why(laneKey string) mail.Status {
	e.mu.Lock()
	l := e.lanes[laneKey]
	e.mu.Unlock()
	if l == nil {
		return mail.Status{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}
