package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"postrider/bench/result"
)

//go:embed page/*.html page/*.css
var pageFiles embed.FS

// page is what the template shows.
type page struct {
	Title, Summary string
	Alarms         []string // what spoils the whole
	Scenarios      []section
	Machine        []fact
}

// fact is a name with a value.
type fact struct{ Name, Value string }

// section is a scenario.
type section struct {
	Name     string
	Separate bool // its groups promise different things
	Groups   []part
	Settings []string
}

// part is a group of targets that may be compared.
type part struct {
	Promise string
	Heading string // instead, where there are several
	Warning string
	Head    *grid
	Ratios  []ratios
	Charts  []*chart
	Heats   []*chart
	Tables  []*grid // ledger, figures of the scenario's own
	Access  *grid
	Domains []*grid
	Runs    *grid
	Details []detail
	Configs []config
}

// config is how a server was set up.
type config struct{ Name, Text string }

// detail is a run.
type detail struct {
	Title  string
	Colour int
	Charts []*chart
	Grids  []*grid
	Facts  []fact
	Notes  []string
}

// HTML writes a page that shows everything and needs nothing but itself: no
// network, no scripts, no fonts. It is light or dark as the reader has it, and
// light on paper.
func HTML(w io.Writer, f *result.File, o Options) error {
	t, err := template.New("page").ParseFS(pageFiles, "page/*.html", "page/*.css")
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := t.ExecuteTemplate(&b, "page.html", newPage(f, o)); err != nil {
		return err
	}
	// A server's configuration may have any bytes.
	_, err = io.WriteString(w, strings.ToValidUTF8(b.String(), "\uFFFD"))
	return err
}

func newPage(f *result.File, o Options) page {
	p := page{Machine: machineFacts(f)}
	var names, targets []string
	for _, s := range arrange(f, o) {
		names = append(names, s.Name)
		sec := section{Name: s.Name, Separate: len(s.Groups) > 1}
		for i := range s.Groups {
			g := &s.Groups[i]
			x := g.part()
			if sec.Separate {
				x.Heading = x.Promise
			}
			sec.Groups = append(sec.Groups, x)
			for j := range g.Targets {
				t := &g.Targets[j]
				if !slices.Contains(targets, t.Name) {
					targets = append(targets, t.Name)
				}
				for _, r := range t.Runs {
					if !slices.Contains(sec.Settings, r.Settings) && r.Settings != "" {
						sec.Settings = append(sec.Settings, r.Settings)
					}
				}
				p.alarm(t)
			}
		}
		p.Scenarios = append(p.Scenarios, sec)
	}
	p.Title = "postbench: " + strings.Join(names, ", ")
	p.Summary = summary(f, targets)
	return p
}

func summary(f *result.File, targets []string) string {
	s := fmt.Sprintf("%s · %d runs", strings.Join(targets, ", "), len(f.Runs))
	if len(f.Runs) == 1 {
		s = strings.TrimSuffix(s, "s")
	}
	if len(f.Runs) > 0 && !f.Runs[0].Started.IsZero() {
		s += " · " + f.Runs[0].Started.UTC().Format("2 January 2006, 15:04 UTC")
	}
	return s
}

// alarm tells at the top what no figure makes up for.
func (p *page) alarm(t *target) {
	l := t.ledger()
	for _, x := range ledgerLines(&l) {
		if x.Bad && *x.N > 0 {
			p.Alarms = append(p.Alarms, fmt.Sprintf("%s, %s: %s duties %s", t.Runs[0].Scenario, t.Name, whole(*x.N), strings.ToLower(x.Name)))
		}
	}
	p.Alarms = append(p.Alarms, t.failed()...)
}

func (g *group) part() part {
	p := part{Promise: g.Promise, Charts: charts(g.Targets), Access: accessGrid(g.Targets), Runs: g.runsGrid()}
	if g.Mixed {
		p.Promise, p.Warning = "", g.heading()
	}
	if g.hasMail() {
		p.Head = g.headline()
		for i := range g.Targets[1:] {
			if r := newRatios(&g.Targets[0], &g.Targets[i+1]); len(r.Rows) > 0 {
				p.Ratios = append(p.Ratios, r)
			}
		}
	}
	for _, t := range []*grid{g.ledgerGrid(), g.ownGrid()} {
		if len(t.Rows) > 0 {
			p.Tables = append(p.Tables, t)
		}
	}
	for i := range g.Targets {
		t := &g.Targets[i]
		if c := heatMap(t.Name, t.Colour, t.Runs); c != nil {
			p.Heats = append(p.Heats, c)
		}
		if d := domainGrid(t.Name, t.domains()); len(d.Rows) > 0 {
			p.Domains = append(p.Domains, d)
		}
		if t.Info.Config != "" {
			p.Configs = append(p.Configs, config{t.Name, t.Info.Config})
		}
		for _, r := range t.Runs {
			p.Details = append(p.Details, t.detail(r))
		}
	}
	return p
}

func machineFacts(f *result.File) (list []fact) {
	m := f.Machine
	for _, x := range []fact{
		{"CPU", m.CPU}, {"cores", fmt.Sprint(m.Cores)}, {"memory", bytes(float64(m.MemoryBytes))}, {"system", strings.TrimSpace(m.OS + " " + m.Kernel)},
		{"file system", m.FileSystem}, {"disk", m.Disk}, {"virtual", m.Virtual}, {"postbench", f.Tool.Version}, {"built with", f.Tool.Go}, {"binary", f.Tool.Binary},
	} {
		if x.Value != "" {
			list = append(list, x)
		}
	}
	return list
}
