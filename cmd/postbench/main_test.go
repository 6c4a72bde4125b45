package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Usage errors exit 2, failures 1.
func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, 2},
		{[]string{"nonsense"}, 2},
		{[]string{"load"}, 2},
		{[]string{"load", "--nonsense"}, 2},
		{[]string{"load", "--to", "127.0.0.1:1", "extra"}, 2},
		{[]string{"load", "--to", "127.0.0.1:1", "--size", "4q"}, 2},
		{[]string{"load", "--to", "127.0.0.1:1", "--messages", "1", "--conns", "1"}, 1},
		{[]string{"sink", "--defer", "often"}, 2},
		{[]string{"sink", "--listen", "nowhere"}, 1},
		{[]string{"sink", "--script", "/nonexistent"}, 1},
		{[]string{"load", "--to", "127.0.0.1:1", "--rate", "poisson"}, 2},
		{[]string{"load", "--to", "127.0.0.1:1", "--tls", "maybe"}, 2},
		{[]string{"load", "--to", "192.0.2.1:25", "--messages", "1"}, 2},
		{[]string{"run"}, 2},
		{[]string{"run", "stedy"}, 2},
		{[]string{"run", "steady", "--sut", "sendmail"}, 2},
		{[]string{"run", "steady", "--set", "load.connz=3"}, 2},
		{[]string{"run", "steady", "--conns", "-1"}, 2},
		{[]string{"run", "steady", "--pin-sut", "first"}, 2},
		{[]string{"run", "steady", "--pin-harness", "3-1"}, 2},
		{[]string{"compare", "--sut", "postrider"}, 2},
		{[]string{"run", "steady", "--sut", ""}, 2},
		{[]string{"run", "steady", "--sut", "direct", "--duration", "4"}, 2},
		{[]string{"run", "steady", "--sut", "direct", "--auth", "NTLM"}, 2},
		{[]string{"run", "pop3", "--sut", "dovecot", "--rcpts", "3"}, 2},
		{[]string{"run", "ceiling", "--sut", "postrider"}, 2},
		{[]string{"list", "nothing"}, 2},
		{[]string{"gate", "--base", "a.json"}, 2},
		{[]string{"gate", "--base", "/nonexistent", "--new", "/nonexistent"}, 1},
		{[]string{"gate", "--base", "a", "--new", "b", "--max-regress", "much"}, 2},
		{[]string{"report", "/nonexistent"}, 1},
		{[]string{"report"}, 2},
		{[]string{"dns", "--fail", "servfail"}, 2},
		{[]string{"dns", "--listen", "nowhere"}, 1},
		{[]string{"--help"}, 0},
	} {
		if got := run(c.args); got != c.want {
			t.Errorf("%v: exit %d, not %d", c.args, got, c.want)
		}
	}
}

// A run writes its results, prints a table, and fails when mail is lost; what it
// wrote can be reported, slimmed and gated.
func TestRun(t *testing.T) {
	out := t.TempDir()
	args := []string{"run", "ceiling", "--sut", "direct", "--messages", "200", "--duration", "5s", "--warmup", "0s", "--no-calibration", "--no-audit", "--runs", "2", "--out", out}
	if got := run(args); got != 0 {
		t.Fatalf("exit %d", got)
	}
	result := filepath.Join(out, "result.json")
	for _, c := range [][]string{
		{"report", result},
		{"report", result, result, "--html", filepath.Join(out, "again.html"), "--markdown", "-", "--bench", "-"},
		{"report", result, "--baseline", filepath.Join(out, "slim.json")},
		{"report", filepath.Join(out, "slim.json")},
	} {
		if got := run(c); got != 0 {
			t.Errorf("%v: exit %d", c, got)
		}
	}
	whole, err := os.Stat(result)
	if err != nil {
		t.Fatal(err)
	}
	slim, err := os.Stat(filepath.Join(out, "slim.json"))
	if err != nil || slim.Size() >= whole.Size() {
		t.Errorf("%v, %d of %d bytes", err, slim.Size(), whole.Size())
	}
	for _, name := range []string{"report.html", "again.html"} {
		if b, err := os.ReadFile(filepath.Join(out, name)); err != nil || !bytes.Contains(b, []byte("</html>")) {
			t.Errorf("%s: %v, %d bytes", name, err, len(b))
		}
	}
	for _, name := range []string{"ceiling-direct-1.hlog", "ceiling-direct-2.hlog"} {
		if b, err := os.ReadFile(filepath.Join(out, name)); err != nil || !bytes.Contains(b, []byte("Tag=response")) {
			t.Errorf("%s: %v, %d bytes", name, err, len(b))
		}
	}
	if left, err := filepath.Glob(filepath.Join(out, "scratch", "*")); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
}
