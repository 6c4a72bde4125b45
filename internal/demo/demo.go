// Package demo is the appliance at work in one process: a generator sends real
// SMTP over many connections, the relay queues and hands on, a scripted server
// takes, greylists and refuses. It ends with the account of every message.
//
// # Concurrency
//
// Run owns every goroutine it starts and returns when all have ended.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"postrider/bench/load"
	"postrider/bench/sink"
	"postrider/internal/app"
	"postrider/internal/config"
	"postrider/internal/mail"
	"postrider/queue"
)

// Options size the demonstration; the zero value is what `postrider demo` runs.
type Options struct {
	Messages    int64         // 0: 20,000
	Connections int           // 0: 50
	Patience    time.Duration // for everything to be delivered; 0: 50 s
	Out         io.Writer     // where it tells; required
	Terminal    bool          // Out is one: a bar instead of lines
}

func (o Options) withDefaults() Options {
	if o.Messages <= 0 {
		o.Messages = 20_000
	}
	if o.Connections <= 0 {
		o.Connections = 50
	}
	if o.Patience <= 0 {
		o.Patience = 50 * time.Second
	}
	return o
}

// ErrImbalance says that a message is not accounted for.
var ErrImbalance = errors.New("the ledger does not balance")

// The world outside: one recipient in twenty is put off at first, one in a
// hundred does not exist.
const (
	greylistedPercent = 5
	unknownPercent    = 1
	runID             = 1
)

// Run shows the whole way once. It returns ErrImbalance when a message is lost.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	dir, err := os.MkdirTemp("", "postrider-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what is left of a demonstration is of no value

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	world, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer world.wait()
	defer cancel()
	a, err := app.Start(ctx, settings(dir, world.address), app.Options{Version: "demo"})
	if err != nil {
		return err
	}
	err = o.play(ctx, a, world)
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	return errors.Join(err, a.Stop(stopping, "the demonstration is over"))
}

// settings are the built-in defaults with a free port, a folder of its own and
// retries that one can wait for.
func settings(dir, nextHop string) *config.Config {
	const anyPort = "127.0.0.1:0"
	cfg := config.Default()
	cfg.Hostname = "demo.postrider.test"
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.Listeners = []config.Listener{{Address: anyPort, Network: "tcp", Host: anyPort, Service: config.ServiceRelay, TLS: config.TLSOptional}}
	cfg.Routes = []config.Route{{Domain: "*", Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: nextHop}}}
	cfg.Queue.RetryMin = time.Second
	cfg.Admin.Socket = filepath.Join(cfg.DataDir, "admin.sock")
	cfg.Log.Events = filepath.Join(cfg.DataDir, "events.jsonl")
	return cfg
}

// play sends everything and waits until the queue holds nothing that moves.
func (o Options) play(ctx context.Context, a *app.App, w *world) error {
	fmt.Fprintf(o.Out, "relay on %s, next hop on %s (greylists %d%%, refuses %d%%); %d messages of 1 to 256 KiB over %d connections\n",
		a.Addresses()[0], w.address, greylistedPercent, unknownPercent, o.Messages, o.Connections)
	var acked atomic.Int64
	generator, err := load.New(load.Options{
		Address: a.Addresses()[0], Conns: o.Connections, Messages: o.Messages, Run: runID,
		Sizes: load.MixSizes(load.Size{Bytes: 1 << 10, Weight: 30}, load.Size{Bytes: 4 << 10, Weight: 45}, load.Size{Bytes: 16 << 10, Weight: 20}, load.Size{Bytes: 64 << 10, Weight: 4}, load.Size{Bytes: 256 << 10, Weight: 1}),
		Acked: func(load.Ack) { acked.Add(1) },
	})
	if err != nil {
		return err
	}
	began := time.Now()
	bar := newProgress(o)
	result := make(chan load.Result, 1)
	go func() { result <- generator.Run(ctx) }()
	waited := o.watch(ctx, a, bar, &acked, result)
	return o.account(a, w, waited, time.Since(began))
}

// watch shows progress until nothing moves any more or patience ends, and
// returns what the generator says.
func (o Options) watch(ctx context.Context, a *app.App, bar *progress, acked *atomic.Int64, result <-chan load.Result) load.Result {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(o.Patience)
	defer deadline.Stop()
	var sent *load.Result
	for {
		select {
		case r := <-result:
			sent = &r
			result = nil
		case <-tick.C:
		case <-deadline.C:
			bar.end()
			if sent == nil {
				return load.Result{Err: errors.New("the generator did not finish in time")}
			}
			return *sent
		}
		l := a.Engine().Ledger()
		bar.show(acked.Load(), l.Ended, l.Queued)
		if sent != nil && (moving(a) == 0 || ctx.Err() != nil) {
			bar.end()
			return *sent
		}
	}
}

// moving counts the recipients that still go somewhere by themselves.
func moving(a *app.App) int64 {
	c := a.Engine().Queue().Counts()
	return c.States[queue.Ready].Recipients + c.States[queue.InFlight].Recipients + c.States[queue.Deferred].Recipients
}

// account prints the ledger: what the generator was promised against what the
// next hop got and the queue holds. The two ends count for themselves.
func (o Options) account(a *app.App, w *world, sent load.Result, took time.Duration) error {
	queued := a.Engine().Ledger().Queued
	failed := a.Engine().Queue().Counts().States[queue.Failed].Recipients
	got := w.ledger.Totals()
	counts := w.sink.Counts()
	fmt.Fprintf(o.Out, "%.1f s, %.0f messages/s end to end, 250 after p50 %s p99 %s; next hop: %d puts off, %d refusals\n",
		took.Seconds(), float64(sent.Accepted)/took.Seconds(), micros(sent.Response.ValueAtQuantile(50)),
		micros(sent.Response.ValueAtQuantile(99)), counts.Deferred, counts.Refused)
	if failed > 0 {
		fmt.Fprintf(o.Out, "%d recipients were refused for good: they stay in the queue as failed, with the reply\n", failed)
	}
	if sent.Err != nil {
		fmt.Fprintf(o.Out, "generator: %v\n", sent.Err)
	}
	lost := sent.AcceptedDuties - got.Duties - queued
	imbalance := a.Engine().Ledger().Imbalance()
	if got.Duplicates+got.Strange+counts.BadHash+counts.Misdirected > 0 {
		fmt.Fprintf(o.Out, "duplicates %d, never sent %d, damaged %d, misdirected %d\n", got.Duplicates, got.Strange, counts.BadHash, counts.Misdirected)
	}
	fmt.Fprintf(o.Out, "accepted %d = delivered %d + bounced 0 + queued %d, lost %d\n", sent.AcceptedDuties, got.Duties, queued, lost)
	if lost != 0 || imbalance != 0 || sent.AcceptedDuties != o.Messages || got.Duplicates+got.Strange+counts.BadHash+counts.Misdirected != 0 {
		return ErrImbalance
	}
	return nil
}

func micros(us int64) time.Duration {
	return (time.Duration(us) * time.Microsecond).Round(10 * time.Microsecond)
}

// world is the next hop.
type world struct {
	address string
	sink    *sink.Server
	ledger  *sink.Ledger
	ended   chan error
}

func newWorld(ctx context.Context) (*world, error) {
	script, err := sink.NewScript(
		sink.Rule{At: sink.AtRcpt, Percent: unknownPercent, Reply: "550 5.1.1 no such mailbox"},
		sink.Rule{At: sink.AtRcpt, Percent: greylistedPercent, Reply: "451 4.7.1 greylisted, try again later"},
	)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &world{address: l.Addr().String(), ledger: sink.NewLedger(), ended: make(chan error, 1)}
	w.sink = sink.New(sink.Options{Script: script, Ledger: w.ledger, Verify: true})
	go func() { w.ended <- w.sink.Serve(ctx, l) }()
	return w, nil
}

func (w *world) wait() { <-w.ended }
