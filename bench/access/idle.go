package access

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errAway reports a mailbox that nobody watches at the moment.
var errAway = errors.New("the connection that should be in IDLE is not")

// beginners is how many watchers log in at once: thousands at the same moment are
// not what is measured.
const beginners = 32

// idle plays idle: all connections go into IDLE, then messages are delivered, one
// at a time to each mailbox.
func (r *running) idle(ctx context.Context) {
	o := &r.b.o
	watched, stop := context.WithCancel(ctx)
	defer stop()
	byBox := make(map[*mailbox]*watcher, o.Conns)
	doors := make(chan struct{}, beginners)
	var watchers, ready, deliverers sync.WaitGroup
	for _, box := range r.b.boxes[:o.Conns] {
		w := &watcher{r: r, s: newSession(ctx, r.b, r.tally, nil), box: box}
		w.s.box = box
		byBox[box] = w
		ready.Add(1)
		watchers.Go(func() { w.run(ctx, watched, doors, sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
	r.plan = newSchedule(o, r.b.boxes[:o.Conns], r.b.random(0), time.Now())
	r.plan.inTurn = true
	sweeping, swept := context.WithCancel(ctx)
	watchers.Go(func() { r.sweep(sweeping, byBox) })
	for range max(1, min(o.Deliverers, o.Conns)) {
		deliverers.Go(func() {
			d := newDeliverer(o, r.tally)
			defer d.quit()
			r.work(ctx, opExists, func(sl slot) error { return byBox[sl.box].surprise(ctx, d, sl) })
		})
	}
	deliverers.Wait()
	r.open.Wait()
	swept()
	stop()
	watchers.Wait()
}

// sweep gives up deliveries that are not told of within the timeout.
func (r *running) sweep(ctx context.Context, all map[*mailbox]*watcher) {
	for pause(ctx, min(time.Second, r.b.o.Timeout/4)) {
		now := time.Now()
		for _, w := range all {
			w.expire(now)
		}
	}
}

// watcher is a connection in IDLE and the delivery that it should tell of. The
// mailbox belongs to the delivery from its begin until both the reply to it and
// its EXISTS have come.
type watcher struct {
	r   *running
	s   *session
	box *mailbox

	mu      sync.Mutex // guards following
	idling  bool
	open    bool      // a delivery is on its way
	doubt   bool      // one before it failed and may still be told of
	due     time.Time // of the delivery
	replied time.Time // zero: not yet
	came    time.Time // its EXISTS; zero: not yet
	exists  int       // what that said
	lost    bool      // the connection broke meanwhile
}

// surprise delivers a message to the mailbox.
func (w *watcher) surprise(ctx context.Context, d *deliverer, sl slot) error {
	if !w.begin(sl.due) {
		w.r.tally.failed(opExists)
		w.r.plan.back(w.box)
		return errAway
	}
	replied, err := d.deliver(ctx, w.box, sl.due)
	w.mu.Lock()
	w.replied = replied
	if err != nil {
		w.doubt = true
		w.closeLocked()
	} else {
		w.settleLocked()
	}
	w.mu.Unlock()
	return err
}

// begin opens a delivery; false when nobody would see it.
func (w *watcher) begin(due time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.idling {
		return false
	}
	w.r.open.Add(1)
	w.open, w.lost, w.due, w.replied, w.came = true, false, due, time.Time{}, time.Time{}
	return true
}

// settleLocked ends the delivery when all is known of it. w.mu is held.
func (w *watcher) settleLocked() {
	switch {
	case !w.open || w.replied.IsZero():
		return
	case w.lost:
		w.r.tally.failed(opExists)
	case w.came.IsZero():
		return
	default:
		if least, most := w.box.bounds(); w.exists < least || w.exists > most {
			w.r.tally.violation(opExists, w.box, "EXISTS %d, there are %d", w.exists, len(w.box.mails))
			w.box.follow(w.exists)
		}
		w.r.tally.done(opExists, w.came.Sub(w.due), 1, 0)
		w.r.tally.done(opExistsAfterReply, w.came.Sub(w.replied), 1, 0)
	}
	w.closeLocked()
}

func (w *watcher) closeLocked() {
	w.open = false
	w.r.plan.back(w.box)
	w.r.open.Done()
}

// tell takes an EXISTS.
func (w *watcher) tell(exists, _ int) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.open && w.came.IsZero():
		w.came, w.exists = now, exists
		w.settleLocked()
	case !w.doubt:
		w.r.tally.violation(opExists, w.box, "EXISTS %d without a delivery", exists)
	}
}

// expire ends a delivery that has waited too long for its EXISTS.
func (w *watcher) expire(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open && !w.replied.IsZero() && now.Sub(w.replied) > w.r.b.o.Timeout {
		w.r.tally.violation(opExists, w.box, "no EXISTS within %v of a delivery", w.r.b.o.Timeout)
		w.doubt = true
		w.closeLocked()
	}
}

// up and down note whether the connection is in IDLE.
func (w *watcher) up() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idling = true
}

func (w *watcher) down() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idling, w.lost = false, true
	w.settleLocked()
}
