package access

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"postrider/bench/result"
)

// Fill delivers messages to each mailbox by LMTP, over Deliverers connections. The
// messages of a mailbox go over one connection, so that their order is known.
func (b *Bench) Fill(ctx context.Context, perMailbox int) ([]result.AccessResult, error) {
	if b.o.LMTP == "" {
		return nil, fmt.Errorf("%w: fill needs lmtp", ErrOptions)
	}
	t, began := newTally(&b.live), time.Now()
	err := b.each(ctx, b.o.Deliverers, func(ctx context.Context, boxes <-chan *mailbox) error {
		d := newDeliverer(&b.o, t)
		defer d.quit()
		for box := range boxes {
			for range perMailbox {
				if _, err := d.deliver(ctx, box, time.Now()); err != nil {
					return fmt.Errorf("mailbox %s: %w", box.name, err)
				}
			}
		}
		return nil
	})
	return t.results(b.o, time.Since(began)), err
}

// Check looks at every mailbox and compares it with the model; with texts each
// text is fetched too.
func (b *Bench) Check(ctx context.Context, texts bool) ([]result.AccessResult, error) {
	t, began := newTally(&b.live), time.Now()
	b.runs++
	err := b.each(ctx, b.o.Conns, func(ctx context.Context, boxes <-chan *mailbox) error {
		s := newSession(ctx, b, t, nil)
		for box := range boxes {
			if err := s.look(ctx, box, texts); err != nil {
				return fmt.Errorf("mailbox %s: %w", box.name, err)
			}
		}
		return nil
	})
	return t.results(b.o, time.Since(began)), err
}

// each gives the mailboxes to workers. The first error ends all.
func (b *Bench) each(ctx context.Context, workers int, work func(context.Context, <-chan *mailbox) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	boxes := make(chan *mailbox)
	var wg sync.WaitGroup
	for range max(1, workers) {
		wg.Go(func() {
			if err := work(ctx, boxes); err != nil {
				cancel(err) // the first is the cause, the others are cut by it
			}
		})
	}
	for _, box := range b.boxes {
		select {
		case boxes <- box:
		case <-ctx.Done():
		}
	}
	close(boxes)
	wg.Wait()
	return context.Cause(ctx)
}

// Run plays the workload and returns a line for each kind of operation. It ends
// after Duration or Sessions, or with ctx, and then returns what was seen until
// then and the error of ctx. Failures of single sessions are counted in the lines;
// an error is returned if no session at all came to its end.
func (b *Bench) Run(ctx context.Context) ([]result.AccessResult, error) {
	if b.o.Duration == 0 && b.o.Sessions == 0 {
		return nil, fmt.Errorf("%w: neither duration nor sessions", ErrOptions)
	}
	b.runs++
	r := &running{b: b, tally: newTally(&b.live)}
	began := time.Now()
	if b.o.Workload == Idle {
		r.idle(ctx)
	} else {
		r.sessions(ctx)
	}
	lines := r.tally.results(b.o, time.Since(began))
	if ctx.Err() != nil {
		return lines, ctx.Err()
	}
	if r.ended.Load() == 0 && r.first != nil {
		return lines, r.first
	}
	return lines, nil
}

// running is one Run.
type running struct {
	b     *Bench
	tally *tally
	plan  *schedule
	ended atomic.Int64
	open  sync.WaitGroup // deliveries of idle that are on their way

	mu    sync.Mutex // guards following
	first error
}

func (r *running) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == nil {
		r.first = err
	}
}

// sessions plays everything but idle. A mailbox whose session has ended gets its
// new mail before it can have the next one, by other goroutines than those that
// play, so that a session that is due does not wait for a delivery.
func (r *running) sessions(ctx context.Context) {
	o := &r.b.o
	r.plan = newSchedule(o, r.b.boxes, r.b.random(0), time.Now())
	back := r.plan.back
	var players, postmen sync.WaitGroup
	if o.LMTP != "" && o.Arrivals > 0 {
		round := make(chan *mailbox, len(r.b.boxes)) // room for all: players never wait
		defer postmen.Wait()
		defer close(round)
		back = func(box *mailbox) { round <- box }
		for range max(1, o.Deliverers) {
			postmen.Go(func() { r.deliver(ctx, round) })
		}
	}
	for i := range o.Conns {
		players.Go(func() {
			s := newSession(ctx, r.b, r.tally, r.b.random(uint64(1+i)))
			r.work(ctx, opSession, func(sl slot) error {
				err := s.play(ctx, sl)
				back(sl.box)
				return err
			})
		})
	}
	players.Wait()
}

// deliver brings new mail to the mailboxes of a round.
func (r *running) deliver(ctx context.Context, round <-chan *mailbox) {
	d := newDeliverer(&r.b.o, r.tally)
	defer d.quit()
	for box := range round {
		for range r.b.o.Arrivals {
			if _, err := d.deliver(ctx, box, time.Now()); err != nil {
				r.note(err)
			}
		}
		r.plan.back(box)
	}
}

// The first and the longest pause after a failure, in a closed loop.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// work plays slots until there are none any more; play gives the mailbox back. op
// is what is late when a slot is taken late.
func (r *running) work(ctx context.Context, op operation, play func(slot) error) {
	o := &r.b.o
	failed := 0
	for {
		sl, late, ok := r.plan.take(ctx)
		if !ok {
			return
		}
		if late {
			r.tally.late(op)
		}
		err := play(sl)
		wait := o.Think
		if err != nil {
			r.note(err)
			wait = max(wait, min(firstPause<<min(failed, 10), longestPause))
			failed++
		} else {
			r.ended.Add(1)
			failed = 0
		}
		if o.Rate == 0 && wait > 0 && !pause(ctx, wait) {
			return
		}
	}
}
