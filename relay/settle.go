package relay

import (
	"errors"
	"time"

	"postrider/internal/mail"
	"postrider/queue"
)

// expiredPrefix opens the reason of a recipient that waited out its lifetime;
// what the last attempt heard follows it.
const expiredPrefix = "expired, last: "

// settle decides what each outcome of a flight means, writes the event lines and
// hands the results to the queue. The log line comes first: a reader may see an
// event twice after a crash, never miss one.
func (e *Engine) settle(l *lane, f *flight) {
	d, now := &f.delivery, e.o.Clock()
	age := e.age(d.Envelope)
	f.results = f.results[:0]
	answered := false
	for i, outcome := range d.Outcomes {
		attempts := int(f.job.Attempts[i]) + 1
		r := e.judge(l.hop.Kind, d, outcome, attempts, age, now)
		answered = answered || r.Attempt
		f.results = append(f.results, r)
		e.logResult(l, f, i, attempts, &f.results[i])
	}
	if answered {
		e.countTimes(d, f.leased.Sub(f.job.ReadySince), now.Sub(f.leased))
		l.served()
	}
	f.job.Settle(f.results)
}

// judge turns one outcome into what the queue records.
func (e *Engine) judge(hop mail.HopKind, d *mail.Delivery, outcome mail.Status, attempts int, age time.Duration, now time.Time) queue.Result {
	r := queue.Result{Status: outcome, Attempt: true}
	switch {
	case d.Corrupt:
		r.State, r.Attempt = queue.Quarantined, false
	case outcome.IsZero(): // untried: the connection ended before its turn
		return queue.Result{State: queue.Ready}
	case hop == mail.HopHold:
		r.State, r.Attempt = queue.Held, false
	case hop == mail.HopDiscard:
		r.State, r.Attempt = queue.Dropped, false
	case outcome.OK():
		r.State = queue.Delivered
	case outcome.Permanent():
		r.State = queue.Failed
	case age >= e.o.Retry.Lifetime && !e.clock.suspends(d.Envelope.ArrivedMicro):
		r.State = queue.Failed
		r.Status = expired(outcome)
	default:
		r.State = queue.Deferred
		wait := e.o.Retry.next(attempts, age, e.random())
		if left := e.o.Retry.Lifetime - age; left > 0 {
			wait = min(wait, left) // the last attempt ends the lifetime
		}
		r.Due = now.Add(wait)
	}
	return r
}

// expired is the permanent failure that takes the place of one more retry
// (RFC 3463: X.4.7, delivery time expired).
func expired(last mail.Status) mail.Status {
	text := append([]byte(expiredPrefix), last.AppendText(nil)...)
	return mail.Status{Code: 554, Enhanced: mail.Enhanced{Class: 5, Subject: 4, Detail: 7}, Text: text}
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
