// Package gate decides whether a new version of a server has become slower than
// a kept one, from the files that postbench writes.
//
// A figure fails only when it is shown to have become worse than the limit
// allows: the whole interval of the ratio lies beyond it. It passes when the
// whole interval lies within. In between nobody knows, and the gate says how
// many more runs it would take instead of guessing. The level is 0.01, or 0.05
// with fewer than eight runs. By default the figures are messages per CPU
// second and syncs per message, which a busy machine disturbs least.
//
// Syncs are counted in an audit, often one for all runs of a file. Its figure
// stands in every run, but is one measurement: it is judged by the number of syncs
// that were counted, and as more runs would not help, it can fail the gate but
// not leave it undecided; a note says how large a change the audits show.
//
// Speed does not excuse a broken account: a new run that lost, damaged or made
// up mail, or that missed what its scenario demands, fails the gate at once, and
// so does one whose durability class is weaker than the base's. Files of
// different machines are refused unless the caller insists.
//
// # Concurrency
//
// Functions of their arguments, which they leave as they are.
package gate

import (
	"fmt"
	"slices"
	"strings"

	"postrider/bench/result"
	"postrider/bench/stat"
)

// Limits says what is held against what.
type Limits struct {
	// MaxRegress is the share by which a figure may become worse: 0.05.
	MaxRegress float64
	// Figures are keys of result.Figures; none: messages/cpu-s and syncs/message.
	Figures []string
	// AnyMachine allows files of different machines, whose figures do not compare.
	AnyMachine bool
}

// Verdict is what the gate says.
type Verdict int

// The verdicts, from the mildest.
const (
	Pass     Verdict = iota
	MoreRuns         // the interval holds the limit
	Fail
)

// String returns the word that is printed.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case MoreRuns:
		return "need more runs"
	default:
		return "FAIL"
	}
}

// Row is the verdict about one figure of one pair of scenario and target.
type Row struct {
	Scenario, Target string
	Figure           result.Figure
	stat.Comparison          // base is A, new is B
	Limit            float64 // the ratio that must not be passed
	Verdict          Verdict
	// Audited: each side was counted in audits that runs share.
	Audited bool
	// MoreBase and MoreNew are the runs that are missing for a verdict, both 0
	// with MoreRuns when the ratio is too near to the limit to tell.
	MoreBase, MoreNew int
}

// Report is the verdict about all.
type Report struct {
	Verdict Verdict
	Rows    []Row
	Broken  []string // why it fails whatever the figures say
	Notes   []string // what the reader should know
}

// Default returns the keys of the figures that are checked when none are named.
func Default() []string { return []string{"messages/cpu-s", "syncs/message"} }

// Check holds the runs of fresh against those of base. An error means that they
// cannot be compared.
func Check(base, fresh *result.File, l Limits) (*Report, error) {
	if l.MaxRegress <= 0 || l.MaxRegress >= 1 {
		return nil, fmt.Errorf("limit of %v: it must lie between 0 and 100%%", l.MaxRegress)
	}
	figures, err := figures(l.Figures)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if differ := differences(base.Machine, fresh.Machine); len(differ) > 0 {
		if !l.AnyMachine {
			return nil, fmt.Errorf("the files are of different machines: %s", strings.Join(differ, "; "))
		}
		r.note("the files are of different machines, so the ratios say little: %s", strings.Join(differ, "; "))
	}
	for _, run := range base.Runs {
		if run.Ledger.Lost > 0 {
			return nil, fmt.Errorf("%s lost %d duties in the base, which is none then", label(&run), run.Ledger.Lost)
		}
	}
	r.account(fresh)
	if err := r.pairs(base, fresh, figures, l.MaxRegress); err != nil {
		return nil, err
	}
	return r, nil
}

func figures(keys []string) (list []result.Figure, err error) {
	if len(keys) == 0 {
		keys = Default()
	}
	for _, key := range keys {
		f, ok := result.FigureOf(key)
		if !ok {
			var known []string
			for _, f := range result.Figures() {
				known = append(known, f.Key)
			}
			return nil, fmt.Errorf("no figure %q: known are %s", key, strings.Join(known, ", "))
		}
		list = append(list, f)
	}
	return list, nil
}

func (r *Report) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, n) {
		r.Notes = append(r.Notes, n)
	}
}

func (r *Report) broken(format string, args ...any) {
	r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
	r.Verdict = Fail
}

// label names a run.
func label(run *result.Run) string {
	return fmt.Sprintf("%s, %s, run %d", run.Scenario, run.Target.Name, run.Index)
}

// account fails what no speed makes up for.
func (r *Report) account(fresh *result.File) {
	for i := range fresh.Runs {
		run := &fresh.Runs[i]
		for _, c := range []struct {
			n    int64
			what string
		}{
			{run.Ledger.Lost, "lost"},
			{run.Ledger.Corrupted, "damaged"},
			{run.Ledger.Phantom, "delivered although not accepted"},
		} {
			if c.n > 0 {
				r.broken("%s: %d duties %s", label(run), c.n, c.what)
			}
		}
		for _, f := range run.Failed {
			r.broken("%s: %s", label(run), f)
		}
		for _, s := range run.Stamps {
			s, _, _ = strings.Cut(s, ": ") // the kind, without its figures
			r.note("%s %s: some of its runs are stamped %q", run.Scenario, run.Target.Name, s)
		}
	}
}
