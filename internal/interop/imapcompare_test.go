//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The same scripts bring the same answers from Dovecot and from us, but for the
// differences in testdata/imap/differences, each of which docs/imap.md explains.
// REWRITE=1 writes those there are into the file.
func TestIMAPCompared(t *testing.T) {
	paths, err := filepath.Glob("testdata/imap/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	theirs := startDovecotIMAP(t)
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".txt"))
	}
	ours := newIMAPServer(t, 0, names...)
	file := filepath.Join("testdata", "imap", "differences")
	known := readDifferences(t, file)
	explained, err := os.ReadFile(filepath.Join("..", "..", "docs", "imap.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []difference
	commands := 0
	for i, path := range paths {
		script, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		user := names[i] + "@isp.example"
		a := (&scriptPlayer{t: t, addr: ours.clear, user: user, password: popPassword}).play(string(script))
		b := (&scriptPlayer{t: t, addr: theirs.imap, user: user, password: dovecotPassword}).play(string(script))
		commands += len(a)
		all = append(all, compareAnswers(names[i], a, b)...)
	}
	t.Logf("%d commands, %d are answered in another way", commands, len(all))
	if os.Getenv("REWRITE") == "1" {
		writeDifferences(t, file, all, known)
		return
	}
	for _, d := range all {
		k, ok := known[d.key]
		switch {
		case !ok || !slices.Equal(d.lines, k.lines):
			t.Errorf("%s\n%s\nexplained is\n%s", d.key, strings.Join(d.lines, "\n"), strings.Join(k.lines, "\n"))
		case !strings.Contains(string(explained), "`"+k.why+"`"):
			t.Errorf("%s: docs/imap.md does not explain %q", d.key, k.why)
		}
		delete(known, d.key)
	}
	for key := range known {
		t.Errorf("%s: there is no difference any more", key)
	}
}

func writeDifferences(t *testing.T, path string, all []difference, known map[string]difference) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# What Dovecot (-) and we (+) answer, where that is not the same; see docs/imap.md.\n")
	for _, d := range all {
		why := known[d.key].why
		if why == "" {
			why = "?"
		}
		fmt.Fprintf(&b, "\n== %s\nwhy: %s\n%s\n", d.key, why, strings.Join(d.lines, "\n"))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
