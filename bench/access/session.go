package access

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// session plays the sessions of one connection, one after another.
type session struct {
	o       *Options
	b       *Bench
	tally   *tally
	rng     *rand.Rand
	pop     pop3
	imap    imap
	box     *mailbox
	op      operation // at hand
	begun   time.Time // of op
	list    []item    // of the mailbox, as the server has it
	uids    []uint64  // scratch
	scratch []byte
	text    examined     // of RETR
	bad     report       // counts a violation of op
	over    func() error // not nil: the run was cut, failures count no more
}

func newSession(ctx context.Context, b *Bench, t *tally, rng *rand.Rand) *session {
	s := &session{o: &b.o, b: b, tally: t, rng: rng, over: ctx.Err}
	s.bad = func(format string, args ...any) { s.tally.violation(s.op, s.box, format, args...) }
	return s
}

// start begins an operation.
func (s *session) start(op operation) { s.startAt(op, time.Now()) }

func (s *session) startAt(op operation, begun time.Time) { s.op, s.begun = op, begun }

// done ends it; err is returned as it is.
func (s *session) done(items, bytes int64, err error) error {
	switch {
	case err == nil:
		s.tally.done(s.op, time.Since(s.begun), items, bytes)
	case s.over() != nil:
	case errors.Is(err, errMalformed):
		s.bad("%v", err)
		s.tally.failed(s.op)
	default:
		s.tally.failed(s.op)
	}
	return err
}

// play is one session.
func (s *session) play(ctx context.Context, sl slot) error {
	s.box = sl.box
	err := s.dialogue(ctx, sl.due)
	s.pop.shut()
	s.imap.shut()
	if err == nil {
		s.startAt(opSession, sl.due)
		return s.done(1, 0, nil)
	}
	if s.over() == nil {
		s.tally.failed(opSession)
	}
	return err
}

func (s *session) dialogue(ctx context.Context, due time.Time) error {
	s.startAt(opLogin, due)
	if s.o.Protocol == pop3Name {
		err := s.pop.begin(ctx, s.o, s.b.tls, s.box.name)
		if err := s.done(0, 0, err); err != nil {
			return err
		}
		if s.o.Workload == Download {
			return s.download()
		}
		return s.pollPOP3()
	}
	s.imap.onFetch, s.imap.onGone, s.imap.onFound, s.imap.onExists = nil, nil, nil, nil
	err := s.imap.begin(ctx, s.o, s.b.tls, s.box.name)
	if err := s.done(0, 0, err); err != nil {
		return err
	}
	switch s.o.Workload {
	case Sync:
		return s.synchronise()
	case Webmail:
		return s.webmail()
	}
	return s.pollIMAP()
}

// look compares one mailbox with the model and changes nothing.
func (s *session) look(ctx context.Context, box *mailbox, texts bool) error {
	s.box = box
	defer s.pop.shut()
	defer s.imap.shut()
	s.start(opLogin)
	if s.o.Protocol != pop3Name {
		if err := s.done(0, 0, s.imap.begin(ctx, s.o, s.b.tls, box.name)); err != nil {
			return err
		}
		return s.lookIMAP(texts)
	}
	if err := s.done(0, 0, s.pop.begin(ctx, s.o, s.b.tls, box.name)); err != nil {
		return err
	}
	return s.lookPOP3(texts)
}
