package relay

import (
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/queue"
)

// The event log is made durable once in flushEvery, or as soon as this part of a
// spool segment was filled: a segment is used again only when the events of its
// records are safe, and mail can fill a small spool in less than a second.
const (
	flushEvery        = time.Second
	flushSegmentShare = 2
	segmentBytes      = 64 << 20 // when queue.Options leave it to the queue
	recordBytes       = 512      // of a message's record beside its text, about
)

// durable is told by the queue of each message whose sync is done, before any of
// its recipients can be leased.
func (e *Engine) durable(env *mail.Envelope) {
	e.ledger.accept(len(env.Recipients))
	if e.unflushed.Add(env.SizeBytes+recordBytes) > e.flushBytes {
		select {
		case e.flushNow <- struct{}{}:
		default: // asked for already
		}
	}
	e.o.Metrics.AcceptedRecipients(len(env.Recipients))
	e.o.Log.Accepted(env, max(0, e.age(env)), 0)
}

// logResult writes the event of one recipient's attempt and counts it.
func (e *Engine) logResult(l *lane, f *flight, i, attempts int, r *queue.Result) {
	if r.State == queue.Ready {
		return // untried: nothing happened
	}
	d := &f.delivery
	a := &f.event
	*a = maillog.Attempt{
		Envelope:  d.Envelope,
		Recipient: d.Recipients[i],
		Site:      l.q.Key(),
		Status:    r.Status,
		Class:     class(r.Status),
		Remote:    d.Remote,
		Timings:   d.Timings,
		Next:      r.Due,
	}
	if r.Attempt {
		a.Number = attempts
		a.Wait = max(0, f.leased.Sub(f.job.ReadySince))
	}
	switch r.State {
	case queue.Delivered:
		e.ledger.end(1)
	case queue.Held:
		a.Status, a.Rule = mail.Status{}, "hold"
	case queue.Dropped:
		e.ledger.end(1)
		a.Status, a.Rule = mail.Status{}, "discard"
	}
	e.logState(r.State, a)
	e.count(l, d, r)
	if a.Class != mail.ClassNone && r.Attempt {
		l.site.Reply(a.Class.String())
	}
}

// logState writes the event of a recipient that has come into state.
func (e *Engine) logState(state queue.State, a *maillog.Attempt) {
	switch state {
	case queue.Delivered:
		e.o.Log.Delivered(a)
	case queue.Deferred:
		e.o.Log.Deferred(a)
	case queue.Failed:
		e.o.Log.Failed(a)
	case queue.Held:
		e.o.Log.Held(a)
	case queue.Dropped:
		e.o.Log.Dropped(a)
	case queue.Quarantined:
		e.o.Log.Quarantined(a)
	}
}

// class names what kind of trouble a reply tells of, as far as the enhanced code
// says it (RFC 3463 section 3).
func class(s mail.Status) mail.Class {
	if s.OK() || s.IsZero() {
		return mail.ClassNone
	}
	switch (s.Enhanced.Subject << 8) | s.Enhanced.Detail {
	case 1<<8 | 1, 1<<8 | 2, 1<<8 | 3, 1<<8 | 10:
		return mail.ClassNoUser
	case 2<<8 | 2:
		return mail.ClassMailboxFull
	case 3<<8 | 4:
		return mail.ClassSize
	case 4<<8 | 1, 4<<8 | 2:
		return mail.ClassConnection
	case 4<<8 | 7:
		return mail.ClassTimeout
	}
	switch s.Enhanced.Subject {
	case 5:
		return mail.ClassProtocol
	case 7:
		return mail.ClassPolicy
	}
	return mail.ClassOther
}

// replayed writes an event again that the log may have lost in a crash.
func (e *Engine) replayed(ev queue.Event) {
	if ev.Recipient < 0 {
		e.o.Log.Accepted(ev.Envelope, 0, 0)
		return
	}
	a := &maillog.Attempt{
		ID:        ev.ID,
		Envelope:  ev.Envelope,
		Recipient: ev.Recipient,
		Number:    int(ev.Attempts),
		Status:    ev.Status,
		Class:     class(ev.Status),
		Next:      ev.Due,
		Rule:      "replayed",
	}
	e.logState(ev.State, a)
}

// flushLog makes the event log durable about once a second and tells the queue
// how far, since a spool segment is used again only when the events of its
// records are safe.
func (e *Engine) flushLog() {
	defer e.flusher.Done()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		e.markLogged()
		e.watchClock()
		select {
		case <-e.flushNow:
		case <-tick.C:
		case <-e.flushed:
			e.markLogged()
			return
		}
	}
}

func (e *Engine) markLogged() {
	e.unflushed.Store(0)
	mark := e.queue.LogMark()
	if err := e.o.Log.Sync(); err == nil {
		e.queue.Logged(mark)
	}
}
