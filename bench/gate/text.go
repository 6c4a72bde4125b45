package gate

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// WriteText prints the report for people: a line for each figure, what is
// broken, what to know, and the verdict last.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "scenario\ttarget\tfigure\tbase\tnew\tchange\tinterval\tlimit\t\tverdict")
	for i := range r.Rows {
		x := &r.Rows[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%.4g\t%.4g\t%s\t%s\t%s\t%s\t%s\n", x.Scenario, x.Target, x.Figure.Title,
			x.A.Median, x.B.Median, percent(x.Ratio), x.interval(), percent(x.Limit), x.sizes(), x.verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	for _, n := range r.Broken {
		fmt.Fprintf(&b, "broken: %s\n", n)
	}
	fmt.Fprintf(&b, "gate: %s\n", r.Verdict)
	_, err := w.Write(b.Bytes())
	return err
}

// interval of the change.
func (w *Row) interval() string {
	if !w.Bounded() && !w.certain() {
		return "[too few runs]"
	}
	return "[" + percent(w.Lo) + ", " + percent(w.Hi) + "]"
}

func (w *Row) verdict() string {
	if w.Verdict != MoreRuns {
		return w.Verdict.String()
	}
	switch {
	case w.Audited:
		return "not shown to be worse"
	case w.MoreBase == 0 && w.MoreNew == 0:
		return "too near to the limit to tell"
	case w.MoreBase == 0:
		return fmt.Sprintf("need %s of the new", more(w.MoreNew))
	case w.MoreNew == 0:
		return fmt.Sprintf("need %s of the base", more(w.MoreBase))
	default:
		return fmt.Sprintf("need %s of the new and %d of the base", more(w.MoreNew), w.MoreBase)
	}
}

func more(n int) string {
	if n == 1 {
		return "1 more run"
	}
	return fmt.Sprintf("%d more runs", n)
}

// percent writes a ratio as a change.
func percent(ratio float64) string {
	switch {
	case math.IsNaN(ratio):
		return "?"
	case math.IsInf(ratio, 1):
		return "from none"
	}
	return fmt.Sprintf("%+.1f%%", (ratio-1)*100)
}
