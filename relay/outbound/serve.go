package outbound

import (
	"context"
	"errors"

	"postrider/internal/mail"
)

// Serve connects as eg says and sends what src gives, until src has nothing for the
// idle time or the connection has lived its life; then it returns nil. Once quiet
// is closed (nil: never) it pulls nothing more and finishes what is under way; a
// connection that is still being set up is given up. When ctx ends it breaks off
// what is under way: a recipient whose text may have been taken whole is told
// from the others by Delivery.DotSent, as after any break.
//
// A message that needs an extension which the server lacks goes to the servers of
// other targets before it is failed, on connections of this Serve one after the
// other. A message that is to be sent encrypted (RFC 8689) waits for no policy: it
// is sent so or failed. One that waives encryption is for its source to put where
// mail.TLSMay is the policy.
//
// An *Error says that no connection has done any good: none could be set up, and
// nothing was pulled from src, or it broke before any delivery was accepted.
// A connection that breaks later, as servers do to limit its use, is no error:
// the outcomes of the deliveries tell.
func (t *Transport) Serve(ctx context.Context, quiet <-chan struct{}, eg *mail.Egress, src mail.Source) error {
	s, _ := t.idle.Get().(*session)
	if s == nil {
		s = &session{}
	}
	defer func() {
		s.hangUp()
		s.eg, s.src, s.target, s.tries = nil, nil, nil, tries{} // what is pooled holds on to nobody's messages
		t.idle.Put(s)
	}()
	s.begin(t, eg, src)
	err := s.connection(ctx, quiet)
	for s.held != nil {
		s.hangUp()
		if gone := s.connection(ctx, quiet); gone != nil && s.held != nil {
			s.giveUp(gone)
		}
	}
	return err
}

// connection is one connection from the dial to its end.
func (s *session) connection(ctx context.Context, quiet <-chan struct{}) error {
	setUp, done := untilQuiet(ctx, quiet)
	defer done()
	switch err := s.reach(setUp); {
	case setUp.Err() != nil: // nothing was pulled
		s.giveUp(nil)
		return nil
	case err != nil:
		return err
	}
	done()
	defer s.cutAt(ctx)()
	return s.run(ctx, quiet)
}

// giveUp ends what is held, if anything is, since no other server could be
// reached: untried when that was our wish (nil).
func (s *session) giveUp(err error) {
	d := s.held
	if d == nil {
		return
	}
	s.held = nil
	if e := (*Error)(nil); errors.As(err, &e) {
		status := statusNoOther
		if !e.Status.Permanent() { // a refusal of the whole server is none of the message
			status = e.Status
		}
		d.SetRest(status)
	}
	s.src.Done(d)
}

// untilQuiet returns a context that ends with ctx or when quiet is closed,
// whichever comes first. The function it returns releases what it holds.
func untilQuiet(ctx context.Context, quiet <-chan struct{}) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	if quiet == nil {
		return ctx, cancel
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-quiet:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-watched
	}
}
