package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

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
	if a.settings != nil {
		errs = append(errs, a.settings.close(ctx))
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
