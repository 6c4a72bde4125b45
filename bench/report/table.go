package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"postrider/bench/result"
	"postrider/bench/stat"
)

// Table prints the headline for a terminal: for each scenario the calibration, a
// row for each target, the ratios between them, and the account.
func Table(w io.Writer, f *result.File, o Options) error {
	var b strings.Builder
	for i, s := range arrange(f, o) {
		if i > 0 {
			b.WriteByte('\n')
		}
		if len(s.Groups) > 1 {
			fmt.Fprintf(&b, "%s: these durability classes promise different things, so they have tables of their own.\n", s.Name)
		}
		for g := range s.Groups {
			if err := s.Groups[g].table(&b); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (g *group) table(b *strings.Builder) error {
	fmt.Fprintf(b, "%s: %s\n", oneLine(g.Scenario), g.heading())
	if c := g.calibration(); c != "" {
		fmt.Fprintf(b, "calibrate  %s\n", c)
	}
	if g.hasMail() {
		t := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
		fmt.Fprint(t, " ")
		for _, f := range g.figures() {
			fmt.Fprintf(t, "\t%s", f.Title)
		}
		fmt.Fprintln(t, "\tclass\tlost\tdup")
		for i := range g.Targets {
			g.Targets[i].row(t, g.figures())
		}
		for i := range g.Targets[1:] {
			ratioRow(t, &g.Targets[0], &g.Targets[i+1], g.figures())
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if err := g.accessTable(b); err != nil {
		return err
	}
	for i := range g.Targets {
		g.Targets[i].remarks(b)
	}
	return nil
}

// heading tells the promise and the number of runs, and warns.
func (g *group) heading() string {
	if g.Mixed {
		return "WARNING: the durability classes promise different things; ratios between them compare no like with like"
	}
	return g.Promise
}

// hasMail reports whether messages were sent at all.
func (g *group) hasMail() bool { return len(g.figures()) > 0 }

// figures returns those that some target measured.
func (g *group) figures() (list []result.Figure) {
	for _, f := range result.Figures() {
		if slices.ContainsFunc(g.Targets, func(t target) bool { return len(t.values(f)) > 0 }) {
			list = append(list, f)
		}
	}
	return list
}

// calibration sums up what the calibrations of the runs found.
func (g *group) calibration() string {
	var ceiling, sync, drift []float64
	for _, t := range g.Targets {
		for _, r := range t.Runs {
			if c := r.Calibrate; c != nil {
				ceiling = append(ceiling, c.CeilingRate)
				sync = append(sync, float64(c.SyncMicros[0]), float64(c.SyncMicros[1]))
				drift = append(drift, c.DriftPercent)
			}
		}
	}
	if len(drift) == 0 {
		return ""
	}
	return fmt.Sprintf("ceiling %s/s · sync p50 %s · drift up to %s",
		short(stat.Summarize(ceiling).Median), duration(stat.Summarize(sync).Median), percent(slices.Max(drift)/100))
}

func (t *target) row(w io.Writer, figures []result.Figure) {
	fmt.Fprint(w, oneLine(t.Name))
	for i, f := range figures {
		fmt.Fprintf(w, "\t%s", cell(t.figure(f), f.Unit, i == 0))
	}
	l := t.ledger()
	fmt.Fprintf(w, "\t%s\t%s\t%s\n", t.classes(), whole(l.Lost), whole(l.Duplicated))
}

// cell writes a median, with its interval or the lack of one.
func cell(s stat.Summary, u result.Unit, interval bool) string {
	switch {
	case s.N == 0:
		return "–"
	case !interval:
		return inUnit(s.Median, u)
	case !s.Bounded():
		return fmt.Sprintf("%s (n=%d)", inUnit(s.Median, u), s.N)
	default:
		return fmt.Sprintf("%s [%s]", inUnit(s.Median, u), between(s.Lo, s.Hi, u))
	}
}

func ratioRow(w io.Writer, first, other *target, figures []result.Figure) {
	list := compare(first, other)
	fmt.Fprintf(w, "%s ÷ %s", oneLine(first.Name), oneLine(other.Name))
	for i, f := range figures {
		at := slices.IndexFunc(list, func(a against) bool { return a.Figure.Key == f.Key })
		switch {
		case at < 0:
			fmt.Fprint(w, "\t–")
		case i == 0 && list[at].Pair.Bounded():
			p := list[at].Pair
			fmt.Fprintf(w, "\t%s [%s – %s] (%s)", ratio(p.Ratio), ratio(p.Lo), ratio(p.Hi), list[at].Comparison)
		case i == 0:
			fmt.Fprintf(w, "\t%s (%s)", ratio(list[at].Pair.Ratio), list[at].Comparison)
		default:
			fmt.Fprintf(w, "\t%s", ratio(list[at].Pair.Ratio))
		}
	}
	fmt.Fprintln(w, "\t\t\t")
}

// remarks prints the account, figures of the scenario's own, stamps and failures.
func (t *target) remarks(b *strings.Builder) {
	name := oneLine(t.Name)
	if l := t.ledger(); l.Duties > 0 {
		fmt.Fprintf(b, "ledger %s: accepted %s = once %s · duplicated %s · bounced %s · queued %s · LOST %s", name,
			whole(l.Accepted), whole(l.Once), whole(l.Duplicated), whole(l.Bounced), whole(l.Queued), whole(l.Lost))
		for _, x := range ledgerLines(&l) {
			if *x.N != 0 && !x.Part && x.Name != "duties" && x.Name != "accepted" {
				fmt.Fprintf(b, "; %s %s", x.Name, whole(*x.N))
			}
		}
		b.WriteByte('\n')
	}
	for _, v := range t.figuresOfItsOwn() {
		fmt.Fprintf(b, "%s: %s %s %s\n", name, oneLine(v.Name), short(v.Median), oneLine(v.Unit))
	}
	for _, s := range t.stamps() {
		fmt.Fprintf(b, "stamp %s: %s\n", name, oneLine(s))
	}
	for _, f := range t.failed() {
		fmt.Fprintf(b, "FAILED %s\n", oneLine(f))
	}
}

// oneLine makes text from outside harmless for a terminal or a table: one line
// without control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}
