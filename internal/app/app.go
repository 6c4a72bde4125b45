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
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"postrider/internal/admin"
	"postrider/internal/certs"
	"postrider/internal/config"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/internal/wire"
	"postrider/queue"
	"postrider/relay"
	"postrider/relay/outbound"
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
	census  *wire.Census
	servers []*server
	admin   *admin.Server
	fatal   chan error

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
		fatal:   make(chan error, 1),
	}
	a.reloaded.Store(&reloadState{cfg: cfg, at: a.start})
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

// Stop drains: no new connections, transactions in DATA finish, deliveries in
// flight settle. It returns when all is still or, with an error, when ctx ended
// first.
func (a *App) Stop(ctx context.Context, reason string) error {
	var errs []error
	a.draining.Store(true)
	for _, s := range a.servers {
		go s.shutdown(ctx)
	}
	for _, s := range a.servers {
		errs = append(errs, s.wait())
	}
	if a.engine != nil {
		errs = append(errs, a.engine.Stop(ctx))
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

// queueDir is where the queue lives below data_dir.
func queueDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "queue") }

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
		Rules: rulesOf(a.cfg),
		SMTP: outbound.New(outbound.Options{
			Hostname: a.cfg.Hostname,
			Life:     a.cfg.Outbound.ConnectionLifetime,
		}),
		Log:               a.log,
		Retry:             relay.Retry{Min: a.cfg.Queue.RetryMin, Lifetime: a.cfg.Queue.Lifetime},
		ConnectionsPerHop: a.cfg.Outbound.Connections,
		Metrics:           a.metrics,
		Observe:           observer{a},
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
	a.fatal <- err
}
