package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"postrider/bench/result"
)

// Benchmarks writes a line for each run in the format of Go benchmarks, so that
// benchstat compares files of postbench. What is equal for all runs of a file, the
// machine, is in configuration lines; the durability class is in the name, so
// that no tool takes the median of two. Runs that lost mail are left out: they
// have no speed.
func Benchmarks(w io.Writer, f *result.File) error {
	var b strings.Builder
	m := f.Machine
	for _, c := range [][2]string{
		{"goos", m.OS}, {"kernel", m.Kernel}, {"cpu", m.CPU}, {"cores", strconv.Itoa(m.Cores)}, {"filesystem", m.FileSystem}, {"pkg", "postbench"},
	} {
		if v := strings.TrimSpace(oneLine(c[1])); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", c[0], v)
		}
	}
	for _, fig := range result.Figures() {
		better := "lower"
		if fig.Higher {
			better = "higher"
		}
		fmt.Fprintf(&b, "Unit %s better=%s\n", fig.Key, better)
	}
	b.WriteByte('\n')
	for i := range f.Runs {
		if r := &f.Runs[i]; r.Ledger.Lost == 0 {
			benchmarkLine(&b, r)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func benchmarkLine(b *strings.Builder, r *result.Run) {
	n := r.Load.Messages
	for _, a := range r.Access {
		n += a.Count
	}
	class := r.Target.Class
	if class == "" {
		class = "unverified"
	}
	line := fmt.Sprintf("Benchmark%s/target=%s/class=%s %d", title(r.Scenario), word(r.Target.Name), word(class), max(n, 1))
	measured := 0
	add := func(v float64, unit string) {
		line += " " + strconv.FormatFloat(v, 'g', 6, 64) + " " + unit
		measured++
	}
	for _, f := range result.Figures() {
		if v, ok := f.Of(r); ok {
			add(v, f.Key)
		}
	}
	for _, a := range r.Access {
		op := word(strings.ToLower(a.Protocol + "-" + a.Operation))
		add(a.PerSecond, op+"-items/s")
		add(float64(a.Latency.P99), op+"-p99-us")
	}
	for _, v := range r.Values {
		add(v.Got, word(strings.ToLower(v.Name+"-"+v.Unit)))
	}
	if measured > 0 {
		b.WriteString(line + "\n")
	}
}

// word makes a part of a benchmark's name or unit of s.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '/' {
			return '_'
		}
		return r
	}, strings.Trim(s, "-"))
}

// title is a word that begins as the names of benchmarks must.
func title(s string) string {
	r := []rune(word(s))
	if len(r) == 0 {
		return "Unnamed"
	}
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}
