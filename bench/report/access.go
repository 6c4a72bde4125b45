package report

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"postrider/bench/result"
	"postrider/bench/stat"
)

// operation is one kind of POP3 or IMAP operation over the runs of a target.
type operation struct {
	Target                              string
	Protocol, Workload, Name            string
	Count, Errors, Violations           int64 // of all runs
	PerSecond                           stat.Summary
	P50, P99                            float64 // medians of the runs
	perSecond, p50s, p99s               []float64
	PerSecondText, P50Text, P99Text     string
	CountText, ErrorsText, AgainstModel string
}

// operations sums up what the access workloads of the runs saw, by operation.
func (t *target) operations() []operation {
	var list []operation
	for _, r := range t.Runs {
		for _, a := range r.Access {
			at := slices.IndexFunc(list, func(o operation) bool {
				return o.Protocol == a.Protocol && o.Workload == a.Workload && o.Name == a.Operation
			})
			if at < 0 {
				list = append(list, operation{Target: t.Name, Protocol: a.Protocol, Workload: a.Workload, Name: a.Operation})
				at = len(list) - 1
			}
			list[at].add(a)
		}
	}
	for i := range list {
		list[i].finish()
	}
	return list
}

func (o *operation) add(a result.AccessResult) {
	o.Count, o.Errors, o.Violations = o.Count+a.Count, o.Errors+a.Errors, o.Violations+a.Violations
	o.perSecond = append(o.perSecond, a.PerSecond)
	if a.Latency.Count > 0 {
		o.p50s, o.p99s = append(o.p50s, float64(a.Latency.P50)), append(o.p99s, float64(a.Latency.P99))
	}
}

func (o *operation) finish() {
	o.PerSecond = stat.Summarize(o.perSecond)
	o.P50, o.P99 = stat.Summarize(o.p50s).Median, stat.Summarize(o.p99s).Median
	o.PerSecondText, o.P50Text, o.P99Text = short(o.PerSecond.Median), "–", "–"
	if len(o.p50s) > 0 {
		o.P50Text, o.P99Text = duration(o.P50), duration(o.P99)
	}
	o.CountText, o.ErrorsText, o.AgainstModel = whole(o.Count), whole(o.Errors), whole(o.Violations)
}

// accessTable prints them for a terminal.
func (g *group) accessTable(b *strings.Builder) error {
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	head := false
	for i := range g.Targets {
		for _, o := range g.Targets[i].operations() {
			if !head {
				fmt.Fprintln(t, "target\tprotocol\tworkload\toperation\titems/s\tp50\tp99\toperations\terrors\tagainst the model")
				head = true
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(o.Target), oneLine(o.Protocol), oneLine(o.Workload),
				oneLine(o.Name), o.PerSecondText, o.P50Text, o.P99Text, o.CountText, o.ErrorsText, o.AgainstModel)
		}
	}
	return t.Flush()
}

// own is a figure of one scenario alone over the runs of a target.
type own struct {
	Name, Unit, Note string
	Median           float64
	Text             string
}

// figuresOfItsOwn returns the medians of the values that the scenario adds.
func (t *target) figuresOfItsOwn() []own {
	var list []own
	got := map[string][]float64{}
	for _, r := range t.Runs {
		for _, v := range r.Values {
			key := v.Name + "\x00" + v.Unit
			if got[key] == nil {
				list = append(list, own{Name: v.Name, Unit: v.Unit, Note: v.Note})
			}
			got[key] = append(got[key], v.Got)
		}
	}
	for i := range list {
		v := &list[i]
		v.Median = stat.Summarize(got[v.Name+"\x00"+v.Unit]).Median
		v.Text = strings.TrimSpace(short(v.Median) + " " + v.Unit)
	}
	return list
}
