package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"postrider/internal/app"
	"postrider/internal/config"
	"postrider/internal/maillog"
)

func runCommand(load func() (*config.Config, error)) *cobra.Command {
	var salvage bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon in the foreground",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return run(cmd.Context(), cfg, salvage)
		},
	}
	cmd.Flags().BoolVar(&salvage, "salvage", false, "open a damaged queue: set aside what can not be read and hold what it touches")
	return cmd
}

// run is the daemon's life. SIGHUP reloads, SIGTERM and SIGINT drain, a second
// one of them ends at once.
func run(ctx context.Context, cfg *config.Config, salvage bool) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	diag, err := maillog.Diagnostics(os.Stderr, cfg.Log.Level, terminal(os.Stderr))
	if err != nil {
		return failed(err)
	}
	a, err := app.Start(ctx, cfg, app.Options{Version: version, Diagnostics: diag, Salvage: salvage})
	if err != nil {
		return failed(err)
	}
	for _, address := range a.Addresses() {
		diag.Info("listening", zap.String("address", address))
	}
	notify(diag, daemon.SdNotifyReady)
	watchdog, stopWatchdog := watchdogTicks()
	defer stopWatchdog()
	for {
		select {
		case <-watchdog:
			notify(diag, daemon.SdNotifyWatchdog)
		case err := <-a.Fatal():
			// What is in flight may still settle in memory, but nothing can be
			// recorded: leave at once, and let the supervisor start us again.
			return failed(err)
		case s := <-signals:
			if s == syscall.SIGHUP {
				notify(diag, daemon.SdNotifyReloading)
				_ = a.Reload() // it has told the log and the operator; the old configuration stays
				notify(diag, daemon.SdNotifyReady)
				continue
			}
			notify(diag, daemon.SdNotifyStopping)
			return drain(ctx, a, a.Patience(), s, signals)
		}
	}
}

var (
	errSecondSignal = errors.New("a second signal ended the drain")
	errNoRest       = errors.New("the disk did not come to rest in the time for the drain")
)

// leastPatience is how long a disk may at least take to close what is open.
const leastPatience = 5 * time.Second

// drain ends when all is still, when patience is at its end (a disk that hangs
// must not hold the exit), or at the next signal.
func drain(ctx context.Context, a *app.App, patience time.Duration, s os.Signal, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ended := make(chan error, 1)
	last := time.NewTimer(max(patience, leastPatience))
	defer last.Stop()
	go func() { ended <- a.Stop(ctx, s.String()) }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return failed(err)
			}
			return nil
		case err := <-a.Fatal():
			return failed(err)
		case <-last.C:
			return failed(errNoRest)
		case s := <-signals:
			if s != syscall.SIGHUP {
				return failed(errSecondSignal)
			}
		}
	}
}

// notify tells the service manager, when there is one.
func notify(diag *zap.Logger, state string) {
	if state == daemon.SdNotifyReloading { // it wants to know when (sd_notify(3))
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
			state += fmt.Sprintf("\nMONOTONIC_USEC=%d", now.Nano()/1000)
		}
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		diag.Warn("service manager", zap.Error(err))
	}
}

// watchdogTicks ticks as often as the service manager wants a sign of life; never
// without one.
func watchdogTicks() (<-chan time.Time, func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(interval / 2)
	return t.C, t.Stop
}
