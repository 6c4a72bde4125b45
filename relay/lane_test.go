package relay

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	up    *atomic.Bool // whether connections come up; nil: nothing is heard of them
}

func (h *stubHop) Serve(ctx context.Context, _ <-chan struct{}, eg *mail.Egress, src mail.Source) error {
	if h.up != nil && eg.Heard != nil {
		eg.Heard(h.hearing())
	}
	return h.serve(ctx, src)
}

// hearing is what is told of a connection.
func (h *stubHop) hearing() mail.Hearing {
	r := mail.Hearing{Target: mail.Target{Host: "mx.x.example", Addr: netip.MustParseAddrPort("192.0.2.1:25")}, Connect: h.up.Load()}
	if !r.Connect {
		r.Status, r.Class = statusNoConnection, mail.ClassConnection
	}
	return r
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
		Queue:   queue.Options{FS: fs, Dir: "q", SegmentBytes: 256 << 10},
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

// A hop that is down is left alone: after some connections that fail there is one
// try in half a minute, then less and less, nothing is written for what waits, and
// when the hop answers all of it goes, over as many connections as it calls for.
//
// Covers Q11.
func TestAHopThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries, most, serving atomic.Int32
		var ahead atomic.Int64
		var up atomic.Bool
		hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
			tries.Add(1)
			if !up.Load() {
				return errDown
			}
			for n := serving.Add(1); ; {
				if was := most.Load(); n <= was || most.CompareAndSwap(was, n) {
					break
				}
			}
			defer serving.Add(-1)
			for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
				time.Sleep(time.Second)
				d.SetRest(handedOver)
				src.Done(d)
			}
			return nil
		}}
		hop.up = &up
		e := stubEngine(t, hop, 200, &ahead)
		time.Sleep(time.Second)
		first := tries.Load()
		if first == 0 || first > 20 {
			t.Errorf("%d connections before the hop counts as down", first)
		}
		time.Sleep(8 * time.Hour)
		if n := tries.Load() - first; n < 10 || n > 60 {
			t.Errorf("%d probes in 8 hours", n)
		}
		if w := e.Why("smtp:192.0.2.1:25", "x.example"); w.Reason.IsZero() {
			t.Errorf("nothing says why the mail waits: %+v", w)
		}
		if c := e.Queue().Counts(); c.States[queue.Ready].Recipients != 200 {
			t.Errorf("%+v", c.States)
		}
		up.Store(true)
		time.Sleep(46 * time.Minute)
		if l := e.Ledger(); l.Ended != 200 || most.Load() < 4 {
			t.Errorf("%d delivered, over %d connections at most", l.Ended, most.Load())
		}
	})
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
	until(t, "the reason is shown", func() bool { return e.Why("mx", "x.example").Route })
	if n := e.Queue().Counts().States[queue.Ready].Recipients; n != 2 {
		t.Errorf("%d recipients are ready", n)
	}

	ahead.Store(int64(5*24*time.Hour - time.Minute))
	e.sweepLanes()
	if n := e.Ledger().Ended; n != 0 {
		t.Errorf("%d recipients ended before their lifetime", n)
	}
	ahead.Store(int64(5*24*time.Hour + 10*time.Millisecond)) // ids tell milliseconds
	e.sweepLanes()
	until(t, "the recipients end with their lifetime", func() bool { return e.Ledger().Ended == 2 })

	accept(t, e, 1)
	up.Store(true)
	e.Reload(served)
	until(t, "the third is delivered", func() bool { return e.Queue().Counts().States[queue.Ready].Recipients == 0 })
}
