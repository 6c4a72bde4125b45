package report

import (
	"fmt"
	"slices"
	"strings"

	"postrider/bench/result"
	"postrider/bench/stat"
)

// scenario has the runs of one scenario.
type scenario struct {
	Name   string
	Groups []group
}

// group has targets that may be shown together.
type group struct {
	Scenario string
	Promise  string // of the durability classes of all
	Mixed    bool   // they promise different things, and are shown together all the same
	Targets  []target
}

// target has the runs against one server.
type target struct {
	Name   string
	Colour int // of the palette, the same in all scenarios
	Info   result.Target
	Runs   []*result.Run
}

// promise says what a durability class promises.
func promise(class string) string {
	switch class {
	case "D0":
		return "accepted mail lives in memory"
	case "D1":
		return "accepted mail outlives a kill of the server, not a power cut"
	case "D2", "D3":
		return "accepted mail outlives a power cut"
	case "D4":
		return "accepted mail outlives the machine"
	default:
		return "durability not verified"
	}
}

// arrange groups the runs of f by scenario, promise and target, in the order in
// which they appear.
func arrange(f *result.File, o Options) []scenario {
	var list []scenario
	colours := map[string]int{}
	for i := range f.Runs {
		r := &f.Runs[i]
		if _, known := colours[r.Target.Name]; !known {
			colours[r.Target.Name] = len(colours) % palette
		}
		at := slices.IndexFunc(list, func(s scenario) bool { return s.Name == r.Scenario })
		if at < 0 {
			list = append(list, scenario{Name: r.Scenario})
			at = len(list) - 1
		}
		list[at].add(r, colours[r.Target.Name], o.Mixed)
	}
	return list
}

func (s *scenario) add(r *result.Run, colour int, mixed bool) {
	p := promise(r.Target.Class)
	at := slices.IndexFunc(s.Groups, func(g group) bool { return mixed || g.Promise == p })
	if at < 0 {
		s.Groups = append(s.Groups, group{Scenario: s.Name, Promise: p})
		at = len(s.Groups) - 1
	}
	g := &s.Groups[at]
	g.Mixed = g.Mixed || g.Promise != p
	i := slices.IndexFunc(g.Targets, func(t target) bool { return t.Name == r.Target.Name })
	if i < 0 {
		g.Targets = append(g.Targets, target{Name: r.Target.Name, Colour: colour, Info: r.Target})
		i = len(g.Targets) - 1
	}
	g.Targets[i].Runs = append(g.Targets[i].Runs, r)
}

// values returns a figure of the runs that measured it.
func (t *target) values(f result.Figure) (list []float64) {
	for _, r := range t.Runs {
		if v, measured := f.Of(r); measured {
			list = append(list, v)
		}
	}
	return list
}

// figure returns the median of a figure, N being 0 when no run measured it.
func (t *target) figure(f result.Figure) stat.Summary { return stat.Summarize(t.values(f)) }

// classes returns the durability class, several when the runs disagree.
func (t *target) classes() string {
	var list []string
	for _, r := range t.Runs {
		c := r.Target.Class
		if c == "" {
			c = "?"
		}
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return strings.Join(list, " ")
}

// stamps returns the kinds of stamps of the runs, with the number of runs that
// have each: "noisy machine: drift of 14%" is of the kind before the colon.
func (t *target) stamps() []string {
	counts := map[string]int{}
	var order []string
	for _, r := range t.Runs {
		seen := map[string]bool{}
		for _, s := range r.Stamps {
			kind, _, _ := strings.Cut(s, ": ")
			if seen[kind] {
				continue
			}
			seen[kind] = true
			if counts[kind]++; counts[kind] == 1 {
				order = append(order, kind)
			}
		}
	}
	for i, s := range order {
		if n := counts[s]; n < len(t.Runs) {
			order[i] = fmt.Sprintf("%s (%d of %d runs)", s, n, len(t.Runs))
		}
	}
	return order
}

// failed returns what the runs did not reach.
func (t *target) failed() (list []string) {
	for _, r := range t.Runs {
		for _, f := range r.Failed {
			list = append(list, fmt.Sprintf("%s, %s, run %d: %s", r.Scenario, t.Name, r.Index, f))
		}
	}
	return list
}

// ledger returns the account of all runs together.
func (t *target) ledger() (sum result.Ledger) {
	for _, r := range t.Runs {
		for i, line := range ledgerLines(&sum) {
			*line.N += *ledgerLines(&r.Ledger)[i].N
		}
	}
	return sum
}

// ledgerLine is a line of the account.
type ledgerLine struct {
	Name string
	N    *int64
	Bad  bool // must be 0
	Part bool // of the accepted duties
}

// ledgerLines returns every line, in the order of printing.
func ledgerLines(l *result.Ledger) []ledgerLine {
	return []ledgerLine{
		{"duties", &l.Duties, false, false},
		{"refused", &l.Refused, false, false},
		{"unknown", &l.Unknown, false, false},
		{"unsent", &l.Unsent, false, false},
		{"accepted", &l.Accepted, false, false},
		{"delivered once", &l.Once, false, true},
		{"duplicated", &l.Duplicated, false, true},
		{"bounced", &l.Bounced, false, true},
		{"still queued", &l.Queued, false, true},
		{"LOST", &l.Lost, true, true},
		{"copies beyond the first", &l.Copies, false, false},
		{"unknown, delivered", &l.UnknownDelivered, false, false},
		{"phantom: delivered, not accepted", &l.Phantom, true, false},
		{"corrupted", &l.Corrupted, true, false},
		{"strange recipients", &l.Strange, false, false},
		{"out of order", &l.OutOfOrder, false, false},
		{"delivered after a bounce", &l.AfterBounce, false, false},
		{"bounced after delivery", &l.FalseBounces, false, false},
		{"delay notices", &l.DelayNotices, false, false},
	}
}

// against holds the first target of a group against another one.
type against struct {
	Figure result.Figure
	stat.Comparison
	// Pair is by the pairs of interleaved runs, first over the other; of audits
	// that runs share, by what they counted.
	Pair    stat.Interval
	Counted bool
}

// compare returns the figures that both measured.
func compare(first, other *target) (list []against) {
	for _, f := range result.Figures() {
		a, b := other.values(f), first.values(f)
		if len(a) > 0 && len(b) > 0 {
			x, y := pairs(f, other, first)
			c := against{Figure: f, Comparison: stat.Compare(a, b), Pair: stat.Pairs(x, y)}
			if o, n := result.AuditsOf(other.Runs), result.AuditsOf(first.Runs); f.Audited && (o.Shared || n.Shared) {
				c.Counted = true
				c.Pair = stat.Counts(o.Syncs, o.Messages, n.Syncs, n.Messages, 1-stat.Confidence)
			}
			list = append(list, c)
		}
	}
	return list
}

// pairs returns a figure of the runs of the same index.
func pairs(f result.Figure, a, b *target) (x, y []float64) {
	for _, r := range a.Runs {
		i := slices.IndexFunc(b.Runs, func(o *result.Run) bool { return o.Index == r.Index })
		if i < 0 {
			continue
		}
		v, ok := f.Of(r)
		w, okToo := f.Of(b.Runs[i])
		if ok && okToo {
			x, y = append(x, v), append(y, w)
		}
	}
	return x, y
}

// palette is the number of colours that can be told apart.
const palette = 7
