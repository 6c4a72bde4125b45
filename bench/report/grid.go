package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"postrider/bench/result"
	"postrider/bench/stat"
)

// grid is a table of the page. Its first column names the row.
type grid struct {
	Caption string
	Head    []string
	Rows    []gridRow
	Cards   bool // on a narrow screen each row becomes a card
	Narrow  bool // as wide as its text
	Swatch  bool // the rows are of targets and show their colours
}

type gridRow struct {
	Name   string
	Sub    string
	Warn   string // doubts about the row
	Colour int
	Cells  []gridCell
	Strong bool
}

// gridCell is a figure, with its interval below.
type gridCell struct {
	Text, Sub string
	Label     string // the column's head, for cards
	Bad       bool
	Faint     bool
	Words     bool // text, not a number
}

// Long reports whether the table is shown only when asked for.
func (g *grid) Long() bool { return len(g.Rows) > 12 }

func (g *grid) add(name string, cells ...string) *gridRow {
	row := gridRow{Name: name}
	for _, c := range cells {
		row.Cells = append(row.Cells, gridCell{Text: c})
	}
	g.Rows = append(g.Rows, row)
	return &g.Rows[len(g.Rows)-1]
}

// IsWords reports whether a column has text, which stands at the left.
func (g *grid) IsWords(column int) bool {
	return column > 0 && len(g.Rows) > 0 && column <= len(g.Rows[0].Cells) && g.Rows[0].Cells[column-1].Words
}

// headline has a row for each target, with the median of each figure.
func (g *group) headline() *grid {
	figures := g.figures()
	t := &grid{Head: []string{"target", "class"}, Cards: true, Swatch: true}
	for _, f := range figures {
		t.Head = append(t.Head, f.Title)
	}
	t.Head = append(t.Head, "lost", "dup.")
	for i := range g.Targets {
		x := &g.Targets[i]
		row := gridRow{Name: x.Name, Sub: runsOf(x), Warn: strings.Join(x.stamps(), ", "), Colour: x.Colour}
		row.Cells = append(row.Cells, gridCell{Text: x.classes(), Words: true})
		for _, f := range figures {
			row.Cells = append(row.Cells, medianCell(x.figure(f), f.Unit))
		}
		l := x.ledger()
		row.Cells = append(row.Cells, gridCell{Text: whole(l.Lost), Bad: l.Lost > 0}, gridCell{Text: whole(l.Duplicated)})
		for i := range row.Cells {
			row.Cells[i].Label = t.Head[i+1]
		}
		row.Cells[len(row.Cells)-1].Label = "duplicated"
		t.Rows = append(t.Rows, row)
	}
	return t
}

// runsOf names the version and the number of runs.
func runsOf(t *target) string {
	runs := fmt.Sprintf("%d runs", len(t.Runs))
	if len(t.Runs) == 1 {
		runs = "1 run"
	}
	if v := t.Info.Version; v != "" {
		return v + " · " + runs
	}
	return runs
}

func dashIfNone(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func medianCell(s stat.Summary, u result.Unit) gridCell {
	c := gridCell{Text: cell(s, u, false)}
	switch {
	case s.Bounded():
		c.Sub = between(s.Lo, s.Hi, u)
	case s.N > 1:
		c.Sub = fmt.Sprintf("n=%d", s.N)
	}
	return c
}

// ledgerGrid has every line of the account, and a column for each target.
func (g *group) ledgerGrid() *grid {
	t := &grid{Caption: "Account of every duty (recipient)", Head: []string{""}, Narrow: true}
	var sums []result.Ledger
	duties := int64(0)
	for i := range g.Targets {
		l := g.Targets[i].ledger()
		duties += l.Duties
		sums = append(sums, l)
		t.Head = append(t.Head, g.Targets[i].Name)
	}
	if duties == 0 {
		return &grid{}
	}
	for i, line := range ledgerLines(&sums[0]) {
		row := gridRow{Name: line.Name, Strong: line.Name == "accepted"}
		if line.Part {
			row.Name = "+ " + line.Name
		}
		if line.Name == "delivered once" {
			row.Name = "= " + line.Name
		}
		for j := range sums {
			n := *ledgerLines(&sums[j])[i].N
			row.Cells = append(row.Cells, gridCell{Text: whole(n), Bad: line.Bad && n > 0, Faint: n == 0})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// ownGrid has the figures that the scenario adds.
func (g *group) ownGrid() *grid {
	t := &grid{Caption: "Figures of this scenario", Head: []string{""}, Narrow: true}
	rows := map[string]int{}
	for i := range g.Targets {
		t.Head = append(t.Head, g.Targets[i].Name)
		for _, v := range g.Targets[i].figuresOfItsOwn() {
			at, known := rows[v.Name]
			if !known {
				at = len(t.Rows)
				rows[v.Name] = at
				t.Rows = append(t.Rows, gridRow{Name: v.Name, Sub: v.Note, Cells: make([]gridCell, len(g.Targets))})
			}
			t.Rows[at].Cells[i].Text = v.Text
		}
	}
	for _, r := range t.Rows {
		for i := range r.Cells {
			r.Cells[i].Text = dashIfNone(r.Cells[i].Text)
		}
	}
	return t
}

func accessGrid(targets []target) *grid {
	t := &grid{Caption: "Access to mailboxes", Head: []string{"operation", "target", "items/s", "p50", "p99", "operations", "errors", "against the model"}}
	for i := range targets {
		for _, o := range targets[i].operations() {
			r := t.add(o.Protocol+" "+o.Name, o.Target, o.PerSecondText, o.P50Text, o.P99Text, o.CountText, o.ErrorsText, o.AgainstModel)
			r.Sub = o.Workload
			r.Cells[0].Words = true
			r.Cells[5].Bad, r.Cells[6].Bad = o.Errors > 0, o.Violations > 0
		}
	}
	return t
}

// domains sums up what the receiving domains saw in all runs; latencies are
// those of the worst run.
func (t *target) domains() (list []result.Domain) {
	at := map[string]int{}
	for _, r := range t.Runs {
		for _, d := range r.Domains {
			i, known := at[d.Name]
			if !known {
				at[d.Name] = len(list)
				list = append(list, d)
				continue
			}
			sum := &list[i]
			for _, x := range []struct {
				to *int64
				n  int64
			}{
				{&sum.Delivered, d.Delivered}, {&sum.Deferred, d.Deferred}, {&sum.Refused, d.Refused}, {&sum.Dropped, d.Dropped},
				{&sum.Connections, d.Connections}, {&sum.Violations, d.Violations}, {&sum.Queries, d.Queries},
			} {
				*x.to += x.n
			}
			sum.PeakOpen = max(sum.PeakOpen, d.PeakOpen)
			sum.OfAllowed = math.Max(sum.OfAllowed, d.OfAllowed)
			if d.EndToEnd.P99 > sum.EndToEnd.P99 {
				sum.EndToEnd = d.EndToEnd
			}
		}
	}
	return list
}

func domainGrid(caption string, list []result.Domain) *grid {
	same := len(list) > 0 && list[0].Policy != "" && !slices.ContainsFunc(list, func(d result.Domain) bool {
		return d.Policy != list[0].Policy && d.Name != "others"
	})
	if same {
		caption += ", policy of all: " + list[0].Policy
	}
	t := &grid{Caption: caption, Head: []string{"domain", "delivered", "4xx", "5xx", "cut", "connections", "open at most", "DNS queries", "of allowed", "violations", "e2e p50", "e2e p99"}}
	for _, d := range list {
		allowed, p50, p99 := "–", "–", "–"
		if d.OfAllowed > 0 {
			allowed = percent(d.OfAllowed)
		}
		if d.EndToEnd.Count > 0 {
			p50, p99 = duration(float64(d.EndToEnd.P50)), duration(float64(d.EndToEnd.P99))
		}
		r := t.add(d.Name, whole(d.Delivered), whole(d.Deferred), whole(d.Refused), whole(d.Dropped), whole(d.Connections),
			whole(d.PeakOpen), whole(d.Queries), allowed, whole(d.Violations), p50, p99)
		if !same || d.Name == "others" {
			r.Sub = d.Policy
		}
		r.Cells[8].Bad = d.Violations > 0
	}
	return t
}
