package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postrider/bench/calibrate"
	"postrider/bench/gate"
	"postrider/bench/report"
	"postrider/bench/result"
)

func gateCommand() *cobra.Command {
	var base, fresh, limit string
	var l gate.Limits
	c := &cobra.Command{
		Use:   "gate --base A.json --new B.json",
		Short: "fail when a new result is shown to be worse than an old one",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			percent, err := strconv.ParseFloat(strings.TrimSuffix(limit, "%"), 64)
			if err != nil || percent <= 0 || percent >= 100 {
				return fmt.Errorf("--max-regress: %q is no share such as 5%%", limit)
			}
			if base == "" || fresh == "" {
				return errors.New("gate needs --base and --new")
			}
			l.MaxRegress = percent / 100
			return runGate(c.OutOrStdout(), base, fresh, l)
		},
	}
	p := c.Flags()
	p.StringVar(&base, "base", "", "result.json to compare with")
	p.StringVar(&fresh, "new", "", "result.json to judge")
	p.StringVar(&limit, "max-regress", "5%", "how much worse a figure may be")
	p.StringSliceVar(&l.Figures, "figures", nil, "figures to judge (default "+strings.Join(gate.Default(), ",")+")")
	p.BoolVar(&l.AnyMachine, "any-machine", false, "compare files of different machines")
	return c
}

func runGate(w io.Writer, base, fresh string, l gate.Limits) error {
	a, err := report.ReadFile(base)
	if err != nil {
		return failure{err}
	}
	b, err := report.ReadFile(fresh)
	if err != nil {
		return failure{err}
	}
	r, err := gate.Check(a, b, l)
	if err != nil {
		return failure{err}
	}
	if err := r.WriteText(w); err != nil {
		return failure{err}
	}
	if r.Verdict == gate.Fail {
		return failure{errors.New("the new result is worse than the limit allows")}
	}
	return nil
}

func reportCommand() *cobra.Command {
	var html, markdown, lines, baseline string
	var o report.Options
	c := &cobra.Command{
		Use:   "report RESULT.json...",
		Short: "show results as a table, a page, a Markdown row or Go benchmark lines",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := merge(args)
			if err != nil {
				return failure{err}
			}
			any := false
			for _, out := range []struct {
				path  string
				write func(io.Writer) error
			}{
				{html, func(w io.Writer) error { return report.HTML(w, file, o) }},
				{markdown, func(w io.Writer) error { return report.Markdown(w, file, o) }},
				{lines, func(w io.Writer) error { return report.Benchmarks(w, file) }},
				{baseline, func(w io.Writer) error { return writeJSON(w, slim(file)) }},
			} {
				if out.path == "" {
					continue
				}
				any = true
				if err := put(c.OutOrStdout(), out.path, out.write); err != nil {
					return failure{err}
				}
			}
			if any {
				return nil
			}
			if err := report.Table(c.OutOrStdout(), file, o); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	p := c.Flags()
	p.StringVar(&html, "html", "", "write a page to this file, - for standard output")
	p.StringVar(&markdown, "markdown", "", "write Markdown")
	p.StringVar(&lines, "bench", "", "write Go benchmark lines, for benchstat")
	p.StringVar(&baseline, "baseline", "", "write what the gate needs, and no more")
	p.BoolVar(&o.Mixed, "mixed-durability", false, "let different durability classes stand side by side")
	return c
}

func put(stdout io.Writer, path string, write func(io.Writer) error) error {
	if path == "-" {
		return write(stdout)
	}
	return replace(path, write)
}

// merge reads result files of one machine into one.
func merge(paths []string) (*result.File, error) {
	var all *result.File
	for _, path := range paths {
		f, err := report.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = f
			continue
		}
		if f.Machine != all.Machine {
			return nil, fmt.Errorf("%s was measured on another machine than %s", path, paths[0])
		}
		all.Runs = append(all.Runs, f.Runs...)
	}
	return all, nil
}

func calibrateCommand() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "calibrate",
		Short: "say what this machine is, and how fast it syncs and computes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := calibrate.Machine(dir)
			if err != nil {
				return failure{err}
			}
			r, err := calibrate.Probe(c.Context(), dir)
			if err != nil {
				return failure{err}
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), struct {
					Machine result.Machine    `json:"machine"`
					Probe   calibrate.Reading `json:"probe"`
				}{m, r})
			}
			fmt.Fprintf(c.OutOrStdout(), "%s, %d cores, %d MB, %s, %s on %s\n4 KiB overwrite and fdatasync: median %d us of %d; fixed arithmetic: %.1f ms\nceiling of the harness: postbench run ceiling --sut direct\n",
				m.CPU, m.Cores, m.MemoryBytes>>20, m.Kernel, m.FileSystem, dir, r.SyncMicros, r.SyncRounds, r.SpinMillis)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", os.TempDir(), "folder on the disk that is meant")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// slim returns a file without what only a report needs.
func slim(f *result.File) *result.File {
	s := *f
	s.Runs = nil
	for _, r := range f.Runs {
		r.Intervals, r.Domains, r.Target.Config = nil, nil, ""
		for _, l := range []*result.Latency{&r.Load.Response, &r.Load.Service, &r.Load.EndToEnd} {
			l.Curve, l.HDR = nil, ""
		}
		s.Runs = append(s.Runs, r)
	}
	return &s
}
