package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"postrider/bench/load"
	"postrider/bench/result"
)

// mail sends, waits and accounts.
func (r *round) mail(ctx context.Context, run *result.Run) (err error) {
	r.clock = newRecorder(r)
	hlog, err := r.histograms()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hlog.Close()) }()
	if err := r.generators(hlog); err != nil {
		return err
	}
	r.p.begin(r)
	r.world.begin(r.s.Load.Warmup.D())
	r.began = time.Now()
	watch, unwatch := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { r.clock.run(watch) })
	defer watchers.Wait()
	defer unwatch()

	results, stepErr := r.load(ctx)
	r.loaded = time.Now()
	if err := errors.Join(stepErr, ctx.Err()); err != nil {
		return err
	}
	r.clock.phase("drain")
	if r.s.Server.Suspended {
		if err := r.waiting(run); err != nil {
			return err
		}
		if err := r.server.Resume(ctx); err != nil {
			return fmt.Errorf("resuming delivery: %w", err)
		}
	}
	if r.s.Load.Users > 0 { // what is delivered lies in mailboxes
		r.drained = time.Now()
		if err := r.stop(); err != nil {
			return err
		}
		if err := r.harvest(ctx); err != nil {
			return err
		}
	} else if err := r.drain(ctx); err != nil {
		return err
	}
	unwatch()
	watchers.Wait()
	return r.account(ctx, run, results)
}

// histograms opens the file that takes those of each interval, or what throws them
// away.
func (r *round) histograms() (io.WriteCloser, error) {
	if r.p.HLog == nil {
		return nowhere{io.Discard}, nil
	}
	return r.p.HLog(r.s.Name, r.server.Info().Name, r.index)
}

type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// generators makes the load and the clients beside it; hlog takes the histograms
// of the load.
func (r *round) generators(hlog io.Writer) error {
	for i, l := range append([]Load{r.s.Load}, r.s.Client...) {
		o, err := l.options(r.base)
		if err != nil {
			return err
		}
		if err := r.address(&o); err != nil {
			return err
		}
		o.Seed = r.seed()<<8 + uint64(i)
		o.FirstWorker = i * 20_000
		o.Tick = time.Second / 4 // finer than the recorder's, so that each of its ticks has a whole second
		o.Interval = func(t *load.Interval) { r.clock.heard(t, i == 0) }
		o.Failures, o.Grace = -1, 10*time.Second
		if i == 0 && r.p.HLog != nil {
			o.HLog = hlog
		}
		g, err := load.New(o)
		if err != nil {
			return err
		}
		r.gens = append(r.gens, g)
	}
	return nil
}

// address says where o goes, and who accounts for it.
func (r *round) address(o *load.Options) error {
	o.Address = r.server.SMTP()
	if o.LMTP {
		o.Address = r.server.LMTP()
	}
	if o.Users > 0 {
		d, err := load.ParseDomains(mailboxDomain)
		if err != nil {
			return err
		}
		o.Domains = d
	}
	o.Ledger, o.Run = r.ledger, r.ledger.Run()
	o.IOwnThisNetwork = r.p.IOwnThisNetwork
	if o.Sender == "" {
		o.Sender = "load@" + senderDomain
	}
	if r.s.Server.Auth && o.Auth.Mechanism != "" {
		o.Auth.User, o.Auth.Password = "u%d@"+mailboxDomain, password
		o.Auth.Users = max(1, r.s.Access.Users)
	}
	return nil
}

// load runs the generators and the steps until the first generator has ended.
func (r *round) load(ctx context.Context) ([]load.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	p := &stepper{at: r.server, dir: r.dir, say: r.p.note}
	errs := make([]error, len(r.s.Step))
	for i, s := range r.s.Step {
		random := rand.New(rand.NewPCG(r.seed(), uint64(i)))
		wg.Go(func() {
			if errs[i] = p.run(ctx, s, random); errs[i] != nil {
				cancel()
			}
		})
	}
	results := make([]load.Result, len(r.gens))
	for i, g := range r.gens[1:] {
		wg.Go(func() { results[i+1] = g.Run(ctx) })
	}
	if r.s.Storm.Logins > 0 {
		wg.Go(func() {
			r.stormed = r.storm(ctx)
			cancel()
		})
	}
	results[0] = r.gens[0].Run(ctx)
	cancel()
	wg.Wait()
	r.clock.kills = p.kills.Load()
	return results, errors.Join(errs...)
}

// drain waits until nothing is owed any more, as long as the scenario allows.
func (r *round) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.s.Load.Drain.Or(time.Minute))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for r.ledger.Owed() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.drained = time.Now()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil // what is left is asked for, and counted
			}
			return ctx.Err()
		}
	}
	r.drained = time.Now()
	return nil
}

// account closes the ledger.
func (r *round) account(ctx context.Context, run *result.Run, results []load.Result) error {
	queued := int64(0)
	if owed := r.ledger.Owed(); owed > 0 && r.s.Load.Users == 0 {
		ask, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		n, err := r.server.Queued(ask)
		if err != nil {
			r.fail("the server does not say what it still has: %v", err)
		}
		queued = min(n, owed)
	}
	run.Ledger = r.ledger.Totals(queued)
	r.clock.into(run)
	r.figures(run, results)
	if r.s.Storm.Logins > 0 {
		r.stormValues(ctx, run, r.stormed)
	}
	run.Domains = r.world.domains(20)
	run.Values = append(run.Values, r.world.policies()...)
	return r.world.broken()
}

func (r *round) fail(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
