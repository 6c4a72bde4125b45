package relay

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/policy"
	"postrider/relay/route"
)

var errDown = errors.New("down")

// stubHop is a transport whose test says what a connection does.
type stubHop struct {
	serve func(ctx context.Context, src mail.Source) error
}

func (h *stubHop) Serve(ctx context.Context, _ <-chan struct{}, _ *mail.Egress, src mail.Source) error {
	return h.serve(ctx, src)
}

// stubEngine is an engine that has started, whose only lane leads to hop, with
// n messages; its clock is ahead by what ahead says.
func stubEngine(t *testing.T, hop *stubHop, n int, ahead *atomic.Int64) *Engine {
	return stubEngineOn(t, vfs.NewMem(), hop, n, ahead)
}

func stubEngineOn(t *testing.T, fs vfs.FS, hop *stubHop, n int, ahead *atomic.Int64) *Engine {
	t.Helper()
	log, err := maillog.Open(maillog.Options{Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), stubOptions(fs, hop, log, ahead))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Drain(context.Background()), e.Close(), log.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	accept(t, e, n)
	e.Start()
	return e
}

// stubOptions are those of an engine whose only lane leads to hop.
func stubOptions(fs vfs.FS, hop *stubHop, log *maillog.Log, ahead *atomic.Int64, change ...func(*queue.Options)) Options {
	to := mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "192.0.2.1:25"}
	o := Options{
		Queue:   queue.Options{FS: fs, Dir: "q", SegmentBytes: 1 << 20},
		Rules:   &Rules{Access: policy.New(policy.Options{RelayDomains: []string{"x.example"}}), Routes: route.New(route.Options{Rules: []route.Rule{{Domain: "*", Hop: to}}})},
		SMTP:    hop,
		Log:     log,
		Metrics: metrics.New("test", time.Now()),
		Clock:   func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}
	for _, f := range change {
		f(&o.Queue)
	}
	return o
}

// accept puts n messages on the queue.
func accept(t *testing.T, e *Engine, n int) {
	t.Helper()
	for range n {
		d, err := e.Queue().NewDraft(0)
		if err != nil {
			t.Fatal(err)
		}
		d.Envelope().AddRecipient([]byte("u@x.example"), 0, nil)
		if _, err := d.Write([]byte("Subject: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// until fails the test when cond does not come true.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func onlyLane(e *Engine) *lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lanes {
		return l
	}
	return nil
}

// within fails the test when c stays silent.
func within[T any](t *testing.T, what string, c <-chan T) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("waited in vain: %s", what)
	}
}

// After a pause a lane is given all the connections that its backlog calls for:
// no new mail comes to ask for them.
func TestLaneGrowsAfterAPause(t *testing.T) {
	var tries, serving atomic.Int32
	var ahead atomic.Int64
	failed, grown, end := make(chan struct{}), make(chan struct{}), make(chan struct{})
	hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
		switch n := tries.Add(1); {
		case n == 9: // all that 64 messages call for at first
			close(failed)
			return errDown
		case n < 9:
			return errDown
		}
		d := src.Next(ctx, 0)
		if d != nil {
			d.SetRest(handedOver)
			src.Done(d)
		}
		if serving.Add(1) == 6 {
			close(grown)
		}
		<-end
		return nil
	}}
	e := stubEngine(t, hop, 64, &ahead)
	defer close(end)
	within(t, "the connections that fail", failed)
	within(t, "six connections after the pause", grown)
	l := onlyLane(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures != 0 {
		t.Errorf("%d failures at a hop that takes mail", l.failures)
	}
}

// Connections that fail side by side are one failure, and the pause that is
// shown is the one that is kept.
func TestFailuresSideBySideAreOne(t *testing.T) {
	var ahead atomic.Int64
	hop := &stubHop{serve: func(context.Context, mail.Source) error { return errDown }}
	e := stubEngine(t, hop, 0, &ahead)
	e.ready(e.queue.Lane("smtp:192.0.2.1:25"))
	l := onlyLane(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	if pause := l.pauseLocked(errDown); pause <= 0 {
		t.Fatalf("pause %v", pause)
	}
	until := l.pausedUntil
	for range 19 {
		if pause := l.pauseLocked(errDown); pause != 0 {
			t.Errorf("a second pause of %v", pause)
		}
	}
	if l.failures != 1 || !l.pausedUntil.Equal(until) {
		t.Errorf("%d failures, paused until %v instead of %v", l.failures, l.pausedUntil, until)
	}
}

// A lane whose hop has answered during the pause expires nobody: what is old is
// tried first, and giving it back for ever would be a loop without end.
func TestNothingExpiresAtAHopThatAnswered(t *testing.T) {
	var ahead atomic.Int64
	failed := make(chan struct{}, 8)
	hop := &stubHop{serve: func(context.Context, mail.Source) error {
		failed <- struct{}{}
		return errDown
	}}
	e := stubEngine(t, hop, 1, &ahead)
	within(t, "the first connection", failed)
	l := onlyLane(e)
	l.served()
	ahead.Store(int64(6 * 24 * time.Hour))
	done := make(chan struct{})
	go func() { l.expire(); close(done) }()
	within(t, "the look for what is too old", done)
	if n := e.Queue().Counts().States[queue.Failed].Recipients; n != 0 {
		t.Errorf("%d recipients failed", n)
	}
}

// Mail whose route a reload turns to where nothing is served waits with that for
// a reason, moves as soon as the route is turned again, and expires like any
// other.
// Covers N1.
func TestRouteTurnedToNowhere(t *testing.T) {
	var ahead atomic.Int64
	var up atomic.Bool
	hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
		if !up.Load() {
			return errDown
		}
		for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
			d.SetRest(handedOver)
			src.Done(d)
		}
		return nil
	}}
	e := stubEngine(t, hop, 2, &ahead)
	served := e.rules.Load()
	nowhere := &Rules{Access: served.Access, Routes: route.New(route.Options{Rules: []route.Rule{{Domain: "*", Hop: mail.Hop{Kind: mail.HopMX}}}})}
	e.Reload(nowhere)
	until(t, "the reason is shown", func() bool { return e.Why("mx").String() == statusNoRouteYet.String() })
	if n := e.Queue().Counts().States[queue.Ready].Recipients; n != 2 {
		t.Errorf("%d recipients are ready", n)
	}

	ahead.Store(int64(5*24*time.Hour - time.Minute))
	e.mu.Lock()
	l := e.lanes["mx"]
	e.mu.Unlock()
	l.unpause()
	if n := e.Queue().Counts().States[queue.Failed].Recipients; n != 0 {
		t.Errorf("%d recipients failed before their lifetime", n)
	}
	ahead.Store(int64(5*24*time.Hour + 10*time.Millisecond)) // ids tell milliseconds
	l.unpause()
	if n := e.Queue().Counts().States[queue.Failed].Recipients; n != 2 {
		t.Errorf("%d recipients failed at the end of their lifetime", n)
	}

	accept(t, e, 1)
	up.Store(true)
	e.Reload(served)
	until(t, "the third is delivered", func() bool { return e.Queue().Counts().States[queue.Ready].Recipients == 0 })
}
