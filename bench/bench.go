// Package bench runs scenarios against mail servers and says what came of it: it
// joins generator, sink, name service, ledger, cost and calibration.
//
// A Plan is a list of scenarios and a list of targets. For each scenario the
// targets take turns, A B B A A B ..., so that what the machine does meanwhile
// falls on all of them. One turn is a round: scratch folder, world (sinks and
// name service), server, load, drain, account. Whatever happens, a round ends by
// stopping the server and everything else it began.
//
// # What a figure means
//
// Rates are taken from the end of the warm-up. Cost is that of the server from
// its start to the end of the drain, over all messages it accepted. A round whose
// ledger shows a loss has failed, whatever its speed; so has one that does not
// show what its scenario expects.
//
// # Concurrency
//
// A Plan is carried out by one goroutine at a time. A round owns every goroutine
// that it starts, and has waited for all of them when it returns.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"postrider/bench/calibrate"
	"postrider/bench/result"
	"postrider/bench/target"
)

// Plan is what is measured.
type Plan struct {
	Scenarios []*Scenario
	Targets   []target.Target
	Runs      int    // rounds of each pair; 0: 1
	Seed      uint64 // of everything random; each round adds its index
	Dir       string // scratch folder, on the disk that is meant
	Keep      bool   // leaves each round's folder for a look

	Calibrate bool // probes around each round, and a ceiling for each scenario
	Audit     bool // counts syncs and verifies the durability class, once for each target

	// Sink is the address of the sink for servers with one next hop; "": a free
	// port of 127.0.0.1. Whoever starts a server by hand needs to know it before.
	Sink string

	IOwnThisNetwork bool // lets the load leave loopback and private networks

	Tool  result.Tool
	Watch Watcher
	Save  func(*result.File) error // called after each round with all so far; may be nil
	// HLog opens what takes the histograms of each interval of a round, in the
	// format of HdrHistogram's log files; it may be nil.
	HLog func(scenario, target string, index int) (io.WriteCloser, error)
}

// Watcher is told what happens. Its methods are called from one goroutine at a time.
type Watcher interface {
	// Note says something worth a line.
	Note(line string)
	// Begin tells of a round, and about how long it will take.
	Begin(title string, expected time.Duration)
	// Live comes once a second.
	Live(Live)
}

// Live is a moment of a round.
type Live struct {
	Elapsed              time.Duration
	Phase                string  // warmup, load, drain
	Rate                 float64 // accepted messages in the last second
	Delivered            float64 // duties in the last second
	P50Micros, P99Micros int64
	Queued               int64 // accepted and not ended
	Accepted, Ended      int64 // duties
	Lost                 int64 // known only when a round is over
}

// ErrFailed reports rounds that did not show what they had to. The file has them.
var ErrFailed = errors.New("failed")

// Do carries out the plan. It returns what was measured even with an error, and
// ErrFailed when a round has failed.
func (p *Plan) Do(ctx context.Context) (*result.File, error) {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return nil, err
	}
	machine, err := calibrate.Machine(p.Dir)
	if err != nil {
		return nil, err
	}
	f := &result.File{Schema: result.Schema, Tool: p.Tool, Machine: machine}
	m := &memory{rates: map[string]float64{}, audits: map[string]audit{}, ceilings: map[string]float64{}}
	failed := 0
	for _, s := range p.Scenarios {
		targets, err := p.able(s)
		if err != nil {
			return f, err
		}
		for i := range max(1, p.Runs) {
			order := slices.Clone(targets)
			if i%2 == 1 {
				slices.Reverse(order)
			}
			for _, t := range order {
				run, err := p.turn(ctx, s, t, i, m)
				if err != nil {
					return f, fmt.Errorf("%s on %s: %w", s.Name, t.Name(), err)
				}
				f.Runs = append(f.Runs, *run)
				if len(run.Failed) > 0 {
					failed++
				}
				if p.Save != nil {
					if err := p.Save(f); err != nil {
						return f, err
					}
				}
			}
		}
	}
	if failed > 0 {
		return f, fmt.Errorf("%w: %d of %d rounds", ErrFailed, failed, len(f.Runs))
	}
	return f, ctx.Err()
}

// able returns the targets that speak what s needs; none is an error.
func (p *Plan) able(s *Scenario) ([]target.Target, error) {
	var able []target.Target
	for _, t := range p.Targets {
		if missing := lacks(t, s); missing != "" {
			p.note("%s: %s has no %s, left out", s.Name, t.Name(), missing)
			continue
		}
		able = append(able, t)
	}
	if len(able) == 0 {
		return nil, fmt.Errorf("%w %s: no target can do it", ErrScenario, s.Name)
	}
	return able, nil
}

// lacks returns the first thing s needs that t does not have.
func lacks(t target.Target, s *Scenario) string {
	has := speaks(t)
	needs := s.Needs
	if len(needs) == 0 {
		needs = []string{"smtp"}
	}
	needs = slices.Clone(needs)
	if s.DNS.Domains > 0 {
		needs = append(needs, "mx")
	}
	if s.Server.Auth {
		needs = append(needs, "auth")
	}
	if s.Server.TLS {
		needs = append(needs, "tls")
	}
	for _, n := range needs {
		if !slices.Contains(has, n) {
			return n
		}
	}
	return ""
}

// memory is what a plan has found out and need not measure again.
type memory struct {
	rates    map[string]float64 // of acceptance, by scenario and target
	audits   map[string]audit   // by target
	ceilings map[string]float64 // by the texts of a load
}

// turn is one round with what is measured around it.
func (p *Plan) turn(ctx context.Context, s *Scenario, t target.Target, index int, m *memory) (*result.Run, error) {
	base, err := p.base(ctx, s, t, m)
	if err != nil {
		return nil, err
	}
	a, err := p.audited(ctx, s, t, m)
	if err != nil {
		return nil, err
	}
	ceiling := 0.0
	if t.Name() != "direct" {
		if ceiling, err = p.ceiling(ctx, s, m); err != nil {
			return nil, err
		}
	}
	before, err := p.probe(ctx)
	if err != nil {
		return nil, err
	}
	run, others, err := p.round(ctx, s, t, index, base)
	if err != nil {
		return nil, err
	}
	a.into(run)
	if p.Calibrate {
		after, err := p.probe(ctx)
		if err != nil {
			return nil, err
		}
		c := calibrate.Around(before, after, ceiling, others)
		run.Calibrate = &c
		run.Load.OfCeiling = calibrate.OfCeiling(run.Load.AcceptRate, ceiling)
		run.Stamps = append(run.Stamps, calibrate.Stamps(run)...)
	}
	p.note("%s", summary(run))
	for _, why := range run.Failed {
		p.note("  FAILED: %s", why)
	}
	return run, nil
}

func (p *Plan) note(format string, args ...any) {
	if p.Watch != nil {
		p.Watch.Note(fmt.Sprintf(format, args...))
	}
}

// scratch makes an empty folder for one round.
func (p *Plan) scratch(what string) (string, error) {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return "", err
	}
	// Short: the sockets that servers make in it may have no longer path than 107 bytes.
	dir, err := os.MkdirTemp(p.Dir, what+"-")
	if err != nil {
		return "", err
	}
	// Servers that drop their privileges must be able to enter.
	return filepath.Clean(dir), os.Chmod(dir, 0o755)
}

func (p *Plan) front() string { return orElse(p.Sink, "127.0.0.1:0") }
