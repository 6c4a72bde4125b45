package relay

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/classify"
)

// source hands the jobs of one lane to one connection and settles them. It keeps
// the memory of the deliveries that its connection has in flight, so that a
// delivery allocates nothing once the connection runs.
type source struct {
	l     *lane
	lease queue.Lease
	heard bool          // the gates know why the connection did not come up
	took  bool          // it was given something
	addr  netip.Addr    // of the target that it is with; zero: none yet
	dns   time.Duration // that its addresses took; its first delivery gets it

	mu     sync.Mutex // guards following
	free   []*flight
	flying []*flight
}

// flight is one leased job on its way.
type flight struct {
	delivery mail.Delivery
	job      *queue.Job
	results  []queue.Result
	verdicts []classify.Verdict
	event    maillog.Attempt // scratch of logResult
	leased   time.Time
}

// Next implements mail.Source. It waits on the engine's pull context rather than
// ctx, so that a stopping engine hands out nothing new while connections finish
// what they have.
func (s *source) Next(ctx context.Context, wait time.Duration) *mail.Delivery {
	e, l := s.l.e, s.l
	for ctx.Err() == nil && e.pull.Err() == nil {
		f := s.take()
		lease := s.lease
		lease.MixDomains = lease.MixDomains && !l.oneDomain.Load()
		job := l.q.Next(e.pull, wait, lease, f.job)
		if job == nil {
			s.give(f)
			return nil
		}
		if l.to.hop.Kind == mail.HopMX && !l.to.resolves && !e.fresh(job) {
			job.Settle(s.untried(f, job)) // its domain is being asked for again, and has left this lane
			s.give(f)
			continue
		}
		if l.gates == nil {
			return s.fly(f, job)
		}
		ok, pause := l.gates.Take(e.o.Clock(), job.Flow)
		if ok {
			return s.fly(f, job)
		}
		job.Settle(s.untried(f, job))
		s.give(f)
		if pause <= 0 || pause > wait || !e.pause(pause) {
			return nil
		}
		wait -= pause
	}
	return nil
}

// untried is what gives a job back as if it had not been leased.
func (s *source) untried(f *flight, job *queue.Job) []queue.Result {
	f.job = job
	f.results = f.results[:0]
	for range job.Recipients {
		f.results = append(f.results, queue.Result{State: queue.Ready})
	}
	return f.results
}

// hear passes on what came of a target.
func (s *source) hear(h mail.Hearing) {
	l := s.l
	now := l.e.o.Clock()
	s.heard = s.heard || !h.Connect
	if h.Connect {
		s.addr = h.Target.Addr.Addr()
	}
	if !h.Connect && h.Class == mail.ClassNone {
		v := l.e.judgeReply(l, h.Status, false)
		h.Class = v.Class
	}
	if !h.Connect {
		l.site.Attempts(metrics.ResultConnFail, 1)
		if h.Class != mail.ClassNone {
			l.site.Reply(h.Class.String())
		}
		l.hearTrouble(kept{h.Status, h.Target.Host, h.Class}, now)
	}
	l.gates.Heard(now, h)
	if !h.Connect {
		l.note(now, nil)
	}
}

// older leases recipients of a message that arrived before the moment given, nil
// when there are none.
func (s *source) older(before time.Time) *flight {
	f := s.take()
	job := s.l.q.NextOlder(before, s.lease.MaxRecipients, f.job)
	if job == nil {
		s.give(f)
		return nil
	}
	f.fill(job, s.l.e.o.Clock())
	return f
}

// fly makes a leased job a delivery that is on its way.
func (s *source) fly(f *flight, job *queue.Job) *mail.Delivery {
	s.took = true
	f.fill(job, s.l.e.o.Clock())
	f.delivery.Sender = s.l.e.senderOf(job)
	f.delivery.Timings.DNS, s.dns = s.dns, 0
	s.mu.Lock()
	s.flying = append(s.flying, f)
	s.mu.Unlock()
	return &f.delivery
}

// fill makes the delivery of a job.
func (f *flight) fill(job *queue.Job, now time.Time) {
	f.job, f.leased = job, now
	d := &f.delivery
	d.Prepare(len(job.Recipients))
	d.Envelope = job.Envelope
	d.Recipients = append(d.Recipients, job.Recipients...)
	d.Body = job.Body
	d.Sender = job.Envelope.Sender
}

// Done implements mail.Source: it writes the outcomes to the log and gives them
// to the queue.
func (s *source) Done(d *mail.Delivery) {
	f := s.land(d)
	if f == nil {
		return
	}
	s.l.e.settle(s.l, f)
	s.give(f)
}

// release gives every job back untried that a connection left behind.
func (s *source) release() {
	for {
		s.mu.Lock()
		n := len(s.flying)
		if n == 0 {
			s.mu.Unlock()
			return
		}
		d := &s.flying[n-1].delivery
		s.mu.Unlock()
		s.Done(d)
	}
}

func (s *source) take() *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		f := s.free[n-1]
		s.free = s.free[:n-1]
		return f
	}
	return &flight{}
}

func (s *source) give(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, f)
}

// land takes the flight of d out of those on their way; nil when d is not one.
func (s *source) land(d *mail.Delivery) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.flying {
		if &f.delivery == d {
			last := len(s.flying) - 1
			copy(s.flying[i:], s.flying[i+1:])
			s.flying[last] = nil
			s.flying = s.flying[:last]
			return f
		}
	}
	return nil
}
