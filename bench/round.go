package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"postrider/bench/cost"
	"postrider/bench/ledger"
	"postrider/bench/load"
	"postrider/bench/result"
	"postrider/bench/target"
)

// round is one run of one scenario against one server.
type round struct {
	p      *Plan
	s      *Scenario
	index  int
	base   float64
	dir    string // of the server; a file system of its own when the scenario says so
	ledger *ledger.Ledger
	world  *world
	server target.Instance
	gens   []*load.SMTP
	clock  *recorder

	stormed wave

	began, loaded, drained time.Time
	after                  *cost.Sample
	emptyRSS, emptyDisk    int64 // of the server before the load, in bytes
	diskPerQueued          float64
	rssPerQueued           float64
	first                  error // of a connection
	failures               []string
}

// runNumber marks the messages of a round, so that those of another that come
// late are strangers.
func (p *Plan) runNumber() uint64 { return 1 + uint64(time.Now().UnixMilli())%1e9 }

// round runs s against t, and returns with everything stopped.
// others is the share of the machine in percent that somebody else used.
func (p *Plan) round(ctx context.Context, s *Scenario, t target.Target, index int, base float64) (run *result.Run, others float64, err error) {
	dir, release, err := p.room(s)
	if err != nil {
		return nil, 0, err
	}
	defer release()
	r := &round{p: p, s: s, index: index, base: base, dir: dir, ledger: ledger.New(p.runNumber())}
	if r.world, err = newWorld(ctx, s, r.ledger, p.front(), r.seed()); err != nil {
		return nil, 0, err
	}
	defer r.world.close()
	if r.server, err = t.Start(ctx, r.need()); err != nil {
		return nil, 0, err
	}
	run, others, err = r.measure(ctx)
	// The server is stopped even when the run was interrupted.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if serr := r.server.Stop(stop); err == nil && serr != nil {
		err = fmt.Errorf("stopping %s: %w", t.Name(), serr)
	}
	return run, others, err
}

// room makes the folder of a server, on a disk of its own if s wants one.
func (p *Plan) room(s *Scenario) (dir string, release func(), err error) {
	if dir, err = p.scratch("r"); err != nil {
		return "", nil, err
	}
	unmount := func() {}
	if s.Server.Disk != "" {
		if unmount, err = mountDisk(dir, s.Server.Disk); err != nil {
			return "", nil, errors.Join(err, os.Remove(dir))
		}
	}
	return dir, func() {
		unmount()
		if p.Keep {
			p.note("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			p.note("scratch folder: %v", err)
		}
	}, nil
}

// need says what the server must be.
func (r *round) need() target.Need {
	s := r.s
	return target.Need{
		Dir: r.dir, NextHop: r.world.nextHop(), DNS: r.world.resolver(), MXPort: r.world.port(),
		Suspended: s.Server.Suspended, RetryFirst: s.Server.RetryFirst.D(), SlowSync: s.Server.SlowSync.D(),
		TLS: s.Server.TLS, Auth: s.Server.Auth,
		Conns: s.connections(), MaxMessage: 60 << 20,
		Mailboxes: max(s.Access.Users, s.Load.Users, s.Storm.Logins), MailboxDomain: mailboxDomain, Password: password,
		SlowHash: s.Storm.Logins > 0,
	}
}

// header is the part of a result that is known at once.
func (r *round) header() *result.Run {
	return &result.Run{
		Scenario: r.s.Name, Settings: r.s.Text(), Target: r.server.Info(), Started: time.Now().UTC().Truncate(time.Millisecond),
		Index: r.index, Seed: r.seed(),
	}
}

func (r *round) seed() uint64 { return r.p.Seed + uint64(r.index) }

// connections is how many clients will come at once.
func (s *Scenario) connections() int {
	n := s.Access.Conns + s.Storm.Conns
	for _, l := range append([]Load{s.Load}, s.Client...) {
		if l.Conns == 0 {
			l.Conns = 64
		}
		n += l.Conns
	}
	for _, i := range s.Idle {
		n += i.Conns
	}
	return n
}
