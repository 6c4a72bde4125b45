// Package demo is the appliance at work in one process: a generator sends real
// SMTP over many connections, and the relay delivers to a made-up world of a
// thousand domains with name service of their own. Some of its servers greylist,
// refuse, allow few connections or are slow, and one is dead. A tenth of the mail
// is for users here, whose mailboxes are read by POP3 and by IMAP, and one
// of them is read while mail comes. It ends with the account of every message: each
// was delivered, or its sender was told.
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
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"postrider/bench/load"
	"postrider/internal/app"
	"postrider/internal/config"
	"postrider/queue"
)

// Options size the demonstration; the zero value is what `postrider demo` runs.
type Options struct {
	Messages    int64         // 0: 20,000
	Connections int           // 0: 50
	Lifetime    time.Duration // how long the relay tries; 0: 20 s
	Patience    time.Duration // for everything to end; 0: 50 s
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
	if o.Lifetime <= 0 { // what goes to the dead site is given up while one still looks on
		o.Lifetime = 20 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 50 * time.Second
	}
	return o
}

// ErrImbalance says that a message is not accounted for, or has not ended.
var ErrImbalance = errors.New("the ledger does not balance")

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
	defer world.close()
	cfg := o.settings(dir, world)
	if err := writeUsers(cfg.Users.File); err != nil {
		return err
	}
	a, err := app.Start(ctx, cfg, app.Options{Version: "demo"})
	if err != nil {
		return err
	}
	err = o.play(ctx, a, world)
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	return errors.Join(err, a.Stop(stopping, "the demonstration is over"))
}

// settings are the built-in defaults with a free port, a folder of its own, the
// world's name service, and retries that one can wait for.
func (o Options) settings(dir string, w *world) *config.Config {
	const anyPort = "127.0.0.1:0"
	cfg := config.Default()
	cfg.Hostname = "demo.postrider.test"
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.Listeners = []config.Listener{
		{Address: anyPort, Network: "tcp", Host: anyPort, Service: config.ServiceRelay, TLS: config.TLSOptional},
		{Address: anyPort, Network: "tcp", Host: anyPort, Service: config.ServicePOP3, TLS: config.TLSOff},
		{Address: anyPort, Network: "tcp", Host: anyPort, Service: config.ServiceIMAP, TLS: config.TLSOff},
	}
	cfg.Local.Domains = []string{homeDomain}
	cfg.Users.File = filepath.Join(dir, "users")
	cfg.DNS.Servers = []string{w.resolver()}
	cfg.Outbound.Port = w.port
	cfg.Outbound.AllowPrivateTargets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Bounce.PerVictim = 1_000_000 // all notices go to the one sender
	cfg.Queue.RetryMin = time.Second
	cfg.Queue.Lifetime = o.Lifetime
	cfg.Admin.Socket = filepath.Join(cfg.DataDir, "admin.sock")
	cfg.Log.Events = filepath.Join(cfg.DataDir, "events.jsonl")
	return cfg
}

// play sends everything, waits until the queue holds nothing that moves, and reads
// the mailboxes.
func (o Options) play(ctx context.Context, a *app.App, w *world) error {
	local := o.Messages / homeShare
	h := &home{pop3: a.Addresses()[1], imap: a.Addresses()[2]}
	fmt.Fprintf(o.Out, "relay on %s, POP3 on %s, IMAP on %s, name service on %s; %d messages of 1 to 256 KiB over %d connections to %d domains, and %d to %d users here:\n%s\n",
		a.Addresses()[0], h.pop3, h.imap, w.resolver(), o.Messages-local, o.Connections, len(w.domains), local, homeUsers, w.describe())
	domains, err := load.ParseDomains(recipients)
	if err != nil {
		return err
	}
	few := max(o.Connections/homeShare, 1)
	far, err := o.generator(a, w, load.Options{Messages: o.Messages - local, Conns: o.Connections, Domains: domains})
	if err != nil {
		return err
	}
	near, err := o.generator(a, w, load.Options{Messages: local, Conns: few, FirstWorker: o.Connections, Domains: load.DomainList(homeDomain), Users: homeUsers})
	if err != nil {
		return err
	}
	if err := h.follow(ctx); err != nil {
		return err
	}
	began := time.Now()
	w.farm.Begin(began, 0)
	bar := newProgress(o)
	result := make(chan sent, 1)
	go func() {
		home := make(chan load.Result, 1)
		go func() { home <- near.Run(ctx) }()
		s := sent{far: far.Run(ctx)}
		s.near = <-home
		result <- s
	}()
	s := o.watch(ctx, a, w, bar, result)
	took := time.Since(began)
	h.close()
	if err := h.fetch(ctx, w.ledger, o.Out); err != nil {
		return err
	}
	return o.account(a, w, s, took)
}

// generator completes what is the same for all of the load.
func (o Options) generator(a *app.App, w *world, l load.Options) (*load.SMTP, error) {
	l.Address, l.Ledger, l.Sender = a.Addresses()[0], w.ledger, "load@"+senderDomain
	l.Sizes = load.MixSizes(load.Size{Bytes: 1 << 10, Weight: 30}, load.Size{Bytes: 4 << 10, Weight: 45}, load.Size{Bytes: 16 << 10, Weight: 20}, load.Size{Bytes: 64 << 10, Weight: 4}, load.Size{Bytes: 256 << 10, Weight: 1})
	return load.New(l)
}

// sent is what the generators say: of mail to the world, and of mail to users here.
type sent struct{ far, near load.Result }

// settled is how long nothing must have moved for what is owed to be lost.
const settled = 2 * time.Second

// watch shows progress until nothing moves any more or patience ends, and
// returns what the generator says.
func (o Options) watch(ctx context.Context, a *app.App, w *world, bar *progress, result <-chan sent) sent {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(o.Patience)
	defer deadline.Stop()
	var all *sent
	still := time.Now() // when something moved last
	for {
		select {
		case r := <-result:
			all = &r
			result = nil
		case <-tick.C:
		case <-deadline.C:
			bar.end()
			if all == nil {
				return sent{far: load.Result{Err: errors.New("the generator did not finish in time")}}
			}
			return *all
		}
		bar.show(w.ledger.Accepted(), w.ledger.Ended(), a.Engine().Ledger().Queued)
		if all == nil || moving(a) > 0 {
			still = time.Now()
		}
		// A notice comes to be as the last recipient that it tells of goes, so that for
		// a moment nothing seems to be left. What lies in mailboxes is owed until it is
		// fetched.
		if all != nil {
			done := w.ledger.Owed() <= all.near.Accepted && moving(a) == 0 || time.Since(still) > settled
			if !done && ctx.Err() == nil {
				continue
			}
			bar.end()
			return *all
		}
	}
}

// moving counts the recipients that still go somewhere by themselves; a failed
// one does until its sender has been told.
func moving(a *app.App) (n int64) {
	c := a.Engine().Queue().Counts()
	for _, state := range []queue.State{queue.Ready, queue.InFlight, queue.Deferred, queue.Failed} {
		n += c.States[state].Recipients
	}
	return n
}

// account prints the ledger: what the generator was promised against what the
// world got, what came back to the sender, and what the queue holds. Both ends
// count for themselves.
func (o Options) account(a *app.App, w *world, s sent, took time.Duration) error {
	all := w.ledger.Totals(a.Engine().Ledger().Queued)
	imbalance := a.Engine().Ledger().Imbalance()
	counts, told := w.farm.Counts(), w.farm.Notices()
	fmt.Fprintf(o.Out, "%.1f s to the end of the last; 250 after p50 %s p99 %s, delivered after p50 %s p99 %s\n", took.Seconds(),
		micros(s.far.Response.ValueAtQuantile(50)), micros(s.far.Response.ValueAtQuantile(99)),
		micros(w.farm.EndToEnd().ValueAtQuantile(50)), micros(w.farm.EndToEnd().ValueAtQuantile(99)))
	fmt.Fprintf(o.Out, "the world put off %d times and refused %d; the sender was told of %d that failed; %d DNS queries\n",
		counts.Deferred, counts.Refused, told.Bounces, w.queries())
	if err := errors.Join(s.far.Err, s.near.Err); err != nil {
		fmt.Fprintf(o.Out, "generator: %v\n", err)
	}
	wrong := all.Duplicated + all.Corrupted + all.Phantom + all.Strange + all.AfterBounce + all.FalseBounces + counts.Misdirected
	if wrong > 0 {
		fmt.Fprintf(o.Out, "duplicates %d, damaged %d, never sent %d, of nobody %d, bounced and delivered %d, misdirected %d\n",
			all.Duplicated, all.Corrupted, all.Phantom, all.Strange, all.AfterBounce+all.FalseBounces, counts.Misdirected)
	}
	fmt.Fprintf(o.Out, "accepted %d = delivered %d + bounced %d + queued %d, lost %d\n",
		all.Accepted, all.Once+all.Duplicated, all.Bounced, all.Queued, all.Lost)
	if all.Lost != 0 || all.Queued != 0 || imbalance != 0 || all.Accepted != o.Messages || wrong != 0 {
		return ErrImbalance
	}
	return nil
}

func micros(us int64) time.Duration {
	return (time.Duration(us) * time.Microsecond).Round(10 * time.Microsecond)
}
