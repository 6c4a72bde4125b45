package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postrider/bench/cost"
	"postrider/bench/ledger"
	"postrider/bench/load"
	"postrider/bench/result"
	"postrider/bench/target"
)

// audit is what a look at the syncs of a server has shown.
type audit struct {
	syncs, messages int64
	by              string
	class, classBy  string
}

// into gives a run what was found out.
func (a *audit) into(run *result.Run) {
	if a.class != "" { // else what its owner claims stands, and is said to be that
		run.Target.Class, run.Target.ClassBy = a.class, a.classBy
	}
	run.Cost.Syncs, run.Cost.AuditMessages, run.Cost.SyncsBy = a.syncs, a.messages, a.by
	if a.messages > 0 {
		run.Cost.SyncsPerMessage = float64(a.syncs) / float64(a.messages)
	}
}

// audited counts the syncs of t under a load like that of s, and verifies its
// durability class. Both are done once for each target and way of loading, in
// rounds of their own: strace slows the server down, and its figures are used for
// nothing else.
func (p *Plan) audited(ctx context.Context, s *Scenario, t target.Target, m *memory) (*audit, error) {
	if !p.Audit || s.Access.Workload != "" || t.Name() == "direct" {
		return &audit{}, nil
	}
	conns := max(1, s.Load.Conns)
	key := fmt.Sprint(t.Name(), conns, s.Load.PerConn, s.Load.LMTP, s.Server)
	if a, ok := m.audits[key]; ok {
		return &a, nil
	}
	p.note("%s: counting syncs and verifying the durability class", t.Name())
	a, err := p.audit(ctx, s, t, conns)
	switch {
	case errors.Is(err, target.ErrUnsupported):
		p.note("%s: no audit: %v", t.Name(), err)
	case err != nil && ctx.Err() == nil:
		// Without an audit a number has no class, which is said; it is still a number.
		p.note("%s: audit failed: %v", t.Name(), err)
	case err != nil:
		return nil, err
	}
	m.audits[key] = *a
	return a, nil
}

// auditor sends to a server whose syncs are counted.
type auditor struct{ r *round }

func (p *Plan) audit(ctx context.Context, s *Scenario, t target.Target, conns int) (*audit, error) {
	a := &audit{}
	quick := &Scenario{Name: "audit", About: "an audit", Server: s.Server, Load: Load{
		Conns: conns, Size: "4k", LMTP: s.Load.LMTP, Users: s.Load.Users, TLS: s.Load.TLS, PerConn: s.Load.PerConn,
		Domains: "uniform:n=10", Messages: 1,
	}, Access: Access{Users: s.Access.Users}}
	quick.Server.Disk, quick.Server.SlowSync, quick.Server.Suspended = "", 0, false
	dir, release, err := p.room(quick)
	if err != nil {
		return a, err
	}
	defer release()
	r := &round{p: p, s: quick, dir: dir, ledger: ledger.New(p.runNumber())}
	if r.world, err = newWorld(ctx, quick, r.ledger, p.front(), p.Seed); err != nil {
		return a, err
	}
	defer r.world.close()
	if r.server, err = t.Start(ctx, r.need()); err != nil {
		return a, err
	}
	defer func() {
		if err := r.server.Stop(context.WithoutCancel(ctx)); err != nil {
			p.note("stopping %s: %v", t.Name(), err)
		}
	}()
	if _, err := cost.AwaitIdle(ctx, r.server.Meter(), settleTime); err != nil {
		return a, err
	}
	w := &auditor{r: r}
	pids := func() ([]int, error) { return r.server.PIDs(), nil }
	a.syncs, a.messages, err = cost.AuditSyncs(ctx, pids, func(ctx context.Context) (int64, error) {
		n, err := w.send(ctx, max(500, 10*conns), conns, false)
		if err != nil {
			return n, err
		}
		if quick.Load.Users > 0 {
			return n, nil
		}
		return n, r.drain(ctx) // the syncs of delivery are the message's too
	})
	if err != nil {
		return a, err
	}
	a.by = "strace"
	v, err := cost.Verify(ctx, cost.Server{
		Send: func(ctx context.Context, n, conns int) (int64, error) {
			// A command at a time: with the next message behind the final dot the trace
			// could not tell which reply waited for which sync.
			return w.send(ctx, n, conns, true)
		},
		// Not for long: a server that replies when it has delivered would never be killed.
		Hold: func() func() { return r.world.farm.Hold(10 * time.Second) },
		Kill: r.server.Kill, Restart: r.server.Restart, Remaining: w.remaining, PIDs: pids,
	})
	if err != nil {
		return a, err
	}
	a.class, a.classBy = v.Class, v.By
	return a, nil
}

// send offers n messages over conns connections.
func (w *auditor) send(ctx context.Context, n, conns int, strict bool) (accepted int64, err error) {
	o, err := w.r.s.Load.options(0)
	if err != nil {
		return 0, err
	}
	if err := w.r.address(&o); err != nil {
		return 0, err
	}
	o.Conns, o.Messages, o.Failures = conns, int64(n), 3
	o.Strict = strict
	g, err := load.New(o)
	if err != nil {
		return 0, err
	}
	res := g.Run(ctx)
	if res.Accepted == 0 && res.Err != nil {
		return 0, res.Err
	}
	return res.Accepted, ctx.Err()
}

// remaining is how many messages were delivered or are still in the queue.
func (w *auditor) remaining(ctx context.Context) (int64, error) {
	if w.r.s.Load.Users > 0 {
		// Each look counts every text once more: distinct ones are what is asked for.
		if err := w.r.harvest(ctx); err != nil {
			return 0, err
		}
	} else if err := w.r.drain(ctx); err != nil {
		return 0, err
	}
	queued := int64(0)
	if owed := w.r.ledger.Owed(); owed > 0 && w.r.s.Load.Users == 0 {
		n, err := w.r.server.Queued(ctx)
		if err != nil {
			return 0, err
		}
		queued = min(n, owed)
	}
	t := w.r.ledger.Totals(queued)
	return t.Once + t.Duplicated + t.Queued + t.UnknownDelivered, nil
}
