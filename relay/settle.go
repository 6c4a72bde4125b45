package relay

import (
	"errors"
	"time"

	"postrider/internal/mail"
	"postrider/queue"
	"postrider/relay/classify"
	"postrider/relay/schedule"
)

// expiredPrefix opens the reason of a recipient that waited out its lifetime;
// what the last attempt heard follows it.
const expiredPrefix = "expired, last: "

// settle decides what each outcome of a flight means, tells the lane's gates,
// writes the event lines and hands the results to the queue. The log line comes
// first: a reader may see an event twice after a crash, never miss one.
func (e *Engine) settle(l *lane, f *flight) {
	d, now := &f.delivery, e.o.Clock()
	e.classifyAll(l, f)
	effect := e.report(l, f, now)
	f.results = f.results[:0]
	answered := false
	for i := range d.Outcomes {
		r := e.judge(l, f, i, effect, now)
		answered = answered || r.Attempt
		f.results = append(f.results, r)
	}
	notice := e.noticeAtSettle(l, f, now)
	for i := range f.results {
		e.logResult(l, f, i, &f.results[i])
		if r := &f.results[i]; r.State == queue.Failed || r.State == queue.Deferred {
			r.Status = kept{r.Status, d.Remote.Host, f.verdicts[i].Class}.keep()
		}
	}
	if answered {
		e.countTimes(d, f.leased.Sub(f.job.ReadySince), now.Sub(f.leased))
	}
	if l.to.hop.Kind == mail.HopLocal {
		e.agents.keyed(d.Envelope.ID)
	}
	e.settleWith(f.job, f.results, notice)
}

// classifyAll finds out what each outcome tells.
func (e *Engine) classifyAll(l *lane, f *flight) {
	f.verdicts = f.verdicts[:0]
	for i := range f.delivery.Outcomes {
		d := &f.delivery
		if d.Broken != mail.ClassNone && d.Outcomes[i].Temporary() && d.Outcomes[i].Enhanced.Subject == 4 {
			f.verdicts = append(f.verdicts, classify.Verdict{Class: d.Broken})
			continue
		}
		// Without a session nobody but us has said it.
		f.verdicts = append(f.verdicts, e.judgeReply(l, d.Outcomes[i], d.Remote.Session == 0))
	}
}

// judgeReply judges a reply by the rules in force; ours says that it is none, but what
// we say for want of one.
func (e *Engine) judgeReply(l *lane, s mail.Status, ours bool) classify.Verdict {
	if s.IsZero() || s.OK() {
		return classify.Verdict{}
	}
	return e.rules.Load().Replies.Classify(s, l.to.provider, ours)
}

// report tells the gates how a transaction went, once for all its recipients: one
// that was answered about its message or its recipients went well, whatever the
// answer.
func (e *Engine) report(l *lane, f *flight, now time.Time) schedule.Effect {
	if l.gates == nil {
		return schedule.Effect{Private: true}
	}
	d := &f.delivery
	answered, trouble := false, -1
	for i, st := range d.Outcomes {
		switch {
		case st.IsZero():
		case f.refusesMix(st):
			answered = true
		case f.verdicts[i].Class.Site() && !f.verdicts[i].Permanent(st), f.verdicts[i].Class == mail.ClassReputation:
			trouble = i // a block is about the source, and usually for good by its code
		default:
			answered = true
		}
	}
	addr := d.Remote.Addr.Addr()
	switch {
	case trouble >= 0:
		v := f.verdicts[trouble]
		l.hearTrouble(kept{d.Outcomes[trouble], d.Remote.Host, v.Class}, now)
		effect := l.gates.Trouble(now, f.job.Flow, addr, v.Class, v.Wait)
		e.act(l, f, effect, v, d.Outcomes[trouble], now)
		return effect
	case answered:
		more := l.gates.Success(now, f.job.Flow, addr, now.Sub(f.leased))
		if l.broken.Load() {
			l.note(now, nil)
		}
		if more {
			l.wake()
		}
	}
	return schedule.Effect{Private: true}
}

// act does what the gates have decided on: it suspends a flow, or tells that the
// lane is closed.
func (e *Engine) act(l *lane, f *flight, effect schedule.Effect, v classify.Verdict, st mail.Status, now time.Time) {
	if effect.SuspendFlow > 0 {
		until := now.Add(effect.SuspendFlow)
		flow := f.job.Flow
		l.q.With(func(o queue.Order) {
			if s, ok := o.(suspender); ok {
				s.Suspend(flow, until.UnixMilli())
			}
		})
		l.suspendedFlow(e.queue.FlowName(flow), v.Class, st, &f.delivery.Remote, until)
	}
	if effect.Opened {
		l.note(now, nil)
	}
}

// suspender is an order that can pass over a flow for a while.
type suspender interface {
	Suspend(flow uint32, untilMilli int64)
}

// judge turns one outcome into what the queue records.
func (e *Engine) judge(l *lane, f *flight, i int, effect schedule.Effect, now time.Time) queue.Result {
	d, v := &f.delivery, f.verdicts[i]
	outcome := d.Outcomes[i]
	attempts := int(f.job.Attempts[i]) + 1
	age := e.age(d.Envelope)
	r := queue.Result{Status: outcome, Attempt: true}
	switch {
	case d.Corrupt:
		r.State, r.Attempt = queue.Quarantined, false
	case outcome.IsZero(): // untried: the connection ended before its turn
		return queue.Result{State: queue.Ready}
	case l.to.hop.Kind == mail.HopHold:
		r.State, r.Attempt = queue.Held, false
	case l.to.hop.Kind == mail.HopDiscard:
		r.State, r.Attempt = queue.Dropped, false
	case outcome.OK():
		r.State = queue.Delivered
	case f.refusesMix(outcome):
		l.oneDomain.Store(true)
		return queue.Result{State: queue.Ready}
	case v.Permanent(outcome) && e.triesAnother(l, f, v.Class, attempts):
		r.State = queue.Deferred
		r.Due = now.Add(e.o.Retry.Next(v.Class, attempts, age, v.Wait, e.random()))
	case v.Permanent(outcome):
		r.State = queue.Failed
	case age >= e.o.Retry.Lifetime && !e.clock.suspends(d.Envelope.ArrivedMicro):
		r.State = queue.Failed
		r.Status = expired(outcome)
	case v.Class.Site() && !effect.Private && !d.DotSent:
		// The trouble is the site's, and its gates know: the recipient goes on waiting
		// with the others, and nothing is written about it.
		return queue.Result{State: queue.Ready}
	default:
		r.State = queue.Deferred
		wait := e.o.Retry.Next(v.Class, attempts, age, v.Wait, e.random())
		if left := e.o.Retry.Lifetime - age; left > 0 {
			wait = min(wait, left) // the last attempt ends the lifetime
		}
		r.Due = now.Add(wait)
	}
	return r
}

// blockedTries is how often a recipient is tried whose source is refused for good
// while its pool has others.
const blockedTries = 3

// triesAnother reports a recipient that was refused for the sake of its source, when
// another one of the pool may be liked better: the source will rest at the site if
// it is blocked there.
func (e *Engine) triesAnother(l *lane, f *flight, class mail.Class, attempts int) bool {
	if class != mail.ClassReputation || attempts >= blockedTries || l.gates == nil {
		return false
	}
	plan := e.rules.Load().Routes.Lookup([]byte(f.job.Domain), parseVia([]byte(f.job.Via)).selector)
	return len(plan.Pool.Sources) > 1
}

// reroute returns the via of a recipient that has had so many attempts: a route may
// have a fallback for what was tried often enough.
func (e *Engine) reroute(domain, text []byte, attempts int) []byte {
	v := parseVia(text)
	if v.marks&markFallback != 0 {
		return text
	}
	plan := e.rules.Load().Routes.Lookup(domain, v.selector)
	if plan.Fallback == nil || plan.At(attempts) == plan {
		return text
	}
	v.marks |= markFallback
	return e.vias.text(v)
}

// expired is the permanent failure that takes the place of one more retry
// (RFC 3463: X.4.7, delivery time expired).
func expired(last mail.Status) mail.Status {
	text := append([]byte(expiredPrefix), last.AppendText(nil)...)
	return mail.Status{Code: 554, Enhanced: mail.Enhanced{Class: 5, Subject: 4, Detail: 7}, Text: text}
}

// hasExpired tells an expired recipient from a refused one.
func hasExpired(s mail.Status) bool {
	return s.Enhanced == mail.Enhanced{Class: 5, Subject: 4, Detail: 7}
}

// age is how long ago a message was accepted; never negative, whatever the
// clock did since.
func (e *Engine) age(env *mail.Envelope) time.Duration {
	return max(0, time.Duration(e.o.Clock().UnixMicro()-env.ArrivedMicro)*time.Microsecond)
}

// statusOf is what an error of a transport says about its hop, in words that can
// be shown to anybody.
func statusOf(err error) mail.Status {
	var s interface{ MailStatus() mail.Status }
	if errors.As(err, &s) {
		return s.MailStatus()
	}
	return statusNoConnection
}

var statusNoConnection = mail.NewStatus(451, 4, 4, 1, "no connection to the next hop")
