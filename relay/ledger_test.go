package relay

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/queue"
)

// watched is a context that tells when an action of the queue begins to wait for what is
// in flight: the first time it is asked for its end the action waits for its turn.
type watched struct {
	context.Context
	asked atomic.Int32
	once  sync.Once
	waits chan struct{}
}

func (w *watched) Done() <-chan struct{} {
	if w.asked.Add(1) == 2 {
		w.once.Do(func() { close(w.waits) })
	}
	return w.Context.Done()
}

// The accounts balance after a restart, also when what waited had left the hot
// spool, and while a Drop waits for what is in flight.
//
// Covers G4.
func TestLedgerBalancesAfterARestart(t *testing.T) {
	var ahead atomic.Int64
	fs := vfs.NewMem()
	hold := make(chan struct{})
	var flying atomic.Int32
	hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
		for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
			flying.Add(1)
			<-hold
			d.SetRest(mail.NewStatus(450, 4, 2, 1, "later"))
			src.Done(d)
		}
		return nil
	}}
	const n = 300
	start := func() *Engine {
		log, err := maillog.Open(maillog.Options{Output: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		e, err := Open(t.Context(), stubOptions(fs, hop, log, &ahead, func(q *queue.Options) { q.HotMessages = 1 }))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	stop := func(e *Engine) {
		t.Helper()
		if err := errors.Join(e.Drain(t.Context()), e.Close(), e.o.Log.Close()); err != nil {
			t.Fatal(err)
		}
	}
	balanced := func(e *Engine, when string) {
		t.Helper()
		if l := e.Ledger(); l.Imbalance() != 0 {
			t.Errorf("%s: %+v", when, l)
		}
	}

	e := start()
	accept(t, e, n)
	e.Start()
	until(t, "some are in flight", func() bool { return flying.Load() > 0 })
	balanced(e, "in flight")
	dropped := make(chan queue.ActionResult, 1)
	one := e.queue.Counts().Recipients
	ctx := &watched{Context: t.Context(), waits: make(chan struct{})}
	go func() {
		defer ctx.once.Do(func() { close(ctx.waits) }) // had it not to wait
		f := queue.Filter{State: queue.InFlight, Limit: 1}
		r, err := e.Drop(ctx, f, "root", "spam")
		if err != nil {
			t.Error(err)
		}
		dropped <- r
	}()
	<-ctx.waits
	balanced(e, "while a drop waits")
	close(hold)
	if r := <-dropped; r.Done != 1 || e.queue.Counts().Recipients != one-1 {
		t.Errorf("dropped %+v", r)
	}
	balanced(e, "after the drop")
	until(t, "all but one are deferred and have moved", func() bool {
		c := e.queue.Counts()
		return c.States[queue.Deferred].Recipients == n-1 && c.HotMessages <= 1
	})
	stop(e)

	e = start()
	e.Start()
	balanced(e, "at once after the restart")
	<-e.queue.Loaded()
	balanced(e, "when all is loaded")
	if l := e.Ledger(); l.Inherited != n-1 || l.Queued != n-1 {
		t.Errorf("%+v", l)
	}
	ahead.Store(int64(time.Hour))
	stop(e)
}
