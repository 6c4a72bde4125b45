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

func (h *stubHop) Serve(ctx context.Context, _ mail.Hop, src mail.Source) error {
	return h.serve(ctx, src)
}

// stubEngine is an engine that has started, whose only lane leads to hop, with
// n messages; its clock is ahead by what ahead says.
func stubEngine(t *testing.T, hop *stubHop, n int, ahead *atomic.Int64) *Engine {
	t.Helper()
	log, err := maillog.Open(maillog.Options{Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	to := mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "192.0.2.1:25"}
	e, err := Open(t.Context(), Options{
		Queue:   queue.Options{FS: vfs.NewMem(), Dir: "q", SegmentBytes: 1 << 20},
		Rules:   &Rules{Access: policy.New(policy.Options{}), Routes: route.New([]route.Rule{{Domain: "*", Hop: to}}, nil)},
		SMTP:    hop,
		Log:     log,
		Metrics: metrics.New("test", time.Now()),
		Clock:   func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Stop(context.Background()), log.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
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
	e.Start()
	return e
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
