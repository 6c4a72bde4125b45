package gate

import (
	"fmt"
	"math"

	"postrider/bench/result"
	"postrider/bench/stat"
)

// auditAlpha is the level at which audits are judged.
const auditAlpha = 0.01

// audited judges a figure by the syncs that were counted.
func (r *Report) audited(p pair, f result.Figure, old, fresh result.Audits, maxRegress float64) {
	per := func(a result.Audits) stat.Summary {
		return stat.Summary{N: a.N, Median: float64(a.Syncs) / float64(a.Messages), Lo: math.Inf(-1), Hi: math.Inf(1)}
	}
	row := Row{Scenario: p.scenario, Target: p.target, Figure: f, Limit: 1 + maxRegress, Audited: true}
	row.Comparison = stat.Comparison{A: per(old), B: per(fresh), P: math.NaN(), Alpha: auditAlpha}
	row.Interval = stat.Counts(old.Syncs, old.Messages, fresh.Syncs, fresh.Messages, auditAlpha)
	switch {
	case !row.Excludes(row.Limit):
		row.Verdict = MoreRuns
		r.note("%s %s: the audits counted %d and %d syncs, which shows changes of more than %.0f%%",
			p.scenario, p.target, old.Syncs, fresh.Syncs, 100*(row.Hi/row.Ratio-1))
	case row.Ratio > row.Limit:
		row.Verdict = Fail
		r.Verdict = Fail
	}
	r.Rows = append(r.Rows, row)
}

// sizes writes what a row rests on.
func (w *Row) sizes() string {
	if w.Audited {
		return fmt.Sprintf("audits: %d+%d", w.A.N, w.B.N)
	}
	return w.Comparison.String()
}
