package report

import (
	"fmt"
	"io"
	"strings"

	"postrider/bench/result"
)

// Markdown writes a table for each scenario, a row for each target, and below it
// the machine, for a README.
func Markdown(w io.Writer, f *result.File, o Options) error {
	var b strings.Builder
	for _, s := range arrange(f, o) {
		for i := range s.Groups {
			s.Groups[i].markdown(&b)
		}
	}
	fmt.Fprintf(&b, "%s\n", markdownText(machineLine(f.Machine)))
	_, err := io.WriteString(w, b.String())
	return err
}

func (g *group) markdown(b *strings.Builder) {
	figures := g.figures()
	if g.Mixed {
		fmt.Fprintf(b, "**%s**\n\n", g.heading())
	}
	b.WriteString("| scenario | target | runs |")
	for _, f := range figures {
		fmt.Fprintf(b, " %s |", f.Title)
	}
	b.WriteString(" class | lost | dup | stamps |\n|---|---|--:|" + strings.Repeat("--:|", len(figures)) + "---|--:|--:|---|\n")
	for i := range g.Targets {
		t := &g.Targets[i]
		fmt.Fprintf(b, "| %s | %s | %d |", markdownText(g.Scenario), markdownText(strings.TrimSpace(t.Name+" "+t.Info.Version)), len(t.Runs))
		for i, f := range figures {
			fmt.Fprintf(b, " %s |", cell(t.figure(f), f.Unit, i == 0))
		}
		l := t.ledger()
		stamps := "–"
		if list := t.stamps(); len(list) > 0 {
			stamps = markdownText(strings.Join(list, ", "))
		}
		fmt.Fprintf(b, " %s | %s | %s | %s |\n", markdownText(t.classes()), whole(l.Lost), whole(l.Duplicated), stamps)
	}
	b.WriteByte('\n')
}

// machineLine sums a machine up.
func machineLine(m result.Machine) string {
	parts := []string{}
	for _, p := range []string{m.CPU, fmt.Sprintf("%d cores", m.Cores), bytes(float64(m.MemoryBytes)), strings.TrimSpace(m.FileSystem + " " + m.Disk), strings.TrimSpace(m.OS + " " + m.Kernel), m.Virtual} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " · ")
}

// markdownText escapes what Markdown or a table of it would take for its own.
func markdownText(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		if strings.ContainsRune("\\`*_[]<>|&#", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
