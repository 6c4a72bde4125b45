// Package app is where a configuration becomes a running appliance: it builds
// each part's Options, joins the parts, and starts and stops them in order. No
// part below it sees the configuration.
//
// # Concurrency
//
// Start, Reload and Stop are called by one goroutine. Fatal tells of the one
// thing that ends a daemon from inside: a disk that did not keep what it was
// given.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"postrider/access/pop3"
	"postrider/delivery"
	"postrider/delivery/mailbox"
	"postrider/internal/admin"
	"postrider/internal/certs"
	"postrider/internal/config"
	"postrider/internal/dns"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/internal/wire"
	"postrider/queue"
	"postrider/relay"
	"postrider/relay/bounce"
	"postrider/relay/outbound"
	"postrider/relay/schedule"
)

// Options are what a configuration file does not say.
type Options struct {
	Version string
	// Diagnostics gets what is not an event: lines for the operator. nil: none.
	Diagnostics *zap.Logger
	// Salvage opens a damaged queue (queue.Options.Salvage).
	Salvage bool
	// Events, when not nil, takes the event log in the place of its file.
	Events io.Writer
	// Queue may change the queue's options; tests inject slow disks with it.
	Queue func(*queue.Options)
}

// App is a running appliance.
type App struct {
	o     Options
	cfg   *config.Config // of Start, Reload and Stop alone; others read reloaded
	diag  *zap.Logger
	start time.Time

	log     *maillog.Log
	metrics *metrics.Registry
	certs   *certs.Store
	engine  *relay.Engine
	// resolver finds mail exchangers; rules are those that the engine starts with.
	resolver *dns.Resolver
	rules    *relay.Rules
	users    *users
	// mailboxes is nil where no mail is delivered.
	mailboxes *mailbox.Store
	agent     *delivery.Agent // likewise
	drops     *pop3.Drops
	census    *wire.Census
	servers   []*server
	admin     *admin.Server
	fatal     chan error

	background sync.WaitGroup // checks of the start that may take long
	stopChecks context.CancelFunc

	draining atomic.Bool
	reloaded atomic.Pointer[reloadState]
}

// Start brings an appliance up. When it returns nil every listener accepts.
func Start(ctx context.Context, cfg *config.Config, o Options) (*App, error) {
	if o.Diagnostics == nil {
		o.Diagnostics = zap.NewNop()
	}
	a := &App{
		o: o, cfg: cfg, diag: o.Diagnostics, start: time.Now(),
		metrics: metrics.New(o.Version, time.Now()),
		census:  wire.NewCensus(),
		drops:   pop3.NewDrops(),
		fatal:   make(chan error, 1),

		stopChecks: func() {},
	}
	a.reloaded.Store(&reloadState{cfg: cfg, at: a.start})
	a.warn(cfg)
	err := a.bringUp(ctx)
	if err != nil {
		return nil, errors.Join(err, a.Stop(ctx, "failed to start"))
	}
	a.metrics.Reloaded(a.start, true)
	a.log.ConfigLoaded(cfg.Path)
	a.log.Start(o.Version, os.Getpid())
	return a, nil
}

func (a *App) bringUp(ctx context.Context) error {
	if err := os.MkdirAll(a.cfg.DataDir, 0o750); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	sockets, err := takeInherited()
	if err != nil {
		return err
	}
	if a.certs, err = certs.Open(certOptions(a.cfg)); err != nil {
		return err
	}
	if a.log, err = maillog.Open(logOptions(a.cfg, a.o.Events)); err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	if err := a.openResolver(); err != nil {
		return fmt.Errorf("resolver: %w", err)
	}
	if a.rules, err = rulesOf(a.cfg); err != nil {
		return err
	}
	if err := a.openUsers(); err != nil {
		return err
	}
	if err := a.openMailboxes(); err != nil {
		return err
	}
	a.openAgent()
	if a.engine, err = relay.Open(ctx, a.engineOptions()); err != nil {
		return err
	}
	if err := a.openServers(sockets); err != nil {
		return err
	}
	for _, name := range sockets.closeRest() {
		a.diag.Warn("an inherited socket is in no [[listener]]; closed", zap.String("address", name))
	}
	a.watch()
	if err := a.openAdmin(); err != nil {
		return err
	}
	a.checkSources(ctx)
	a.engine.Start()
	for _, s := range a.servers {
		s.serve(a)
	}
	return nil
}

// Fatal delivers the error after which the appliance must end at once with a
// failing exit code: the queue could not write or sync, so nothing more may be
// promised.
func (a *App) Fatal() <-chan error { return a.fatal }

// Addresses returns where the listeners are bound, in the order of the
// configuration; useful when a port was left to the system.
func (a *App) Addresses() []string {
	var list []string
	for _, s := range a.servers {
		list = append(list, s.listener.Addr().String())
	}
	return list
}

// Engine gives the demonstration and the tests the relay.
func (a *App) Engine() *relay.Engine { return a.engine }

// Stop drains: new connections are told 421, transactions in DATA finish, deliveries in
// flight settle. What has not come to its end some time before the deadline of
// ctx is cut off, so that all can be recorded and closed by then: sessions, whose
// clients got no reply, and deliveries, whose recipients are deferred. That is no
// error, since nothing is lost by it; the operator is told. An error says that
// something could not be written.
func (a *App) Stop(ctx context.Context, reason string) error {
	patient, cancel := context.WithCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		patient, cancel = context.WithDeadline(ctx, deadline.Add(-closingTime(time.Until(deadline))))
	}
	defer cancel()
	a.draining.Store(true)
	for _, s := range a.servers {
		a.late(s.protocol.Drain())
	}
	var wg sync.WaitGroup
	if a.engine != nil {
		wg.Go(func() {
			a.late(a.engine.Drain(patient))
		})
	}
	for _, s := range a.servers {
		wg.Go(func() { a.late(s.settle(patient)) })
	}
	wg.Wait()
	for _, s := range a.servers {
		s.close()
	}
	var errs []error
	if a.engine != nil {
		errs = append(errs, a.engine.Close())
	}
	if a.mailboxes != nil {
		errs = append(errs, a.mailboxes.Close())
	}
	if a.users != nil {
		errs = append(errs, a.users.close())
	}
	a.stopChecks()
	a.background.Wait()
	if a.resolver != nil {
		errs = append(errs, a.resolver.Close())
	}
	if a.admin != nil {
		errs = append(errs, a.admin.Close(ctx))
	}
	if a.log != nil {
		a.log.Stop(reason)
		errs = append(errs, a.log.Close())
	}
	return errors.Join(errs...)
}

// Patience is the time that the configuration in force gives a drain.
func (a *App) Patience() time.Duration { return a.reloaded.Load().cfg.Limits.Drain }

// late tells the operator what a drain did not wait for.
func (a *App) late(err error) {
	if err != nil {
		a.diag.Warn("the drain took too long", zap.Error(err))
	}
}

// closingTime is how much of the time for a drain is kept for what must follow
// it: settling what was cut off, and closing the queue.
func closingTime(patience time.Duration) time.Duration {
	return min(max(patience, 0)/3, 5*time.Second)
}

// queueDir is where the queue lives below data_dir.
func queueDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "queue") }

// openResolver readies the resolver of mail exchangers.
func (a *App) openResolver() error {
	var err error
	a.resolver, err = dns.New(dns.Options{
		Servers: a.cfg.DNS.Servers,
		Observe: func(kind, result string, took time.Duration, cached bool) { a.metrics.DNS(kind, result, took, cached) },
	})
	return err
}

func (a *App) engineOptions() relay.Options {
	o := relay.Options{
		Hostname: a.cfg.Hostname,
		Queue: queue.Options{
			Dir:          queueDir(a.cfg),
			SegmentBytes: segmentBytes(a.cfg.DataDir),
			ReserveBytes: a.cfg.Queue.Reserve,
			MemoryBytes:  a.cfg.Queue.Memory,
			Salvage:      a.o.Salvage,
			Fatal:        a.fail,
			Metrics:      a.queueMetrics(),
		},
		Rules: a.rules,
		SMTP: outbound.New(outbound.Options{
			Hostname: a.cfg.Hostname,
			Life:     a.cfg.Outbound.ConnectionLifetime,
		}),
		Resolver:          a.resolver,
		Learned:           a.loadLearned(),
		Log:               a.log,
		Retry:             schedule.Retry{Min: a.cfg.Queue.RetryMin, Lifetime: a.cfg.Queue.Lifetime},
		WarnAfter:         a.cfg.Queue.WarnAfter,
		Guard:             bounce.NewGuard(bounce.GuardOptions{PerVictim: a.cfg.Bounce.PerVictim}),
		Connections:       a.cfg.Outbound.TotalConnections,
		ConnectionsPerHop: a.cfg.Outbound.Connections,
		Metrics:           a.metrics,
		Observe:           observer{a},
	}
	if a.agent != nil {
		o.Local = a.agent
	}
	if a.o.Queue != nil {
		a.o.Queue(&o.Queue)
	}
	return o
}

// fail is called by the queue, once.
func (a *App) fail(err error) {
	a.log.Store("fatal", err)
	a.diag.Error("the queue cannot write; ending", zap.Error(err))
	a.end(err)
}

// end tells the daemon to end, if nothing has yet.
func (a *App) end(err error) {
	select {
	case a.fatal <- err:
	default:
	}
}
