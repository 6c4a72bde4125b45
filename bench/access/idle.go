package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// errAway reports a mailbox that nobody watches at the moment.
var errAway = errors.New("the connection that should be in IDLE is not")

// beginners is how many watchers log in at once: thousands at the same moment are
// not what is measured.
const beginners = 32

// watcher is a connection in IDLE. Its goroutine tells each EXISTS to whoever
// delivers to the mailbox.
type watcher struct {
	s      *session
	box    *mailbox
	idling atomic.Bool
	news   chan news
}

// news is one EXISTS, or the end of the connection.
type news struct {
	at     time.Time
	exists int
	err    error
}

// idle plays idle: all connections go into IDLE, then messages are delivered.
func (r *running) idle(ctx context.Context) {
	o := &r.b.o
	watched, stop := context.WithCancel(ctx)
	defer stop()
	byBox := make(map[*mailbox]*watcher, o.Conns)
	doors := make(chan struct{}, beginners)
	var watchers, ready, deliverers sync.WaitGroup
	for _, box := range r.b.boxes[:o.Conns] {
		w := &watcher{s: newSession(ctx, r.b, r.tally, nil, nil), box: box, news: make(chan news, 16)}
		w.s.box = box
		byBox[box] = w
		ready.Add(1)
		watchers.Go(func() { w.run(ctx, watched, doors, r, sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
	plan := newSchedule(o, r.b.boxes[:o.Conns], r.b.random(0), time.Now())
	for range max(1, min(o.Deliverers, o.Conns)) {
		deliverers.Go(func() {
			d := newDeliverer(o, r.tally)
			defer d.quit()
			r.work(ctx, plan, func(sl slot) error { return r.surprise(ctx, d, byBox[sl.box], sl) })
		})
	}
	deliverers.Wait()
	stop()
	watchers.Wait()
}

// surprise delivers a message to a mailbox in IDLE and waits for its EXISTS.
func (r *running) surprise(ctx context.Context, d *deliverer, w *watcher, sl slot) error {
	if !w.idling.Load() {
		r.tally.failed(opExists)
		return errAway
	}
	for drained := false; !drained; {
		select {
		case n := <-w.news:
			if n.err == nil {
				r.tally.violation(opExists, w.box, "EXISTS %d without a delivery", n.exists)
			}
		default:
			drained = true
		}
	}
	replied, err := d.deliver(ctx, w.box, sl.due)
	if err != nil {
		return err
	}
	patience := time.NewTimer(r.b.o.Timeout)
	defer patience.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		r.tally.violation(opExists, w.box, "no EXISTS within %v of a delivery", r.b.o.Timeout)
		return nil
	case n := <-w.news:
		if n.err != nil {
			r.tally.failed(opExists)
			return n.err
		}
		if least, most := w.box.bounds(); n.exists < least || n.exists > most {
			r.tally.violation(opExists, w.box, "EXISTS %d, there are %d", n.exists, len(w.box.mails))
		}
		r.tally.done(opExists, n.at.Sub(sl.due), 1, 0)
		r.tally.done(opExistsAfterReply, n.at.Sub(replied), 1, 0)
		return nil
	}
}

// run watches until watched is over. ready is called when the first IDLE has
// begun, or has failed to.
func (w *watcher) run(ctx, watched context.Context, doors chan struct{}, r *running, ready func()) {
	defer ready()
	for first, failed := true, 0; watched.Err() == nil; first = false {
		began := time.Now()
		err := w.watch(ctx, watched, doors, first, ready)
		w.idling.Store(false)
		w.s.imap.shut()
		ready()
		if err == nil || watched.Err() != nil {
			return
		}
		r.note(err)
		select {
		case w.news <- news{err: err}:
		default: // nobody waits
		}
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
	c.onExists = w.tell
	defer func() { c.onExists = nil }()
	s.start(opIdle)
	c.command("IDLE\r\n")
	err := c.flush()
	for continued := false; err == nil && !continued; {
		var done bool
		if continued, done, err = c.response(); done {
			err = malformed("IDLE ends before it has begun")
		}
	}
	if err := s.done(0, 0, err); err != nil {
		return err
	}
	// Nothing else is written as long as IDLE goes on.
	cancel := context.AfterFunc(watched, func() { _, _ = c.conn.Write([]byte("DONE\r\n")) })
	defer cancel()
	c.patient = true
	w.idling.Store(true)
	ready()
	err = c.answer()
	c.patient = false
	if watched.Err() == nil && err == nil {
		err = fmt.Errorf("%w: IDLE was ended by the server", io.ErrUnexpectedEOF)
	}
	if err != nil {
		s.start(opIdle)
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

// tell passes an EXISTS on. When nobody takes them, what is told is enough to
// know that something is wrong.
func (w *watcher) tell(exists, _ int) {
	select {
	case w.news <- news{at: time.Now(), exists: exists}:
	default:
	}
}
