package queue

import (
	"context"
	"fmt"
	"math"
	"time"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
	"postrider/queue/internal/table"
)

// What table.Mark means.
const (
	markSoon    = table.Mark // of a Failed slot: it is in failing.soon
	markFailing = table.Mark // of one in flight: it was Failed before
)

// failing are the recipients that were refused for good and whose notice is to be
// written. Queue.mu guards the lists.
type failing struct {
	quiet table.List    // others of the message may follow; Due is when it failed
	soon  table.List    // to be handed out at Due
	kick  chan struct{} // one place; filled when a waiting NextFailed has to look
}

const (
	// maxFailures bounds the recipients of one notice: with their replies they fit
	// into a message that is kept with a settlement.
	maxFailures = 200
	// rowsPatience is how long the rows get to hold what was just settled.
	rowsPatience = 2 * tick
)

// NextFailed leases the recipients of one message that have failed, for a notice to
// their sender: those of a message of which nothing else is left at once, others when
// quiet has passed since the first of them failed, so that one notice tells of as many
// as may be, up to 200. It waits until there are some; at the end of ctx, and when the
// queue closes, it returns nil. With a ctx that has ended it does not wait.
//
// Job.Failures tells what is known of each. The job ends with SettleWith, or with
// Settle when no notice is owed, each recipient as Bounced or Expired. Given back as
// Failed or Ready, it waits again for as long as quiet.
func (q *Queue) NextFailed(ctx context.Context, quiet time.Duration) *Job {
	var timer *time.Timer
	for {
		j := &Job{q: q}
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			q.kickFailed() // the next one
			return nil
		}
		wait, leased := q.leaseFailedLocked(j, quiet)
		q.mu.Unlock()
		if leased {
			q.kickFailed() // there may be more
			if j.open() && j.readFailures() {
				return j
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		} else {
			timer.Reset(wait)
		}
		select {
		case <-q.failing.kick:
		case <-timer.C:
		case <-ctx.Done():
			q.kickFailed() // a kick may have come at the same time
			return nil
		}
	}
}

func (q *Queue) kickFailed() {
	select {
	case q.failing.kick <- struct{}{}:
	default:
	}
}

// leaseFailedLocked leases the next message with failed recipients, or says how long
// it takes until there may be one.
func (q *Queue) leaseFailedLocked(j *Job, quiet time.Duration) (time.Duration, bool) {
	if q.starvedLocked() || q.noticeRoom() != nil { // its notice could not be kept
		return housekeeping, false
	}
	now := q.o.Clock()
	wait := time.Duration(math.MaxInt64)
	for _, l := range [...]struct {
		i     uint32
		quiet time.Duration
	}{{q.failing.soon.Front(), 0}, {q.failing.quiet.Front(), quiet}} {
		if l.i == 0 {
			continue
		}
		s := q.tb.At(l.i)
		left := q.timeOf(s.Due).Add(l.quiet).Sub(now)
		if left <= 0 && !s.Has(table.Hot) && q.behind.Load() {
			left = rowsPatience // its settlement would have to wait for Pebble
		}
		if left <= 0 {
			q.takeFailedLocked(j, l.i)
			return 0, true
		}
		wait = min(wait, left)
	}
	return wait, false
}

// takeFailedLocked leases the failed recipients of slot i's message into j.
func (q *Queue) takeFailedLocked(j *Job, i uint32) {
	s := q.tb.At(i)
	b := q.bk.At(s.Bucket)
	d := q.dests[b.Dest]
	j.id, j.failed = q.tb.ID(i), true
	j.Flow, j.Band, j.Via, j.Domain = b.Flow, b.Band, d.via, d.domain
	if s.Has(table.Hot) {
		j.e = q.hot[s.Link]
	}
	for _, k := range q.slotsLocked(i, j.e) {
		if State(q.tb.At(k).State()) == Failed && len(j.slots) < maxFailures {
			j.slots = append(j.slots, k)
		}
	}
	q.takeLocked(j)
	for _, k := range j.slots {
		s := q.tb.At(k)
		s.Set(markFailing, true)
		r := RecipientState{
			Index: int(s.Rcpt), State: Failed, Version: s.Version, Attempts: uint16(s.Attempts),
			Lane: q.destOfLocked(s).lane.key, Flow: q.flows.name(b.Flow), Warned: s.Has(table.Warned),
		}
		if j.e != nil && j.e.reply != nil {
			r.Status = j.e.reply[s.Rcpt].status()
			r.Status.Text = append([]byte(nil), r.Status.Text...)
		}
		j.Failures = append(j.Failures, r)
	}
}

// failLocked enters a slot that has failed.
func (q *Queue) failLocked(i uint32, s *table.Slot) {
	s.Set(markSoon, false)
	s.Due = q.passed(q.o.Clock())
	q.failing.quiet.PushBack(q.tb, i)
	if q.failing.quiet.Len() == 1 {
		q.kickFailed()
	}
}

// unfailLocked takes a failed slot out of its list.
func (q *Queue) unfailLocked(i uint32, s *table.Slot) {
	if s.Has(markSoon) {
		q.failing.soon.Remove(q.tb, i)
		s.Set(markSoon, false)
		return
	}
	q.failing.quiet.Remove(q.tb, i)
}

// soonLocked lets a failed slot be handed out without waiting for others. Of a moved
// message the reply is in the rows, which get a moment to hold it.
func (q *Queue) soonLocked(i uint32) {
	s := q.tb.At(i)
	if s.Has(markSoon) {
		return
	}
	q.failing.quiet.Remove(q.tb, i)
	s.Set(markSoon, true)
	now := q.o.Clock()
	if !s.Has(table.Hot) {
		now = now.Add(rowsPatience)
	}
	s.Due = q.passed(now)
	q.failing.soon.PushBack(q.tb, i)
	if q.failing.soon.Len() == 1 {
		q.kickFailed()
	}
}

// loadedLocked looks whether nothing but failed recipients is left of the message
// whose slots are given: then no other will follow them.
func (q *Queue) loadedLocked(slots []uint32) {
	if q.states[Failed] == 0 {
		return
	}
	for _, i := range slots {
		if State(q.tb.At(i).State()) != Failed {
			return
		}
	}
	for _, i := range slots {
		q.soonLocked(i)
	}
}

// wholeLocked is loadedLocked for the message of slot i, which waits, or was just
// freed by reapLocked.
func (q *Queue) wholeLocked(e *entry, i uint32, reaped bool) {
	if q.states[Failed] == 0 {
		return
	}
	if reaped {
		if len(q.reapKeep) == 0 {
			return
		}
		i = q.reapKeep[0]
	}
	q.loadedLocked(q.slotsLocked(i, e))
}

// leasedFrom returns the state to which a slot in flight returns when nothing comes
// of its lease.
func leasedFrom(s *table.Slot) State {
	if s.Has(markFailing) {
		return Failed
	}
	return Ready
}

// flagsOf returns a slot's flags as they rest on disk.
func flagsOf(s *table.Slot) uint8 {
	if s.Has(table.Warned) {
		return record.FlagWarned
	}
	return 0
}

// readFailures completes the failures of a moved message from its rows. When those do
// not hold the last change yet it gives the job back, for a moment later, and returns
// false.
func (j *Job) readFailures() bool {
	if j.e != nil {
		return true
	}
	q := j.q
	var rcpt rows.Recipient
	var row []byte
	for k := range j.Failures {
		r := &j.Failures[k]
		j.key = rows.RecipientKey(j.key[:0], j.id, uint32(r.Index))
		found, err := rowOf(q.st.db, j.key, &row, &rcpt)
		if err != nil {
			q.alarm("damage", fmt.Errorf("recipient %d of %v: %w", r.Index, j.id, err))
			continue // the notice will lack its reply
		}
		if found && rcpt.Version < r.Version {
			j.later()
			return false
		}
		r.Status = mail.Status{Code: rcpt.Code, Enhanced: rcpt.Enhanced, Text: append([]byte(nil), rcpt.Text...)}
	}
	return true
}

// later gives the job back until the rows hold what was settled.
func (j *Job) later() {
	q := j.q
	slots := append([]uint32(nil), j.slots...)
	j.Settle(make([]Result, len(j.slots)))
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, i := range slots {
		// It may have been dropped, and another wait in its slot; that is no harm.
		if State(q.tb.At(i).State()) == Failed {
			q.soonLocked(i)
		}
	}
	q.kickWorker()
}
