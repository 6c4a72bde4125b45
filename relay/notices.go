package relay

import (
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/bounce"
)

// noticeQuiet is how long after its first failure a message's other recipients
// are waited for, so that one notice tells of all.
const noticeQuiet = 10 * time.Second

// sendNotices ends failed recipients, one message at a time, each with the notice
// that tells of it: both are one record of the queue.
func (e *Engine) sendNotices() {
	defer e.connections.Done()
	for {
		job := e.queue.NextFailed(e.pull, noticeQuiet)
		if job == nil {
			return
		}
		e.endFailed(job)
	}
}

// endFailed composes the notice about a message's failed recipients, when one is
// owed, and ends them.
func (e *Engine) endFailed(job *queue.Job) {
	env, now := job.Envelope, e.o.Clock()
	var told []bounce.Recipient
	replies := make([]kept, len(job.Recipients))
	for i, index := range job.Recipients {
		f := &job.Failures[i]
		replies[i] = e.kept(f.Status)
		f.Status = replies[i].status
		if bounce.Owed(env, index, bounce.Failure) {
			told = append(told, bounce.Recipient{
				Index: index, Status: f.Status, Class: replies[i].class, Remote: replies[i].host, Attempts: int(f.Attempts),
			})
		}
	}
	draft, n := e.compose(bounce.Failure, env, job.Body, told, now)
	if n < 0 {
		job.Settle(make([]queue.Result, len(job.Recipients)))
		return
	}
	results := endsOf(job, told[n:], draft != nil)
	if draft != nil && draft.FitsWith(results) != nil { // it never will: they end without
		draft.Abort()
		draft, results = nil, endsOf(job, nil, false)
		e.o.Log.DSN(&maillog.Notice{Of: env, Kind: bounce.Failure.String(), Rule: "too_large"})
	}
	var id mail.ID
	if draft != nil {
		id = draft.Envelope().ID
	}
	for i, index := range job.Recipients {
		if f := &job.Failures[i]; results[i].State.Terminal() {
			e.logEnd(&results[i], &maillog.Attempt{
				Envelope: env, Recipient: index, Status: f.Status, Class: replies[i].class, Remote: mail.Remote{Host: replies[i].host}, Notice: id,
			})
		}
	}
	e.settleWith(job, results, draft)
}

// endsOf returns how a message's failed recipients end. Those of rest, for whom a
// notice had no room, stay for the next one.
func endsOf(job *queue.Job, rest []bounce.Recipient, noticed bool) []queue.Result {
	results := make([]queue.Result, len(job.Recipients))
	for i, index := range job.Recipients {
		f := &job.Failures[i]
		results[i] = queue.Result{State: queue.Bounced, Status: f.Status}
		switch {
		case noticed && isLeftOut(rest, index):
			results[i] = queue.Result{State: queue.Failed}
		case hasExpired(f.Status):
			results[i].State = queue.Expired
		}
	}
	return results
}

// settleWith settles a job with a notice. When the notice cannot be kept the job is
// settled without it: failed and late recipients stay for the next try, and of
// delivered ones the log says that nobody was told.
func (e *Engine) settleWith(job *queue.Job, results []queue.Result, draft *queue.Draft) {
	if draft == nil {
		job.Settle(results)
		return
	}
	kind := bounce.Relayed
	for i := range results {
		if results[i].Warned {
			kind = bounce.Delay
		}
	}
	failed := len(job.Failures) > 0
	if failed {
		kind = bounce.Failure
	}
	env := job.Envelope
	if job.SettleWith(results, draft) == nil {
		return
	}
	e.o.Log.DSN(&maillog.Notice{Of: env, Kind: kind.String(), Rule: "full"})
	for i := range results {
		results[i].Warned = false
		if failed && results[i].State.Terminal() {
			results[i].State = queue.Failed
			e.ledger.end(-1) // it was counted as ended
		}
	}
	job.Settle(results)
}

// isLeftOut reports a recipient that a notice had no room for.
func isLeftOut(rest []bounce.Recipient, index int) bool {
	for i := range rest {
		if rest[i].Index == index {
			return true
		}
	}
	return false
}

// logEnd writes the terminal event of a failed recipient.
func (e *Engine) logEnd(r *queue.Result, a *maillog.Attempt) {
	e.ledger.end(1)
	if r.State == queue.Expired {
		e.o.Metrics.Final(metrics.FinalExpired, 1)
		e.o.Log.Expired(a)
		return
	}
	e.o.Metrics.Final(metrics.FinalBounced, 1)
	e.o.Log.Bounced(a)
}

// compose writes a notice into a draft, nil when none is owed or it is withheld.
// It returns how many of the recipients it tells of, below 0 when the queue is closed.
func (e *Engine) compose(kind bounce.Kind, env *mail.Envelope, body mail.Body, told []bounce.Recipient, now time.Time) (*queue.Draft, int) {
	if len(told) == 0 {
		return nil, 0
	}
	rules := e.rules.Load()
	event := maillog.Notice{Of: env, Kind: kind.String(), Recipients: len(told)}
	if e.o.Guard != nil && !e.o.Guard.Allow(now, env.Sender) {
		event.Rule = "per_victim"
		e.o.Metrics.Notice(event.Kind, true)
		e.o.Log.DSN(&event)
		return nil, 0
	}
	draft, err := e.queue.NewNotice()
	if err != nil { // the queue is closed: the recipients stay failed and are told of after the next start
		return nil, -1
	}
	n := bounce.Notice{
		Kind: kind, Host: e.o.Hostname, ID: draft.Envelope().ID, Now: now, Envelope: env, Original: body,
		Recipients: told, Templates: rules.Templates,
	}
	text, made, err := bounce.Compose(nil, &n)
	if err == nil {
		_, err = draft.Write(text)
	}
	if err != nil {
		draft.Abort()
		event.Rule = "defect"
		e.o.Metrics.Notice(event.Kind, true)
		e.o.Log.DSN(&event)
		return nil, 0
	}
	n.FillEnvelope(draft.Envelope(), made)
	event.ID, event.Recipients, event.SizeBytes = n.ID, made.Recipients, draft.Size()
	e.o.Metrics.Notice(event.Kind, false)
	e.o.Log.DSN(&event)
	return draft, made.Recipients
}

// noticeAtSettle returns the notice that the results of a flight call for: about
// recipients that were delivered and whose sender wants to know, else about those
// that still wait and have waited long. It sets Result.Warned of the latter.
func (e *Engine) noticeAtSettle(l *lane, f *flight, now time.Time) *queue.Draft {
	env := f.delivery.Envelope
	if kind, ok := bounce.Told(l.to.hop.Kind, f.delivery.Remote.DSN); ok {
		if draft := e.successNotice(kind, f, now); draft != nil {
			return draft
		}
	}
	if e.o.WarnAfter <= 0 || e.age(env) < e.o.WarnAfter || e.clock.suspends(env.ArrivedMicro) {
		return nil
	}
	var told []bounce.Recipient
	for i := range f.results {
		r := &f.results[i]
		if r.State != queue.Deferred || f.job.Warned[i] {
			continue
		}
		r.Warned = true
		told = e.tellDelay(told, env, f.delivery.Recipients[i], kept{r.Status, f.delivery.Remote.Host, f.verdicts[i].Class}, int(f.job.Attempts[i])+1, now)
	}
	draft, _ := e.compose(bounce.Delay, env, f.delivery.Body, told, now)
	return draft
}

// tellDelay adds a recipient to those that a delay notice tells of, if it is owed.
func (e *Engine) tellDelay(told []bounce.Recipient, env *mail.Envelope, index int, k kept, attempts int, now time.Time) []bounce.Recipient {
	if !bounce.Owed(env, index, bounce.Delay) {
		return told
	}
	return append(told, bounce.Recipient{
		Index: index, Status: k.status, Class: k.class, Remote: k.host, Attempts: attempts, LastAttempt: now,
		RetryUntil: time.UnixMicro(env.ArrivedMicro).Add(e.o.Retry.Lifetime),
	})
}

func (e *Engine) successNotice(kind bounce.Kind, f *flight, now time.Time) *queue.Draft {
	env := f.delivery.Envelope
	var told []bounce.Recipient
	for i := range f.results {
		if index := f.delivery.Recipients[i]; f.results[i].State == queue.Delivered && bounce.Owed(env, index, kind) {
			told = append(told, bounce.Recipient{
				Index: index, Status: f.results[i].Status, Remote: f.delivery.Remote.Host, Attempts: int(f.job.Attempts[i]) + 1, LastAttempt: now,
			})
		}
	}
	draft, _ := e.compose(kind, env, f.delivery.Body, told, now)
	return draft
}

// kept parses a status of the queue. What an operator ended, or was kept by an older
// version, is classified by what it says.
func (e *Engine) kept(s mail.Status) kept {
	k := parseKept(s)
	if k.class == mail.ClassNone && !s.IsZero() && !s.OK() {
		k.class = e.rules.Load().Replies.Classify(k.status, "", k.host == "").Class
	}
	return k
}
