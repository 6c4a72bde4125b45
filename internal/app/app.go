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
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"postrider/access/imap"
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
	sessions  *imap.Sessions
	census    *wire.Census
	servers   []*server
	settings  *settings // nil: mail programs are told nothing
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
		metrics:  metrics.New(o.Version, time.Now()),
		census:   wire.NewCensus(),
		drops:    pop3.NewDrops(),
		sessions: imap.NewSessions(),
		fatal:    make(chan error, 1),

		stopChecks: func() {},
	}
	a.reloaded.Store(&reloadState{cfg: cfg, at: a.start})
	a.warn(cfg)
	ended, err := unlessFatal(a.fatal, func() error { return a.bringUp(ctx) })
	switch {
	case !ended:
		return nil, err
	case err != nil:
		return nil, errors.Join(err, a.Stop(ctx, "failed to start"))
	}
	a.metrics.Reloaded(a.start, true)
	a.log.ConfigLoaded(cfg.Path)
	a.log.Start(o.Version, os.Getpid())
	return a, nil
}

// unlessFatal returns what f returns, or false and what comes from fatal before that:
// a store that fails while it is opened may wait for itself for ever, and the program
// is to exit.
func unlessFatal(fatal <-chan error, f func() error) (ended bool, err error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return true, err
	case err := <-fatal:
		return false, err
	}
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
	if err := a.openSettings(); err != nil {
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
	if a.settings != nil {
		a.settings.serve(a)
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
