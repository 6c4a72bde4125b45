package bench

import (
	"context"
	"fmt"
	"time"

	"postrider/bench/target"
)

// baseTime is how long the rate is measured of which another load is a share, and
// the ceiling.
const baseTime = 6 * time.Second

// base returns what 100 % is for the loads of s: the rate at which t accepts the
// scenario that they name. It is measured once.
func (p *Plan) base(ctx context.Context, s *Scenario, t target.Target, m *memory) (float64, error) {
	of := ""
	for _, l := range append([]Load{s.Load}, s.Client...) {
		if l.Of != "" {
			of = l.Of
		}
	}
	if of == "" {
		return 0, nil
	}
	key := of + " " + t.Name()
	if rate, ok := m.rates[key]; ok {
		return rate, nil
	}
	b, err := Find(of, false)
	if err != nil {
		return 0, err
	}
	b.Load.Messages, b.Load.Duration, b.Load.Warmup = 0, Duration(baseTime), Duration(time.Second)
	run, _, err := p.quietly().round(ctx, b, t, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("the rate of %s: %w", of, err)
	}
	// A server that accepts faster than it delivers is not asked for more than it
	// can keep up with.
	rate := min(run.Load.AcceptRate, run.Load.DeliveredRate)
	if rate <= 0 {
		return 0, fmt.Errorf("the rate of %s: nothing was delivered", of)
	}
	p.note("%s: 100%% of %s is %.0f messages/s", t.Name(), of, rate)
	m.rates[key] = rate
	return rate, nil
}

// ceiling returns the rate at which the load of s goes from generator to sink
// with nothing between; 0 when it was not asked for, or s has no load.
func (p *Plan) ceiling(ctx context.Context, s *Scenario, m *memory) (float64, error) {
	if !p.Calibrate || s.Access.Workload != "" || s.Load.LMTP {
		return 0, nil
	}
	c := Scenario{Name: "ceiling", About: "generator to sink", Load: s.Load}
	c.Load.Pace, c.Load.Of, c.Load.Messages, c.Load.Think = "closed", "", 0, 0
	c.Load.TLS, c.Load.Auth, c.Load.Tries = "", "", 0
	c.Load.Duration, c.Load.Warmup, c.Load.Drain = Duration(baseTime/2), Duration(500*time.Millisecond), 0
	key := c.Text()
	if rate, ok := m.ceilings[key]; ok {
		return rate, nil
	}
	direct, err := target.Parse("direct", target.Options{})
	if err != nil {
		return 0, err
	}
	run, _, err := p.quietly().round(ctx, &c, direct, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("ceiling: %w", err)
	}
	m.ceilings[key] = run.Load.AcceptRate
	p.note("ceiling: %.0f messages/s from generator to sink, %.1f us of CPU each", run.Load.AcceptRate, run.Load.OwnCPUMicros)
	return run.Load.AcceptRate, nil
}

// quietly is p for rounds whose results are not kept.
func (p *Plan) quietly() *Plan {
	q := *p
	q.HLog = nil
	return &q
}
