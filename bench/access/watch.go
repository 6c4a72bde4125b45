package access

import (
	"context"
	"fmt"
	"io"
	"time"
)

// run watches until watched is over. ready is called when the first IDLE has
// begun, or has failed to.
func (w *watcher) run(ctx, watched context.Context, doors chan struct{}, ready func()) {
	defer ready()
	for first, failed := true, 0; watched.Err() == nil; first = false {
		began := time.Now()
		err := w.watch(ctx, watched, doors, first, ready)
		w.down()
		w.s.imap.shut()
		ready()
		if err == nil || watched.Err() != nil {
			return
		}
		w.r.note(err)
		if failed++; time.Since(began) > longestPause {
			failed = 0
		}
		if !pause(watched, min(firstPause<<min(failed, 10), longestPause)) {
			return
		}
	}
}

// watch is one connection.
func (w *watcher) watch(ctx, watched context.Context, doors chan struct{}, first bool, ready func()) error {
	if err := w.enter(ctx, doors, first); err != nil {
		return err
	}
	s, c := w.s, &w.s.imap
	if err := w.goIdle(); err != nil {
		return err
	}
	// Nothing else is written as long as IDLE goes on.
	done, err := c.wait("DONE\r\n")
	if err != nil {
		return err
	}
	cancel := context.AfterFunc(watched, done)
	defer cancel()
	w.up()
	ready()
	err = c.answer()
	c.patient = false
	if watched.Err() == nil && err == nil {
		err = fmt.Errorf("%w: IDLE was ended by the server", io.ErrUnexpectedEOF)
	}
	s.start(opIdle)
	if err != nil {
		return s.done(0, 0, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// The deliveries are over: the mailbox is ours again.
	if least, most := w.box.bounds(); c.exists < least || c.exists > most {
		s.bad("%d messages exist after IDLE, there are %d", c.exists, len(w.box.mails))
	}
	return s.logout()
}

// enter logs in and selects. The first time it compares the mailbox; later the
// mailbox may be in the hands of a delivery.
func (w *watcher) enter(ctx context.Context, doors chan struct{}, first bool) error {
	doors <- struct{}{}
	defer func() { <-doors }()
	s := w.s
	s.imap.onExists = nil
	s.start(opLogin)
	if err := s.done(0, 0, s.imap.begin(ctx, s.o, s.b.tls, w.box.name)); err != nil {
		return err
	}
	if first {
		if err := s.choose(); err != nil {
			return err
		}
		return s.inventory()
	}
	s.start(opSelect)
	return s.done(0, 0, s.imap.selectInbox())
}

// goIdle sends IDLE and waits until the server says that it has begun.
func (w *watcher) goIdle() error {
	s, c := w.s, &w.s.imap
	c.onExists = w.tell
	s.start(opIdle)
	c.command("IDLE\r\n")
	err := c.flush()
	for continued := false; err == nil && !continued; {
		var done bool
		if continued, done, err = c.response(); done {
			err = malformed("IDLE ends before it has begun")
		}
	}
	return s.done(0, 0, err)
}
