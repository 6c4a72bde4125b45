package app

import (
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"postrider/internal/config"
	"postrider/internal/dns"
	"postrider/queue"
	"postrider/relay"
	"postrider/relay/bounce"
	"postrider/relay/outbound"
	"postrider/relay/schedule"
)

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
