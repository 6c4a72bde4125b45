package app

import (
	"time"

	"go.uber.org/zap"

	"postrider/internal/mail"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/schedule"
)

// watch lets the metrics read what the parts count themselves.
func (a *App) watch() {
	a.metrics.Watch(metrics.Sources{
		Listeners:         a.listenerCounts,
		Queue:             a.queueCounts,
		Store:             a.storeFigures,
		Ledger:            a.ledger,
		EventLog:          a.eventLog,
		Lanes:             a.laneCounts,
		CertificateExpiry: a.certs.NotAfter,
	})
}

func (a *App) listenerCounts() []metrics.Listener {
	list := make([]metrics.Listener, 0, len(a.servers))
	for _, s := range a.servers {
		list = append(list, s.counts())
	}
	return list
}

func (a *App) queueCounts() metrics.Queue {
	c := a.engine.Queue().Counts()
	q := metrics.Queue{
		Bytes: c.Bytes, MemoryBytes: c.MemoryBytes, DiskFreeBytes: c.DiskFreeBytes,
		SegmentsFree: c.SegmentsFree, SegmentsTotal: c.SegmentsTotal,
		InFlight: c.States[queue.InFlight].Recipients, Unsynced: c.Unsynced,
		AgeBounds: queue.AgeBounds(), Ages: c.Ages[:],
	}
	now := time.Now()
	for _, s := range waitingStates() {
		t := c.States[s]
		state := metrics.QueueState{State: s.String(), Messages: t.Messages, Recipients: t.Recipients}
		if t.OldestMicro > 0 {
			state.Oldest = max(0, now.Sub(time.UnixMicro(t.OldestMicro)))
		}
		q.States = append(q.States, state)
	}
	return q
}

func (a *App) storeFigures() metrics.Store { return metrics.Store(a.engine.Queue().Figures()) }

// waitingStates are the states of a recipient that has not ended.
func waitingStates() []queue.State {
	return []queue.State{queue.Ready, queue.InFlight, queue.Deferred, queue.Held, queue.Failed, queue.Quarantined}
}

func (a *App) ledger() metrics.Ledger {
	l := a.engine.Ledger()
	return metrics.Ledger{Accepted: l.Inherited + l.Accepted, Ended: l.Ended, Queued: l.Queued}
}

func (a *App) eventLog() metrics.EventLog {
	s := a.log.Stats()
	return metrics.EventLog{Events: s.Events, Dropped: s.Dropped, BacklogBytes: s.BacklogBytes, Failing: s.Err != nil}
}

func (a *App) laneCounts() []metrics.Lane {
	var list []metrics.Lane
	for _, l := range a.engine.Lanes() {
		m := metrics.Lane{Name: l.Site, Connections: int64(l.Connections), Paused: !l.PausedUntil.IsZero()}
		for gate, waited := range l.Waited {
			if waited > 0 {
				m.Waits = append(m.Waits, metrics.Wait{Limit: schedule.Gate(gate).String(), Total: waited})
			}
		}
		list = append(list, m)
	}
	return list
}

// queueMetrics are the queue's hooks.
func (a *App) queueMetrics() *queue.Metrics {
	return &queue.Metrics{
		Group: func(records, _ int, _, sync time.Duration) { a.metrics.QueueSync(records, sync) },
		Alarm: func(kind string, err error) {
			a.log.Store(kind, err)
			a.diag.Warn("queue", zap.String("kind", kind), zap.Error(err))
		},
	}
}

// observer tells the operator what is no event of a message.
type observer struct{ a *App }

func (o observer) LanePaused(lane string, reason mail.Status, pause time.Duration, cause error) {
	o.a.diag.Warn("the next hop can not be reached; its mail waits",
		zap.String("lane", lane), zap.String("reason", reason.String()), zap.Duration("pause", pause), zap.Error(cause))
}

func (o observer) AliasCycle(address string) {
	o.a.diag.Warn("the aliases go round in a circle", zap.String("address", address))
}

func (o observer) ClockDoubted(err error) {
	o.a.diag.Error("the clock has leapt; `postrider queue confirm-clock` says that it is right", zap.Error(err))
}
