package relay

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/queue"
	"postrider/relay/schedule"
)

func TestClockGuard(t *testing.T) {
	base := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var kept bool
	g := clockGuard{kept: func() bool { return kept }}
	old := base.Add(-48 * time.Hour).UnixMicro()
	want := func(what string, suspended bool) {
		t.Helper()
		if got := g.suspends(old); got != suspended {
			t.Errorf("%s: expiry is suspended: %v", what, got)
		}
	}
	g.begin(base, time.Time{}, nil)
	want("a new queue", false)
	g.look(base.Add(time.Minute), time.Minute)
	want("a minute that passed", false)
	g.look(base.Add(10*365*24*time.Hour), 2*time.Minute)
	want("a leap of ten years", true)
	if g.suspends(base.Add(5 * time.Minute).UnixMicro()) {
		t.Error("mail that came after the leap is held to it")
	}
	g.look(base.Add(10*365*24*time.Hour+time.Second), 2*time.Minute+time.Second)
	want("a second later", true)
	g.look(base.Add(3*time.Minute), 3*time.Minute)
	want("the leap undone", false)
	g.look(base.Add(-2*time.Hour), 4*time.Minute)
	want("a step back", false)
	g.look(base.Add(5*time.Minute), 5*time.Minute)
	want("and forth again", false)
	g.look(base.Add(3*time.Hour), 6*time.Minute)
	want("three hours", true)
	kept = true
	g.look(base.Add(3*time.Hour+time.Second), 6*time.Minute+time.Second)
	want("a time service keeps it", false)
	kept = false

	g = clockGuard{kept: g.kept}
	g.begin(base, base.Add(-59*time.Minute), nil)
	want("a start after 59 minutes", false)
	g = clockGuard{kept: g.kept}
	g.begin(base, base.Add(-61*time.Minute), nil)
	want("a start after 61 minutes", true)
	d, lead := g.doubt()
	if d == nil || lead != 61*time.Minute {
		t.Fatalf("%+v %v", d, lead)
	}
	g = clockGuard{kept: g.kept}
	g.begin(base.Add(time.Minute), base, d)
	want("the start after that", true)
	g.confirm()
	want("confirmed", false)
}

// A queue that opens with a clock that is days beyond the last time on record
// expires nobody, neither by an attempt nor in a pause, over any number of starts,
// until an operator confirms the clock.
func TestNothingExpiresByAClockThatLeapt(t *testing.T) {
	fs := vfs.NewMem()
	var ahead atomic.Int64
	var up atomic.Bool
	hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
		if !up.Load() {
			return errDown
		}
		for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
			d.SetRest(mail.NewStatus(450, 4, 2, 1, "later"))
			src.Done(d)
		}
		return nil
	}}
	start := func() *Engine {
		log, err := maillog.Open(maillog.Options{Output: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		o := stubOptions(fs, hop, log, &ahead)
		o.ClockKept = func() bool { return false }
		e, err := Open(t.Context(), o)
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
	failed := func(e *Engine) int64 { return e.Ledger().Ended }

	e := start()
	accept(t, e, 3)
	stop(e)
	ahead.Store(int64(6 * 24 * time.Hour))
	for range 2 {
		e = start()
		if !e.ExpirySuspended() {
			t.Fatal("the clock is believed")
		}
		e.Start()
		until(t, "the lane is shut", func() bool {
			return onlyLane(e) != nil && onlyLane(e).gates.State(e.o.Clock()).Gate == schedule.GateBreaker
		})
		onlyLane(e).expire(kept{status: statusNoConnection}, 0)
		if n := failed(e); n != 0 {
			t.Errorf("%d failed in a pause", n)
		}
		stop(e)
	}
	up.Store(true)
	e = start()
	e.Start()
	until(t, "an attempt of each", func() bool { return e.Queue().Counts().States[queue.Deferred].Recipients == 3 })
	if was, err := e.ConfirmClock(); !was || err != nil || e.ExpirySuspended() {
		t.Errorf("confirmed: %v, %v", was, err)
	}
	stop(e)
	ahead.Add(int64(time.Minute))
	e = start()
	if e.ExpirySuspended() {
		t.Error("the clock is not believed after it was confirmed")
	}
	ahead.Add(int64(24 * time.Hour)) // due again
	accept(t, e, 1)                  // and the clock of the queue looks
	e.Start()
	until(t, "all that is too old fails", func() bool { return failed(e) == 3 })
	stop(e)
}
