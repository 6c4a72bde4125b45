package main

import (
	"path/filepath"
	"slices"
	"testing"

	"postrider/bench/report"
)

// Servers are named with commas between them, as the manual has it.
func TestCompare(t *testing.T) {
	out := t.TempDir()
	args := []string{
		"compare", "--sut", "direct,gosmtp-none", "--scenario", "steady", "--messages", "100", "--warmup", "0s",
		"--runs", "2", "--no-calibration", "--no-audit", "--out", out,
	}
	if got := run(args); got != 2 {
		t.Errorf("a server that there is not: exit %d", got)
	}
	args[2] = "direct,direct"
	if got := run(args); got != 0 {
		t.Fatalf("exit %d", got)
	}
	f, err := report.ReadFile(filepath.Join(out, "result.json"))
	if err != nil || len(f.Runs) != 4 {
		t.Errorf("%v, %d runs", err, len(f.Runs))
	}
}

func TestSplitSuts(t *testing.T) {
	got := splitSuts([]string{"a,b", "external:smtp=x:1,pid=2", "c,external:smtp=y:1,pid=3"})
	if want := []string{"a", "b", "external:smtp=x:1,pid=2", "c", "external:smtp=y:1,pid=3"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
