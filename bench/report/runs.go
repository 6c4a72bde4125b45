package report

import (
	"fmt"
	"slices"
	"strings"

	"postrider/bench/result"
)

// runsGrid has a row for each run.
func (g *group) runsGrid() *grid {
	t := &grid{Swatch: true, Head: []string{
		"run", "messages/s", "messages/CPU-s", "accept p50", "p99", "p99.9", "e2e p99", "missed", "failed", "harness", "of ceiling", "drift", "lost",
	}}
	for i := range g.Targets {
		x := &g.Targets[i]
		for _, r := range x.Runs {
			micros := func(l result.Latency, us int64) string {
				if l.Count == 0 {
					return "–"
				}
				return duration(float64(us))
			}
			drift := "–"
			if r.Calibrate != nil {
				drift = percent(r.Calibrate.DriftPercent / 100)
			}
			own, ceiling := "–", "–"
			if r.Load.OwnCPUMicros > 0 {
				own = duration(r.Load.OwnCPUMicros)
			}
			if r.Load.OfCeiling > 0 {
				ceiling = percent(r.Load.OfCeiling)
			}
			l := r.Load
			row := t.add(fmt.Sprintf("%s %d", x.Name, r.Index), short(l.AcceptRate), dashIfZero(r.Cost.MessagesPerCPUSecond),
				micros(l.Response, l.Response.P50), micros(l.Response, l.Response.P99), micros(l.Response, l.Response.P999), micros(l.EndToEnd, l.EndToEnd.P99),
				whole(l.Missed), whole(l.Failures), own, ceiling, drift, whole(r.Ledger.Lost))
			row.Colour = x.Colour
			row.Warn = strings.Join(r.Stamps, ", ")
			row.Cells[11].Bad = r.Ledger.Lost > 0
		}
	}
	return t
}

func dashIfZero(v float64) string {
	if v == 0 {
		return "–"
	}
	return short(v)
}

// detail shows all that is known of a run.
func (t *target) detail(r *result.Run) detail {
	d := detail{Title: fmt.Sprintf("%s, run %d", t.Name, r.Index), Colour: t.Colour, Notes: slices.Clone(r.Failed)}
	for _, c := range []*chart{runChart(t, r), heatMap("Acceptance", t.Colour, []*result.Run{r})} {
		if c != nil {
			d.Charts = append(d.Charts, c)
		}
	}
	one := target{Name: t.Name, Colour: t.Colour, Info: r.Target, Runs: []*result.Run{r}}
	g := group{Scenario: r.Scenario, Targets: []target{one}}
	for _, x := range []*grid{latencyGrid(r), g.ledgerGrid(), g.ownGrid(), accessGrid(g.Targets), domainGrid("Receiving domains", r.Domains)} {
		if len(x.Rows) > 0 {
			d.Grids = append(d.Grids, x)
		}
	}
	for _, a := range r.Access {
		for _, words := range a.Described {
			d.Notes = append(d.Notes, fmt.Sprintf("%s %s: %s", a.Protocol, a.Operation, words))
		}
	}
	d.Facts = runFacts(r)
	return d
}

func latencyGrid(r *result.Run) *grid {
	t := &grid{Caption: "Latency", Head: []string{"", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"}}
	for _, x := range []struct {
		name, sub string
		l         *result.Latency
	}{
		{"response", "from the intended moment to the 250", &r.Load.Response},
		{"service", "from the real beginning to the 250", &r.Load.Service},
		{"end to end", "from the intended moment to the sink", &r.Load.EndToEnd},
	} {
		if x.l.Count == 0 {
			continue
		}
		cells := []string{whole(x.l.Count), duration(x.l.Mean)}
		for _, us := range []int64{x.l.P50, x.l.P90, x.l.P95, x.l.P99, x.l.P999, x.l.Max} {
			cells = append(cells, duration(float64(us)))
		}
		t.add(x.name, cells...).Sub = x.sub
	}
	return t
}

// writtenBy says whose writing was counted: that of a device is everybody's.
func writtenBy(by string) string {
	if by == "" {
		return "server"
	}
	return by
}

// runFacts lists load, cost and calibration.
func runFacts(r *result.Run) (list []fact) {
	add := func(name, format string, args ...any) {
		list = append(list, fact{name, fmt.Sprintf(format, args...)})
	}
	if !r.Started.IsZero() {
		add("started", "%s", r.Started.UTC().Format("15:04:05 UTC"))
	}
	add("accepted", "%s messages, %s of text", whole(r.Load.Messages), bytes(float64(r.Load.Bytes)))
	add("load", "%s, %s connections, seed %d", dashIfNone(r.Load.Model), whole(r.Load.Connections), r.Seed)
	if r.Load.Rate > 0 {
		add("intended", "%s/s, missed %s", short(r.Load.Rate), whole(r.Load.Missed))
	}
	add("took", "%s, then %s until nothing was owed", duration(r.Seconds*1e6), duration(r.DrainSeconds*1e6))
	if r.Target.Class != "" {
		add("durability", "%s: %s", r.Target.Class, dashIfNone(r.Target.ClassBy))
	}
	if c := r.Cost; c.By != "" {
		add("CPU of the server", "%s user, %s system, by %s", duration(c.UserSeconds*1e6), duration(c.SystemSeconds*1e6), c.By)
		add("memory of the server", "%s at most", bytes(float64(c.RSSPeakBytes)))
		add("written", "%s by the %s, %s bytes for each of mail", bytes(float64(c.WrittenBytes)), writtenBy(c.WrittenBy), digits(c.WrittenPerByte))
		if c.ContextSwitches > 0 {
			add("context switches", "%s", whole(c.ContextSwitches))
		}
		if c.OpenFiles > 0 {
			add("open files", "%s", whole(c.OpenFiles))
		}
	}
	if c := r.Cost; c.SyncsBy != "" {
		add("syncs", "%s for %s messages of the audit, by %s", whole(c.Syncs), whole(c.AuditMessages), c.SyncsBy)
	}
	if c := r.Cost; c.DiskPerQueued > 0 || c.RSSPerQueued > 0 {
		add("a message that waits", "%s on disk, %s of memory", bytes(c.DiskPerQueued), bytes(c.RSSPerQueued))
	}
	if c := r.Calibrate; c != nil {
		add("ceiling of the harness", "%s/s", short(c.CeilingRate))
		add("sync, before and after", "%s, %s", duration(float64(c.SyncMicros[0])), duration(float64(c.SyncMicros[1])))
		add("fixed work, before and after", "%s, %s", duration(c.SpinMillis[0]*1e3), duration(c.SpinMillis[1]*1e3))
		add("drift", "%s", percent(c.DriftPercent/100))
		if c.OthersPercent > 0 {
			add("CPU used by others", "%s", percent(c.OthersPercent/100))
		}
	}
	return list
}
