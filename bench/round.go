package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/bench/calibrate"
	"postrider/bench/cost"
	"postrider/bench/ledger"
	"postrider/bench/load"
	"postrider/bench/result"
	"postrider/bench/target"
)

// round is one run of one scenario against one server.
type round struct {
	p      *Plan
	s      *Scenario
	index  int
	base   float64
	dir    string // of the server; a file system of its own when the scenario says so
	ledger *ledger.Ledger
	world  *world
	server target.Instance
	gens   []*load.SMTP
	clock  *recorder

	began, loaded, drained time.Time
	after                  *cost.Sample
	emptyRSS, emptyDisk    int64 // of the server before the load, in bytes
	diskPerQueued          float64
	rssPerQueued           float64
	first                  error // of a connection
	failures               []string
}

// runNumber marks the messages of a round, so that those of another that come
// late are strangers.
func (p *Plan) runNumber() uint64 { return 1 + uint64(time.Now().UnixMilli())%1e9 }

// round runs s against t, and returns with everything stopped.
// others is the share of the machine in percent that somebody else used.
func (p *Plan) round(ctx context.Context, s *Scenario, t target.Target, index int, base float64) (run *result.Run, others float64, err error) {
	dir, release, err := p.room(s)
	if err != nil {
		return nil, 0, err
	}
	defer release()
	r := &round{p: p, s: s, index: index, base: base, dir: dir, ledger: ledger.New(p.runNumber())}
	if r.world, err = newWorld(ctx, s, r.ledger, p.front(), r.seed()); err != nil {
		return nil, 0, err
	}
	defer r.world.close()
	if r.server, err = t.Start(ctx, r.need()); err != nil {
		return nil, 0, err
	}
	run, others, err = r.measure(ctx)
	// The server is stopped even when the run was interrupted.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if serr := r.server.Stop(stop); err == nil && serr != nil {
		err = fmt.Errorf("stopping %s: %w", t.Name(), serr)
	}
	return run, others, err
}

// room makes the folder of a server, on a disk of its own if s wants one.
func (p *Plan) room(s *Scenario) (dir string, release func(), err error) {
	if dir, err = p.scratch("r"); err != nil {
		return "", nil, err
	}
	unmount := func() {}
	if s.Server.Disk != "" {
		if unmount, err = mountDisk(dir, s.Server.Disk); err != nil {
			return "", nil, errors.Join(err, os.Remove(dir))
		}
	}
	return dir, func() {
		unmount()
		if p.Keep {
			p.note("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			p.note("scratch folder: %v", err)
		}
	}, nil
}

// need says what the server must be.
func (r *round) need() target.Need {
	s := r.s
	return target.Need{
		Dir: r.dir, NextHop: r.world.nextHop(), DNS: r.world.resolver(), MXPort: r.world.port(),
		Suspended: s.Server.Suspended, RetryFirst: s.Server.RetryFirst.D(), SlowSync: s.Server.SlowSync.D(),
		TLS: s.Server.TLS, Auth: s.Server.Auth,
		Conns: s.connections(), MaxMessage: 60 << 20,
		Mailboxes: max(s.Access.Users, s.Load.Users), MailboxDomain: mailboxDomain, Password: password,
	}
}

// measure loads the server, waits for what it owes and draws the account up.
func (r *round) measure(ctx context.Context) (run *result.Run, others float64, err error) {
	meter := r.meter()
	metered := true
	r.flush()
	// What a server still prepares when it answers already is not the run's.
	if _, err := cost.AwaitIdle(ctx, meter, settleTime); err != nil && !errors.Is(err, target.ErrUnsupported) {
		return nil, 0, fmt.Errorf("cost of the server: %w", err)
	}
	before, err := meter.Sample()
	if errors.Is(err, target.ErrUnsupported) {
		metered, err = false, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("cost of the server: %w", err)
	}
	used, err := readUsage()
	if err != nil {
		return nil, 0, err
	}
	crowds, err := r.gather(ctx)
	defer func() {
		for _, c := range crowds {
			c.disperse()
		}
	}()
	if err != nil {
		return nil, 0, err
	}
	r.emptyRSS = before.RSSBytes
	if dir := r.server.DataDir(); dir != "" {
		if r.emptyDisk, err = cost.DiskUsage(dir); err != nil {
			return nil, 0, fmt.Errorf("disk of the server: %w", err)
		}
	}
	run = r.header()
	if r.s.Access.Workload != "" {
		err = r.access(ctx, run)
	} else {
		err = r.mail(ctx, run)
	}
	if err != nil {
		return nil, 0, err
	}
	after := before
	if metered {
		if err := r.stop(); err != nil {
			return nil, 0, err
		}
		after = *r.after
		run.Cost = cost.Between(before, after, run.Load.Messages, run.Load.Bytes)
		run.Cost.By = meter.By()
		run.Cost.DiskPerQueued, run.Cost.RSSPerQueued = r.diskPerQueued, r.rssPerQueued
		if a := r.s.Access; a.Workload == "idle" {
			each := float64(run.Cost.RSSPeakBytes-before.RSSBytes) / float64(max(1, a.Conns))
			run.Values = append(run.Values, result.Value{Name: "memory of a client that waits", Unit: "B", Got: each})
		}
	}
	now, err := readUsage()
	if err != nil {
		return nil, 0, err
	}
	own := now.own - used.own
	run.Load.OwnCPUMicros = float64(own.Microseconds()) / float64(max(1, run.Load.Messages))
	others = calibrate.Others(used.machine, now.machine, own+after.CPU()-before.CPU())
	r.crowdValues(run, crowds)
	r.judge(run)
	return run, others, nil
}

// settleTime is how long a server may take to come to rest before the load begins.
const settleTime = 10 * time.Second

// meter reads the server, and the bytes that reach its disk where that can be told:
// what processes are said to write is several times as much on some kernels.
func (r *round) meter() cost.Meter {
	m := r.server.Meter()
	if d, err := cost.OnDevice(m, r.dir); err == nil {
		return d
	}
	return m
}

// flush lets the disk have what it is owed, so that it is counted.
func (r *round) flush() {
	if f, err := os.Open(r.dir); err == nil {
		// Best effort: a file system that can't is counted as it stands.
		_ = unix.Syncfs(int(f.Fd()))
		_ = f.Close()
	}
}

// stop reads the server's cost at the end of its work: the first call counts.
func (r *round) stop() error {
	if r.after != nil {
		return nil
	}
	r.flush()
	s, err := r.meter().Sample()
	if err != nil && !errors.Is(err, target.ErrUnsupported) {
		return fmt.Errorf("cost of the server: %w", err)
	}
	r.after = &s
	return nil
}

// gather opens the connections of every crowd.
func (r *round) gather(ctx context.Context) ([]*crowd, error) {
	var crowds []*crowd
	for _, i := range r.s.Idle {
		address := map[string]string{"": r.server.SMTP(), "smtp": r.server.SMTP(), "pop3": r.server.POP3(), "imap": r.server.IMAP()}[i.Service]
		before, err := r.server.Meter().Sample()
		c, gerr := gather(ctx, i, address)
		if gerr != nil {
			return crowds, gerr
		}
		crowds = append(crowds, c)
		if err != nil {
			continue // its cost can't be read
		}
		after, err := r.server.Meter().Sample()
		if err != nil {
			return crowds, fmt.Errorf("cost of the server: %w", err)
		}
		c.bytesEach = float64(after.RSSBytes-before.RSSBytes) / float64(i.Conns)
	}
	return crowds, nil
}

// header is the part of a result that is known at once.
func (r *round) header() *result.Run {
	return &result.Run{
		Scenario: r.s.Name, Settings: r.s.Text(), Target: r.server.Info(), Started: time.Now().UTC().Truncate(time.Millisecond),
		Index: r.index, Seed: r.seed(),
	}
}

func (r *round) seed() uint64 { return r.p.Seed + uint64(r.index) }

// mail sends, waits and accounts.
func (r *round) mail(ctx context.Context, run *result.Run) error {
	r.clock = newRecorder(r)
	if err := r.generators(); err != nil {
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

// generators makes the load and the clients beside it.
func (r *round) generators() error {
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
		g, err := load.New(o)
		if err != nil {
			return err
		}
		r.gens = append(r.gens, g)
	}
	return nil
}

// waiting measures what a message costs that waits, while delivery is suspended.
func (r *round) waiting(run *result.Run) error {
	n := r.ledger.Owed()
	if n == 0 {
		return nil
	}
	if dir := r.server.DataDir(); dir != "" {
		bytes, err := cost.DiskUsage(dir)
		if err != nil {
			return fmt.Errorf("disk of the queue: %w", err)
		}
		r.diskPerQueued = float64(bytes-r.emptyDisk) / float64(n)
	}
	s, err := r.server.Meter().Sample()
	if err != nil {
		return fmt.Errorf("cost of the server: %w", err)
	}
	r.rssPerQueued = max(0, float64(s.RSSBytes-r.emptyRSS)/float64(n))
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
	run.Domains = r.world.domains(20)
	return r.world.broken()
}

func (r *round) fail(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// connections is how many clients will come at once.
func (s *Scenario) connections() int {
	n := s.Access.Conns
	for _, l := range append([]Load{s.Load}, s.Client...) {
		if l.Conns == 0 {
			l.Conns = 64
		}
		n += l.Conns
	}
	for _, i := range s.Idle {
		n += i.Conns
	}
	return n
}
