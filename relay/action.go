package relay

import (
	"cmp"
	"context"
	"strings"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
)

// The actions of an operator return after the sync. Every recipient that was acted
// on has its event line with actor and reason; one that ended, failed or was held is
// given one after a crash by the queue's replay.

// Drop ends the recipients that f matches without delivering them or telling
// anybody.
func (e *Engine) Drop(ctx context.Context, f queue.Filter, actor, reason string) (queue.ActionResult, error) {
	tell := acted(e.o.Log.Dropped, actor, reason)
	return e.queue.Drop(ctx, f, reason, func(id mail.ID, recipient int) {
		e.ledger.end(1)
		e.o.Metrics.Final(metrics.FinalDropped, 1)
		tell(id, recipient)
	})
}

// Bounce gives the recipients that f matches up: their senders get notices, as
// after a refusal, and that is their end.
func (e *Engine) Bounce(ctx context.Context, f queue.Filter, actor, reason string) (queue.ActionResult, error) {
	failed := func(a *maillog.Attempt) {
		a.Status = mail.NewStatus(550, 5, 7, 0, cmp.Or(reason, "returned by the operator")) // as in the notice
		e.o.Log.Failed(a)
	}
	return e.queue.Bounce(ctx, f, reason, acted(failed, actor, reason))
}

// Hold keeps the recipients that f matches from being attempted, until Release.
func (e *Engine) Hold(ctx context.Context, f queue.Filter, actor, reason string) (queue.ActionResult, error) {
	return e.queue.Hold(ctx, f, reason, acted(e.o.Log.Held, actor, reason))
}

// Release lets the recipients that f matches go on that were held or quarantined.
func (e *Engine) Release(ctx context.Context, f queue.Filter, actor, reason string) (queue.ActionResult, error) {
	return e.queue.Release(ctx, f, reason, acted(e.o.Log.Released, actor, reason))
}

// Retry makes the deferred recipients that f matches ready now. Of those that wait
// for DNS the domains are looked up again now, which counts as done.
func (e *Engine) Retry(ctx context.Context, f queue.Filter, actor, reason string) (queue.ActionResult, error) {
	tell := acted(e.o.Log.Retried, actor, reason)
	asked, err := e.askAgain(ctx, f, tell)
	if err != nil {
		return asked, err
	}
	r, err := e.queue.Retry(ctx, f, reason, tell)
	r.Matched += asked.Matched
	r.Done += asked.Done
	r.Items = append(asked.Items, r.Items...)
	return r, err
}

// acted returns what writes the event of a recipient that an operator acted on.
func acted(write func(*maillog.Attempt), actor, reason string) func(mail.ID, int) {
	return func(id mail.ID, recipient int) {
		write(&maillog.Attempt{ID: id, Recipient: recipient, Actor: actor, Reason: reason})
	}
}

// askAgain has the domains looked up again of the recipients that f matches and that
// wait for it.
func (e *Engine) askAgain(ctx context.Context, f queue.Filter, tell func(mail.ID, int)) (queue.ActionResult, error) {
	var r queue.ActionResult
	if e.dir == nil || f.State != 0 && f.State != queue.Ready {
		return r, nil
	}
	asked := make(map[string]bool)
	err := e.queue.List(ctx, f, func(it *queue.Item) bool {
		for _, s := range it.Recipients {
			if s.State != queue.Ready || !e.resolving(s.Lane) {
				continue
			}
			domain := strings.ToLower(string(mail.DomainOf(it.Envelope.Recipients[s.Index].Address)))
			if !asked[domain] {
				asked[domain] = true
				e.dir.Retry(domain)
			}
			r.Matched++
			r.Done++
			r.Items = append(r.Items, queue.ActionItem{ID: it.Envelope.ID, Recipient: s.Index, Version: s.Version, State: s.State, Done: true})
			tell(it.Envelope.ID, s.Index)
		}
		return true
	})
	return r, err
}

// resolving reports that mail of a lane waits for DNS.
func (e *Engine) resolving(laneKey string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	to := e.dests[laneKey]
	return to != nil && to.resolves
}
