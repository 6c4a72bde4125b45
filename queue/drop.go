package queue

import (
	"context"

	"postrider/internal/mail"
)

// Drop ends the recipients that f chooses, for an operator; reason is recorded.
// It returns when that is synced. A recipient in flight is dropped when its
// attempt ends, unless the outcome is its end: then the outcome wins, and it is
// counted as skipped. The end of ctx ends the waiting for those, which are then let
// be, so that whatever is dropped stands in the result.
//
// ended, when not nil, is called once for each recipient that was dropped, after the
// sync and before any mark of LogMark passes it: whoever writes an event log writes
// the line there. It is called on the spool's goroutine, also after Drop has
// returned when that was the end of ctx, and must not call the queue.
func (q *Queue) Drop(ctx context.Context, f Filter, reason string, ended func(id mail.ID, recipient int)) (ActionResult, error) {
	a := action{to: Dropped, from: []State{Ready, Deferred, Held, Failed, Quarantined}, flies: true, status: droppedStatus, done: ended}
	return q.act(ctx, f, a, reason)
}

// Bounce lets the recipients that f chooses fail, so that their senders are told: they
// are handed out by NextFailed. Otherwise it is like Drop.
func (q *Queue) Bounce(ctx context.Context, f Filter, reason string, failed func(id mail.ID, recipient int)) (ActionResult, error) {
	a := action{to: Failed, from: []State{Ready, Deferred, Held, Quarantined}, flies: true, status: bouncedStatus, done: failed}
	return q.act(ctx, f, a, reason)
}

// Hold keeps the recipients that f chooses from being attempted, until Release. One
// whose notice is to be written, or whose attempt ends it, is let be. Otherwise it is
// like Drop.
func (q *Queue) Hold(ctx context.Context, f Filter, reason string, held func(id mail.ID, recipient int)) (ActionResult, error) {
	return q.act(ctx, f, action{to: Held, from: []State{Ready, Deferred}, flies: true, done: held}, reason)
}

// Release lets the recipients that f chooses go on that were held or quarantined.
// Otherwise it is like Drop.
func (q *Queue) Release(ctx context.Context, f Filter, reason string, released func(id mail.ID, recipient int)) (ActionResult, error) {
	return q.act(ctx, f, action{to: Ready, from: []State{Held, Quarantined}, done: released}, reason)
}

// Retry makes the deferred recipients that f chooses ready now. Otherwise it is like
// Drop.
func (q *Queue) Retry(ctx context.Context, f Filter, reason string, ready func(id mail.ID, recipient int)) (ActionResult, error) {
	return q.act(ctx, f, action{to: Ready, from: []State{Deferred}, done: ready}, reason)
}

func (q *Queue) act(ctx context.Context, f Filter, a action, reason string) (ActionResult, error) {
	if a.reason = reason; reason != "" && a.status.Code != 0 {
		a.status.Text = []byte(reason)
	}
	select {
	case <-q.loaded: // before, not every recipient has its slot
	case <-ctx.Done():
		return ActionResult{}, ctx.Err()
	case <-q.stop:
		return ActionResult{}, ErrClosed
	}
	c := &actionCall{action: a, changed: make(chan struct{})}
	err := q.List(ctx, f, func(it *Item) bool {
		q.actItem(c, it)
		c.wait(ctx, maxActions, false)
		return c.failed() == nil
	})
	c.wait(ctx, 0, true)
	q.letBe(c)
	c.wait(context.WithoutCancel(ctx), 0, true) // what is being written is dropped
	if err == nil {
		err = c.failed()
	}
	return c.result(), err
}
