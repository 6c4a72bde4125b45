package relay

import (
	"bytes"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/queue"
	"postrider/relay/bounce"
	"postrider/relay/classify"
	"postrider/relay/schedule"
)

// Between these bounds the sweeper looks twenty times in the shortest time that it
// must keep.
const (
	leastSweep = 500 * time.Millisecond
	mostSweep  = time.Minute
)

// sweep ends what has waited out its lifetime and warns of what is late, where it is
// not tried. What is tried is judged when it is settled.
func (e *Engine) sweep() {
	defer e.connections.Done()
	span := e.o.Retry.Lifetime
	if e.o.WarnAfter > 0 {
		span = min(span, e.o.WarnAfter)
	}
	tick := time.NewTicker(min(max(span/20, leastSweep), mostSweep))
	defer tick.Stop()
	halve := time.NewTicker(time.Hour / meterHalvings)
	defer halve.Stop()
	for {
		select {
		case <-e.pull.Done():
			return
		case <-halve.C:
			e.bulk.halve()
		case <-e.rebindNow:
			e.queue.Rebind()
		case <-tick.C:
			e.sweepLanes()
		}
	}
}

// rebindSoon has every domain bound anew, by the sweeper.
func (e *Engine) rebindSoon() {
	select {
	case e.rebindNow <- struct{}{}:
	default: // it is asked already
	}
}

func (e *Engine) sweepLanes() {
	e.restsOver()
	if e.dir != nil {
		e.dir.Refresh()
	}
	e.mu.Lock()
	lanes := make([]*lane, 0, len(e.lanes))
	for _, l := range e.lanes {
		lanes = append(lanes, l)
	}
	e.mu.Unlock()
	for _, l := range lanes {
		if e.pull.Err() != nil {
			return
		}
		if l.q.ReadyCount() == 0 {
			continue
		}
		reason, grace := l.reason()
		l.expire(reason, grace)
		l.warn(reason, grace)
	}
}

// restsOver has mail bound anew when a source has rested long enough.
func (e *Engine) restsOver() {
	now, over := e.o.Clock(), false
	e.restsMu.Lock()
	for k, until := range e.resting {
		if !now.Before(until) {
			delete(e.resting, k)
			over = true
		}
	}
	for key, f := range e.failures {
		if !now.Before(f.until) {
			delete(e.failures, key)
			over = true
		}
	}
	e.restsMu.Unlock()
	if over {
		e.rebindSoon()
	}
}

// movingGrace is how much longer what waits may take where mail moves: there it is
// judged when its turn comes, which may be soon. It never comes for a sender who is
// suspended over and over, and late where a site takes less than it gets.
const movingGrace = 20

// reason tells why a lane's mail does not move. What is said last counts, though the
// lane may just be trying again. Where mail moves there is a grace, of one part in so
// many of the time that is to be kept; 0: there is none.
func (l *lane) reason() (reason kept, grace int) {
	noTurn := kept{status: statusNoTurn, class: mail.ClassOther}
	switch {
	case l.to.resolves:
		return kept{status: statusNoDNS, class: mail.ClassDNS}, 0
	case l.e.transport(l.to.hop.Kind) == nil:
		return kept{status: statusNoRouteYet, class: mail.ClassOther}, 0
	case l.gates == nil:
		return noTurn, movingGrace
	}
	now := l.e.o.Clock()
	l.mu.Lock()
	said, noDNS := l.said, now.Before(l.dnsUntil)
	l.mu.Unlock()
	if noDNS {
		return said, 0
	}
	s := l.gates.State(now)
	if s.Gate != schedule.GateBreaker && s.Gate != schedule.GateCanary {
		grace = movingGrace
	}
	if reason = l.lastSaid(&s); reason.status.IsZero() {
		reason = noTurn
	}
	return reason, grace
}

// lastSaid is the reply behind a state of the gates: the words of a transaction's
// reply are the lane's own to remember.
func (l *lane) lastSaid(s *schedule.State) kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.said.status.IsZero() && (s.Reason.IsZero() || !l.saidAt.Before(s.ReasonAt)) {
		return l.said
	}
	return kept{status: s.Reason, class: s.Class}
}

// hearTrouble remembers the words of a reply that tells of the site's trouble.
func (l *lane) hearTrouble(k kept, now time.Time) {
	k.status.Text = bytes.Clone(k.status.Text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said, l.saidAt = k, now
}

// reasonOf is reason for mail of a domain, whose look-up may have failed for reasons
// of its own.
func (e *Engine) reasonOf(l *lane, reason kept, domain string) kept {
	if l.to.resolves {
		if a := e.dir.Find([]byte(domain)); !a.Status.IsZero() {
			reason.status = a.Status
		}
	}
	return reason
}

// graced is a span with a grace, if there is one.
func graced(span time.Duration, grace int) time.Duration {
	if grace == 0 {
		return span
	}
	return span + span/time.Duration(grace)
}

var statusNoTurn = mail.NewStatus(451, 4, 4, 5, "its turn has not come yet") // RFC 3463: X.4.5, congestion

var statusNoDNS = mail.NewStatus(451, 4, 4, 3, "the mail exchangers of the domain cannot be looked up")

// expire ends recipients that have waited out their lifetime, and a grace, without
// being tried, wherever in their lane's line they stand.
func (l *lane) expire(reason kept, grace int) {
	e := l.e
	src := &source{l: l, lease: queue.Lease{MaxRecipients: e.o.RecipientsPerTransaction}}
	for e.pull.Err() == nil && !e.ExpirySuspended() {
		// By whole milliseconds that have passed, so that each is judged as old.
		f := src.older(e.o.Clock().Add(-graced(e.o.Retry.Lifetime, grace)))
		if f == nil {
			return
		}
		e.settleExpired(l, f, reason)
		src.give(f)
	}
}

// settleExpired fails what is too old without having been tried again.
func (e *Engine) settleExpired(l *lane, f *flight, reason kept) {
	reason = e.reasonOf(l, reason, f.job.Domain)
	f.results, f.verdicts = f.results[:0], f.verdicts[:0]
	for i := range f.job.Recipients {
		f.delivery.Set(i, expired(reason.status))
		f.delivery.Remote.Host = reason.host
		f.verdicts = append(f.verdicts, classify.Verdict{Class: reason.class})
		f.results = append(f.results, queue.Result{State: queue.Failed, Status: f.delivery.Outcomes[i]})
		e.logResult(l, f, i, &f.results[i])
		f.results[i].Status = kept{f.results[i].Status, reason.host, reason.class}.keep()
	}
	f.job.Settle(f.results)
}

// warn sends the notices about recipients that are late and have not been told of,
// and marks them so that each is told of once.
func (l *lane) warn(reason kept, grace int) {
	e := l.e
	if e.o.WarnAfter <= 0 {
		return
	}
	src := &source{l: l}
	for e.pull.Err() == nil && !e.ExpirySuspended() {
		now := e.o.Clock()
		f := src.take()
		job := l.q.NextLate(now.Add(-graced(e.o.WarnAfter, grace)), f.job)
		if job == nil {
			src.give(f)
			return
		}
		f.job = job
		e.warnOf(l, f, reason, now)
		src.give(f)
	}
}

func (e *Engine) warnOf(l *lane, f *flight, reason kept, now time.Time) {
	job := f.job
	reason = e.reasonOf(l, reason, job.Domain)
	var told []bounce.Recipient
	f.results = f.results[:0]
	for i, index := range job.Recipients {
		f.results = append(f.results, queue.Result{State: queue.Ready, Warned: true})
		told = e.tellDelay(told, job.Envelope, index, reason, int(job.Attempts[i]), now)
	}
	draft, _ := e.compose(bounce.Delay, job.Envelope, job.Body, told, now)
	var notice mail.ID
	if draft != nil {
		notice = draft.Envelope().ID
	}
	for _, index := range job.Recipients {
		e.o.Log.Delayed(&maillog.Attempt{
			Envelope: job.Envelope, Recipient: index, Site: l.to.site, Status: reason.status, Class: reason.class,
			Remote: mail.Remote{Host: reason.host}, Notice: notice,
		})
	}
	e.settleWith(job, f.results, draft)
}
