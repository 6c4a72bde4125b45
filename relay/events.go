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
func (e *Engine) logResult(l *lane, f *flight, i int, r *queue.Result) {
	if r.State == queue.Ready { // nothing happened to the message
		if class := f.verdicts[i].Class; class != mail.ClassNone && f.delivery.Remote.Session != 0 {
			e.count(l, &f.delivery, r)
			l.site.Reply(class.String())
		}
		return
	}
	d := &f.delivery
	a := &f.event
	*a = maillog.Attempt{
		Envelope:  d.Envelope,
		Recipient: d.Recipients[i],
		Site:      l.siteName(),
		Status:    r.Status,
		Class:     f.verdicts[i].Class,
		Remote:    d.Remote,
		Timings:   d.Timings,
		Next:      r.Due,
		Flow:      e.queue.FlowName(f.job.Flow),
	}
	if r.Attempt {
		a.Number = int(f.job.Attempts[i]) + 1
		a.Command = d.Commands[i].String()
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
	case queue.Deferred, queue.Failed:
		a.Rule = f.verdicts[i].Rule
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
	case queue.Bounced:
		e.o.Log.Bounced(a)
	case queue.Expired:
		e.o.Log.Expired(a)
	case queue.Quarantined:
		e.o.Log.Quarantined(a)
	}
}

// replayed writes an event again that the log may have lost in a crash.
func (e *Engine) replayed(ev queue.Event) {
	if ev.Recipient < 0 {
		e.o.Log.Accepted(ev.Envelope, 0, 0)
		return
	}
	k := e.kept(ev.Status)
	a := &maillog.Attempt{
		ID:        ev.ID,
		Envelope:  ev.Envelope,
		Recipient: ev.Recipient,
		Number:    int(ev.Attempts),
		Status:    k.status,
		Class:     k.class,
		Remote:    mail.Remote{Host: k.host},
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
		e.watchAliases()
		select {
		case <-e.flushNow:
		case <-tick.C:
		case <-e.flushed:
			e.markLogged()
			return
		}
	}
}

// watchAliases reads the file of aliases again when it has changed.
func (e *Engine) watchAliases() {
	if f := e.rules.Load().Resolve.Aliases; f != nil {
		if changed, err := f.Refresh(); changed || err != nil {
			e.o.Log.Store("aliases", err)
		}
	}
}

func (e *Engine) markLogged() {
	e.unflushed.Store(0)
	mark := e.queue.LogMark()
	ended := e.agents.takeEnded()
	if err := e.o.Log.Sync(); err != nil {
		e.agents.giveBack(ended)
		return
	}
	e.queue.Logged(mark)
	if len(ended) > 0 {
		e.o.Local.Forget(ended...)
	}
}
