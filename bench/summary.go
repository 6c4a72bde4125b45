package bench

import (
	"fmt"
	"time"

	"postrider/bench/result"
)

// The names of the harness's world.
const (
	defaultDomain = "d0.bench.test"
	senderDomain  = "sender.bench.test" // bounces come back to it
	mailboxDomain = "mail.bench.test"
	password      = "bench-secret" // of every mailbox of a server under test
)

// begin tells of a round that is about to be loaded.
func (p *Plan) begin(r *round) {
	if p.Watch == nil {
		return
	}
	expected := r.s.Load.Warmup.D() + r.s.Load.Duration.D() + r.s.Access.Duration.D()
	p.Watch.Begin(fmt.Sprintf("%s %s %d", r.s.Name, r.server.Info().Name, r.index+1), expected)
}

// summary is a run in a line.
func summary(run *result.Run) string {
	micros := func(n int64) time.Duration { return (time.Duration(n) * time.Microsecond).Round(10 * time.Microsecond) }
	l, c := run.Ledger, run.Cost
	if len(run.Access) > 0 {
		items, wrong := int64(0), int64(0)
		for _, a := range run.Access {
			items += a.Items
			wrong += a.Violations
		}
		return fmt.Sprintf("%s %s: %d messages read, %d violations, %.2f CPU-s", run.Scenario, run.Target.Name, items, wrong, c.UserSeconds+c.SystemSeconds)
	}
	return fmt.Sprintf("%s %s: accepted %.0f/s delivered %.0f/s, accept p99 %v, end to end p99 %v, %.3f CPU-s per 1000, class %s; ledger: accepted %d = once %d + duplicated %d + bounced %d + queued %d + lost %d",
		run.Scenario, run.Target.Name, run.Load.AcceptRate, run.Load.DeliveredRate, micros(run.Load.Response.P99), micros(run.Load.EndToEnd.P99),
		c.CPUSecondsPer1000, orElse(run.Target.Class, "?"), l.Accepted, l.Once, l.Duplicated, l.Bounced, l.Queued, l.Lost)
}
