package bench

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// scenarios are the files that come with the program.
//
//go:embed scenarios/*.toml
var scenarios embed.FS

// Names returns the scenarios that come with the program, in the order in which
// they are best read.
func Names() []string {
	entries, err := fs.ReadDir(scenarios, "scenarios")
	if err != nil {
		return nil // an embedded folder is always there
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".toml"))
	}
	order := reading()
	slices.SortStableFunc(names, func(a, b string) int {
		return place(order, a) - place(order, b)
	})
	return names
}

// reading is the order of the list: from what everybody wants to know to what
// breaks servers.
func reading() []string {
	return strings.Fields(`ceiling accept steady relay4k open70 knee burst newsletter wide gmail mixed healthy blackhole greylist real
		outage deep kill power diskfull slowdisk reload big chatty chatty-tls submit storm idle10k slowloris hog dnsbad limits
		mda pop3 imap-mix idle-push soak`)
}

func place(order []string, name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// Find reads a scenario by its name, or from a file when name has a slash or
// ends in .toml. full takes the values of the long form.
func Find(name string, full bool) (*Scenario, error) {
	if strings.ContainsRune(name, os.PathSeparator) || strings.HasSuffix(name, ".toml") {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrScenario, err)
		}
		return parseWhole(strings.TrimSuffix(filepath.Base(name), ".toml"), text, full)
	}
	text, err := scenarios.ReadFile(path.Join("scenarios", name+".toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w %s: there is none of this name%s; postbench list shows all", ErrScenario, name, nearest(name))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	return parseWhole(name, text, full)
}

// Source returns the commented text of a scenario that comes with the program.
func Source(name string) ([]byte, error) {
	return scenarios.ReadFile(path.Join("scenarios", name+".toml"))
}

func parseWhole(name string, text []byte, full bool) (*Scenario, error) {
	s, err := Parse(name, text, full)
	if err != nil {
		return nil, err
	}
	return s, s.Check()
}

// nearest suggests a name that is at most two edits away.
func nearest(name string) string {
	best, at := "", 3
	for _, n := range Names() {
		if d := edits(name, n); d < at {
			best, at = n, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best
}

// edits is the distance of Levenshtein.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
