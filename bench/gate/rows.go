package gate

import (
	"errors"

	"postrider/bench/result"
	"postrider/bench/stat"
)

// pair is a scenario run against a target.
type pair struct{ scenario, target string }

// group returns the runs of each pair, and the pairs in the order of the file.
func group(f *result.File) (order []pair, runs map[pair][]*result.Run) {
	runs = map[pair][]*result.Run{}
	for i := range f.Runs {
		p := pair{f.Runs[i].Scenario, f.Runs[i].Target.Name}
		if runs[p] == nil {
			order = append(order, p)
		}
		runs[p] = append(runs[p], &f.Runs[i])
	}
	return order, runs
}

// errNothing is about files that have no pair or no figure in common.
var errNothing = errors.New("the files have nothing in common to compare")

func (r *Report) pairs(base, fresh *result.File, figures []result.Figure, maxRegress float64) error {
	order, olds := group(base)
	_, news := group(fresh)
	for _, p := range order {
		if news[p] == nil {
			r.note("%s %s is in the base alone", p.scenario, p.target)
			continue
		}
		if olds[p][0].Settings != news[p][0].Settings {
			r.note("%s %s: the settings of the scenario differ between the files", p.scenario, p.target)
		}
		r.class(p, olds[p][0].Target.Class, news[p][0].Target.Class)
		for _, f := range figures {
			a, b := result.AuditsOf(olds[p]), result.AuditsOf(news[p])
			if f.Audited && (a.Shared && b.N > 0 || b.Shared && a.N > 0) {
				r.audited(p, f, a, b, maxRegress)
				continue
			}
			r.figure(p, f, values(olds[p], f), values(news[p], f), maxRegress)
		}
	}
	if len(r.Rows) == 0 {
		return errNothing
	}
	return nil
}

// class compares durability classes, whose names sort by strength.
func (r *Report) class(p pair, old, fresh string) {
	switch {
	case old == "" || fresh == "" || old == fresh:
	case fresh < old:
		r.broken("%s %s: durability class %s, and %s in the base", p.scenario, p.target, fresh, old)
	default:
		r.note("%s %s: durability class %s is stronger than the base's %s", p.scenario, p.target, fresh, old)
	}
}

func values(runs []*result.Run, f result.Figure) (list []float64) {
	for _, r := range runs {
		if v, measured := f.Of(r); measured {
			list = append(list, v)
		}
	}
	return list
}

func (r *Report) figure(p pair, f result.Figure, old, fresh []float64, maxRegress float64) {
	if len(old) == 0 {
		r.note("%s %s: the base did not measure %s", p.scenario, p.target, f.Title)
		return
	}
	if len(fresh) == 0 {
		r.note("%s %s: the new file did not measure %s", p.scenario, p.target, f.Title)
	}
	row := Row{Scenario: p.scenario, Target: p.target, Figure: f, Comparison: stat.Compare(old, fresh), Limit: 1 + maxRegress}
	if f.Higher {
		row.Limit = 1 - maxRegress
	}
	row.judge()
	r.Rows = append(r.Rows, row)
	r.Verdict = max(r.Verdict, row.Verdict)
}

func (w *Row) judge() {
	switch {
	case !w.Bounded() && !w.certain(), !w.Excludes(w.Limit):
		w.Verdict = MoreRuns
		w.MoreBase, w.MoreNew, _ = w.More(w.Limit)
	case (w.Ratio < w.Limit) == w.Figure.Higher:
		w.Verdict = Fail
	}
}

// certain reports whether the interval is an infinity that zeros caused, not a
// lack of runs.
func (w *Row) certain() bool { return w.Hi == 0 || w.Lo > 0 && w.Lo == w.Hi }
