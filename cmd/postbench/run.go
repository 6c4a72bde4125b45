package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/bench/report"
	"postrider/bench/result"
	"postrider/bench/target"
)

// runFlags are those of run and compare.
type runFlags struct {
	suts, scenarios []string
	runs            int
	full            bool
	set             []string
	out, scratch    string
	peers, sink     string
	pinHarness      string
	pinSUT          string
	postrider       string
	seed            uint64
	keep, mixed     bool
	skipCalibration bool
	skipAudit       bool
	ownNetwork      bool
	short           map[string]*string // flags that stand for a --set of load
}

// shorthands are the values of a load that deserve a flag.
func shorthands() []struct{ flag, key, help string } {
	return []struct{ flag, key, help string }{
		{"conns", "load.conns", "connections at once"},
		{"rate", "load.pace", "pace: closed, constant:N, poisson:N, burst:..., ramp:..., replay:FILE"},
		{"messages", "load.messages", "messages in all"},
		{"duration", "load.duration", "length of the load"},
		{"warmup", "load.warmup", "left out of rates and latencies"},
		{"size", "load.size", "sizes: 4k, 4k:80,64k:20, lognormal:median=12k,p99=2M, corpus:DIR, histogram:FILE"},
		{"shape", "load.shape", "plain, mime, 8bit, smtputf8, longlines, random, signed"},
		{"domains", "load.domains", "uniform:n=1000, zipf:n=1000,s=1.0, weights:FILE, a.test,b.test"},
		{"rcpts", "load.recipients", "recipients of a message: 5, zipf:n=500,s=1.1"},
		{"tls", "load.tls", "none, starttls, implicit"},
		{"auth", "load.auth", "PLAIN, LOGIN, SCRAM-SHA-256"},
	}
}

func (f *runFlags) define(c *cobra.Command) {
	p := c.Flags()
	p.IntVar(&f.runs, "runs", f.runs, "rounds of each pair of scenario and server")
	p.BoolVar(&f.full, "full", false, "the long form of each scenario")
	p.StringArrayVar(&f.set, "set", nil, "KEY=VALUE of the scenario, such as load.size=64k; may be given again")
	p.StringVar(&f.out, "out", "", "folder for result.json and report.html (default bench-out/TIME-SCENARIO)")
	p.StringVar(&f.scratch, "scratch", "", "folder for the servers' data, on the disk that is meant (default in --out)")
	p.StringVar(&f.sink, "sink", "", "address of the sink for servers with one next hop (default a free port; with an external server 127.0.0.1:2526)")
	p.StringVar(&f.peers, "peers", "", "folder of unpacked servers (default .peers; see bench/peers)")
	p.StringVar(&f.postrider, "postrider", "", "the postrider program (default beside this one)")
	p.Uint64Var(&f.seed, "seed", 1, "of everything random")
	p.BoolVar(&f.keep, "keep", false, "leave the servers' folders")
	p.BoolVar(&f.mixed, "mixed-durability", false, "let figures of different durability classes stand side by side")
	p.BoolVar(&f.skipCalibration, "no-calibration", false, "leave out ceiling and probes")
	p.BoolVar(&f.skipAudit, "no-audit", false, "do not count syncs and verify the durability class")
	p.StringVar(&f.pinHarness, "pin-harness", "", "processors of generator and sink, such as 0 or 2-5,8")
	p.StringVar(&f.pinSUT, "pin-sut", "", "processors of the server under test")
	p.BoolVar(&f.ownNetwork, "i-own-this-network", false, "let the load go to addresses that are not private")
	f.short = map[string]*string{}
	for _, s := range shorthands() {
		f.short[s.key] = p.String(s.flag, "", s.help)
	}
}

func runCommand() *cobra.Command {
	f := runFlags{runs: 1}
	c := &cobra.Command{
		Use:   "run SCENARIO... [--sut SERVER]",
		Short: "run scenarios against one server",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f.scenarios = args
			if !c.Flags().Changed("sut") && slices.Equal(args, []string{"ceiling"}) {
				f.suts = []string{"direct"} // the one that has no server
			}
			return runPlan(c, &f)
		},
	}
	f.define(c)
	c.Flags().StringArrayVar(&f.suts, "sut", []string{"postrider"}, "server under test: "+targetsHelp)
	return c
}

const targetsHelp = "postrider[:CONFIG], postfix, postfix:isp, exim, opensmtpd, dovecot, gosmtp, direct, external:smtp=HOST:PORT,pid=N"

func compareCommand() *cobra.Command {
	f := runFlags{runs: 6}
	c := &cobra.Command{
		Use:   "compare --sut A,B --scenario X,Y",
		Short: "run scenarios against several servers in turn and compare them",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(splitSuts(f.suts)) < 2 {
				return errors.New("compare needs two servers or more: --sut postrider,postfix:isp")
			}
			return runPlan(c, &f)
		},
	}
	f.define(c)
	// Not a list with commas: an external server has some in its own text.
	c.Flags().StringArrayVar(&f.suts, "sut", nil, "server under test, may be given again or as A,B: "+targetsHelp)
	c.Flags().StringSliceVar(&f.scenarios, "scenario", []string{"steady"}, "scenarios")
	return c
}

// splitSuts takes A,B apart, but not the commas of external:...,...
func splitSuts(given []string) []string {
	var all []string
	for _, g := range given {
		for g != "" {
			if strings.HasPrefix(g, "external:") {
				all = append(all, g)
				break
			}
			one, rest, _ := strings.Cut(g, ",")
			all = append(all, one)
			g = rest
		}
	}
	return all
}

func runPlan(c *cobra.Command, f *runFlags) error {
	plan, err := f.plan()
	if err != nil {
		return err
	}
	out := f.out
	if out == "" {
		out = filepath.Join("bench-out", time.Now().Format("20060102-150405")+"-"+plan.Scenarios[0].Name)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return failure{err}
	}
	if plan.Dir = f.scratch; plan.Dir == "" {
		plan.Dir = filepath.Join(out, "scratch")
	}
	if plan.Dir, err = filepath.Abs(plan.Dir); err != nil {
		return failure{err}
	}
	plan.Save = func(file *result.File) error { return save(file, out, f.mixed) }
	plan.HLog = func(scenario, target string, index int) (io.WriteCloser, error) {
		return os.Create(filepath.Join(out, fmt.Sprintf("%s-%s-%d.hlog", scenario, plain(target), index+1)))
	}
	watch := newWatcher(c.ErrOrStderr())
	plan.Watch = watch
	file, err := plan.Do(c.Context())
	watch.end()
	if rerr := os.Remove(plan.Dir); rerr != nil && !f.keep && !errors.Is(rerr, os.ErrNotExist) && err == nil {
		err = rerr
	}
	if len(file.Runs) > 0 {
		if terr := report.Table(c.OutOrStdout(), file, report.Options{Mixed: f.mixed}); terr != nil && err == nil {
			err = terr
		}
		fmt.Fprintf(c.OutOrStdout(), "-> %s %s\n", filepath.Join(out, "report.html"), filepath.Join(out, "result.json"))
	}
	if errors.Is(err, bench.ErrScenario) {
		return err
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// plan makes a plan of the flags.
func (f *runFlags) plan() (*bench.Plan, error) {
	p := &bench.Plan{
		Runs: f.runs, Seed: f.seed, Keep: f.keep, Calibrate: !f.skipCalibration, Audit: !f.skipAudit,
		IOwnThisNetwork: f.ownNetwork, Tool: tool(), Sink: f.sink,
	}
	for _, name := range f.suts {
		if p.Sink == "" && strings.HasPrefix(name, "external:") {
			p.Sink = "127.0.0.1:2526" // whoever started the server must know it
		}
	}
	for _, name := range f.scenarios {
		s, err := bench.Find(name, f.full)
		if err != nil {
			return nil, err
		}
		for _, sh := range shorthands() {
			if v := *f.short[sh.key]; v != "" {
				if err := shorten(s, sh.flag, sh.key, v); err != nil {
					return nil, err
				}
			}
		}
		for _, o := range f.set {
			if err := s.Override(o); err != nil {
				return nil, err
			}
		}
		if err := s.Check(); err != nil {
			return nil, err
		}
		p.Scenarios = append(p.Scenarios, s)
	}
	if f.pinHarness != "" {
		if err := pinSelf(f.pinHarness); err != nil {
			return nil, err
		}
	}
	if f.pinSUT != "" {
		if _, err := cpuList(f.pinSUT); err != nil {
			return nil, fmt.Errorf("--pin-sut: %w", err)
		}
	}
	o := target.Options{Postrider: f.postrider, PeerRoot: f.peers, CPUs: f.pinSUT, IOwnThisNetwork: f.ownNetwork}
	suts := splitSuts(f.suts)
	if len(suts) == 0 {
		return nil, errors.New("--sut names no server")
	}
	for _, name := range suts {
		t, err := target.Parse(name, o)
		if err != nil {
			return nil, err
		}
		p.Targets = append(p.Targets, t)
	}
	return p, nil
}

// shorten sets the value of a flag. Readers of mailboxes have some of the same
// values, in a table of their own.
func shorten(s *bench.Scenario, flag, key, value string) error {
	if s.Access.Workload != "" {
		switch flag {
		case "conns", "duration", "rate", "size", "tls":
			key = "access." + flag
		default:
			return fmt.Errorf("%w %s: --%s means nothing to readers of mailboxes", bench.ErrScenario, s.Name, flag)
		}
	}
	return s.Override(key + "=" + value)
}

// plain makes a name fit for a file.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, name[:min(len(name), 40)])
}

// save writes what there is so far, so that a run that is cut short leaves it.
func save(file *result.File, out string, mixed bool) error {
	if err := report.WriteFile(filepath.Join(out, "result.json"), file); err != nil {
		return err
	}
	return writeReport(filepath.Join(out, "report.html"), file, mixed)
}

func writeReport(path string, file *result.File, mixed bool) error {
	return replace(path, func(w io.Writer) error { return report.HTML(w, file, report.Options{Mixed: mixed}) })
}

// replace writes a file beside path and puts it in its place.
func replace(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".postbench-*")
	if err != nil {
		return err
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
