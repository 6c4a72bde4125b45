package relay

import (
	"context"
	"sync"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/queue"
)

// source hands the jobs of one lane to one connection and settles them. It keeps
// the memory of the deliveries that its connection has in flight, so that a
// delivery allocates nothing once the connection runs.
type source struct {
	l *lane

	mu     sync.Mutex // guards following
	free   []*flight
	flying []*flight
}

// flight is one leased job on its way.
type flight struct {
	delivery mail.Delivery
	job      *queue.Job
	results  []queue.Result
	event    maillog.Attempt // scratch of logResult
	leased   time.Time
}

// Next implements mail.Source. It waits on the engine's pull context rather than
// ctx, so that a stopping engine hands out nothing new while connections finish
// what they have.
func (s *source) Next(ctx context.Context, wait time.Duration) *mail.Delivery {
	if ctx.Err() != nil || s.l.e.pull.Err() != nil {
		return nil
	}
	f := s.take()
	lease := queue.Lease{MaxRecipients: s.l.e.o.RecipientsPerTransaction, MixDomains: true}
	return s.fly(f, s.l.q.Next(s.l.e.pull, wait, lease, f.job))
}

// older returns a delivery of a message that arrived before the moment given, nil
// when there is none.
func (s *source) older(before time.Time) *mail.Delivery {
	f := s.take()
	return s.fly(f, s.l.q.NextOlder(before, s.l.e.o.RecipientsPerTransaction, f.job))
}

// fly makes a leased job a delivery; nil when there is no job.
func (s *source) fly(f *flight, job *queue.Job) *mail.Delivery {
	if job == nil {
		s.give(f)
		return nil
	}
	f.job, f.leased = job, s.l.e.o.Clock()
	d := &f.delivery
	d.Prepare(len(job.Recipients))
	d.Envelope = job.Envelope
	d.Recipients = append(d.Recipients, job.Recipients...)
	d.Body = job.Body
	d.Sender = job.Envelope.Sender
	s.mu.Lock()
	s.flying = append(s.flying, f)
	s.mu.Unlock()
	return d
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
