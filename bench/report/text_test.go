package report

import (
	"strings"
	"testing"

	"postrider/bench/result"

	"golang.org/x/perf/benchfmt"
)

func text(t *testing.T, write func(*strings.Builder) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	got := text(t, func(b *strings.Builder) error { return Table(b, fixture(6, postriderLike(), postfixLike()), Options{}) })
	for _, want := range []string{
		"steady: accepted mail outlives a power cut\n", "calibrate  ceiling 3", "· sync p50 890 µs · drift up to 4",
		"messages/CPU-s", "postfix:isp ", "D2", "p=0.002, n=6+6", "postrider ÷ postfix:isp",
		"ledger postrider: accepted ", "· LOST 0; unsent 240\n", "stamp postrider: noisy machine (1 of 6 runs)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// With few runs there is no interval, which is said and not hidden.
func TestTableOfFewRuns(t *testing.T) {
	got := text(t, func(b *strings.Builder) error { return Table(b, fixture(2, postriderLike()), Options{}) })
	if !strings.Contains(got, "(n=2)") || strings.Contains(got, "[") {
		t.Error(got)
	}
	if got := text(t, func(b *strings.Builder) error { return Table(b, &result.File{}, Options{}) }); got != "" {
		t.Errorf("a table of nothing: %q", got)
	}
}

// Classes that promise different things stand in tables of their own, with no
// ratio between them, unless asked for; then with a warning.
func TestMixedClasses(t *testing.T) {
	fast := postfixLike()
	fast.name, fast.class = "amnesia", "D0"
	unknown := postfixLike()
	unknown.name, unknown.class = "stranger", ""
	f := fixture(6, postriderLike(), fast, postfixLike(), unknown)
	got := text(t, func(b *strings.Builder) error { return Table(b, f, Options{}) })
	for _, want := range []string{
		"tables of their own", "steady: accepted mail outlives a power cut\n", "steady: accepted mail lives in memory\n", "steady: durability not verified\n", "postrider ÷ postfix:isp",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "÷ amnesia") || strings.Contains(got, "÷ stranger") || strings.Contains(got, "WARNING") {
		t.Errorf("a ratio between classes, or a warning of none:\n%s", got)
	}
	got = text(t, func(b *strings.Builder) error { return Table(b, f, Options{Mixed: true}) })
	if !strings.Contains(got, "÷ amnesia") || strings.Count(got, "WARNING") != 1 || strings.Contains(got, "tables of their own") {
		t.Errorf("mixed:\n%s", got)
	}
}

func TestAccessTable(t *testing.T) {
	f := &result.File{Runs: []result.Run{{
		Scenario: "imap-mix", Target: result.Target{Name: "dovecot", Class: "D2"},
		Access: []result.AccessResult{
			{Protocol: "IMAP", Workload: "sync", Operation: "FETCH ENVELOPE", Count: 1200, Errors: 1, PerSecond: 40000, Latency: result.Latency{Count: 1200, P50: 1500, P99: 9000}},
			{Protocol: "IMAP", Workload: "sync", Operation: "SELECT", Count: 20, PerSecond: 20, Violations: 2},
		},
		Values: []result.Value{{Name: "memory of an idle connection", Unit: "KiB", Got: 21.4}},
	}}}
	got := text(t, func(b *strings.Builder) error { return Table(b, f, Options{}) })
	for _, want := range []string{"FETCH ENVELOPE   40.0k     1.50 ms   9.00 ms   1,200        1        0", "SELECT           20.0      –", "dovecot: memory of an idle connection 21.4 KiB\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "messages/s") {
		t.Errorf("a table of messages where none were sent:\n%s", got)
	}
}

func TestMarkdown(t *testing.T) {
	f := fixture(6, postriderLike())
	f.Runs[0].Target.Version = "0.9|<b>"
	f.Runs[2].Stamps = nil
	const want = `| scenario | target | runs | accepted/s | delivered/s | messages/CPU-s | accept p99 | e2e p99 | syncs/message | RSS peak | written/byte | class | lost | dup | stamps |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|---|
`
	got := text(t, func(b *strings.Builder) error { return Markdown(b, f, Options{}) })
	if !strings.HasPrefix(got, want+`| steady | postrider 0.9\|\<b\> | 6 | 14.`) || !strings.HasSuffix(got, "| D3 | 0 | 0 | – |\n\nExample 9000 at 2.4 GHz · 4 cores · 8.00 GiB · ext4 · linux 6.1.0 · hypervisor\n") {
		t.Error(got)
	}
	for line := range strings.Lines(got) {
		if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); n != 0 && n != 16 {
			t.Errorf("%d bars in %s", n, line)
		}
	}
}

// What benchstat is made of reads the lines, with every unit.
func TestBenchmarks(t *testing.T) {
	f := fixture(2, postriderLike(), like{name: "a b/c", rate: 100, perCPU: 10, micros: 100, spread: 0.1, syncs: 1, rss: 1 << 20})
	f.Runs[0].Access = []result.AccessResult{{Protocol: "POP3", Operation: "RETR", Count: 5, PerSecond: 7, Latency: result.Latency{P99: 900}}}
	f.Runs[0].Values = []result.Value{{Name: "drain time", Unit: "s", Got: 3.5}}
	f.Runs[2].Ledger.Lost = 1
	got := text(t, func(b *strings.Builder) error { return Benchmarks(b, f) })
	r := benchfmt.NewReader(strings.NewReader(got), "x")
	var names []string
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			names = append(names, rec.Name.String())
			for _, unit := range []string{"messages/s", "messages/cpu-s", "accept-p99-us", "e2e-p99-us", "syncs/message", "rss-peak-bytes"} {
				if v, ok := rec.Value(unit); !ok || v <= 0 {
					t.Errorf("%s: %s = %v, %v", rec.Name, unit, v, ok)
				}
			}
			if rec.GetConfig("cpu") != "Example 9000 at 2.4 GHz" || rec.GetConfig("cores") != "4" {
				t.Errorf("configuration %+v", rec.Config)
			}
			if len(names) == 1 {
				retr, _ := rec.Value("pop3-retr-items/s")
				drain, _ := rec.Value("drain_time-s")
				if retr != 7 || drain != 3.5 || int64(rec.Iters) != f.Runs[0].Load.Messages+5 {
					t.Errorf("RETR %v, drain time %v, %d iterations", retr, drain, rec.Iters)
				}
			}
		case *benchfmt.SyntaxError:
			t.Error(rec)
		}
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	want := "Steady/target=postrider/class=D3 Steady/target=a_b_c/class=unverified Steady/target=a_b_c/class=unverified"
	if s := strings.Join(names, " "); s != want {
		t.Errorf("names %q, want %q: the run that lost mail left out", s, want)
	}
	if better := r.Units().GetBetter("messages/s"); better != 1 {
		t.Errorf("messages/s is better when %d", better)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{duration(0), "0"}, {duration(850), "850 µs"}, {duration(1200), "1.20 ms"}, {duration(999_600), "1.00 s"}, {duration(12.3e6), "12.3 s"}, {duration(125e6), "2.08 min"}, {duration(3e10), "8.33 h"},
		{short(843), "843"}, {short(1400), "1,400"}, {short(14_312), "14.3k"}, {short(1.254e6), "1.25M"}, {short(0), "0"}, {short(0.0812), "0.081"}, {short(0.5), "0.500"},
		{bytes(12), "12.0 B"}, {bytes(1 << 20), "1.00 MiB"}, {bytes(300 << 20), "300 MiB"}, {bytes(1 << 40), "1.00 TiB"},
		{whole(1204331), "1,204,331"}, {whole(-1000), "-1,000"}, {whole(999), "999"}, {ratio(2.748), "2.75×"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
