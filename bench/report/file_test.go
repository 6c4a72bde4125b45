package report

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"postrider/bench/result"
)

func TestFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	f := fixture(2, postriderLike(), postfixLike())
	for range 2 { // the second replaces the first
		if err := WriteFile(path, f); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, f) {
		t.Error("what was read differs from what was written")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("files left behind: %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestWriteFileWithoutNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	f := fixture(1, postriderLike())
	f.Runs[0].Load.OfCeiling = math.NaN()
	f.Runs[0].Calibrate.SpinMillis[1] = math.Inf(1)
	if err := WriteFile(path, f); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(f.Runs[0].Load.OfCeiling) || !math.IsInf(f.Runs[0].Calibrate.SpinMillis[1], 1) {
		t.Error("writing changed the file in memory")
	}
	f.Runs[0].Load.OfCeiling, f.Runs[0].Calibrate.SpinMillis[1] = 0, 0
	if !reflect.DeepEqual(got, f) {
		t.Error("more than the figures without a number changed")
	}
}

func TestWriteFileNowhere(t *testing.T) {
	if err := WriteFile(filepath.Join(t.TempDir(), "no", "r.json"), &result.File{}); err == nil {
		t.Error("a file in a folder that is not there")
	}
}

func TestReadFileRefuses(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"newer", `{"schema": 99, "runs": "of another shape"}`, "schema version 99 is newer than 1"},
		{"none", `{"runs": []}`, "no schema version"},
		{"zero", `{"schema": 0}`, "no schema version"},
		{"cut", `{"schema": 1, "runs": [`, "not a result of postbench"},
		{"not JSON", "BenchmarkX 1 2 ns/op\n", "not a result of postbench"},
		{"other shape", `{"schema": 1, "runs": 7}`, "runs"},
	} {
		path := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q and the path", c.name, err, c.want)
		}
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none.json")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(path, []byte(`{"schema": 1, "later": {"x": 1}, "runs": [{"scenario": "steady", "later": 2}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := ReadFile(path); err != nil || f.Runs[0].Scenario != "steady" {
		t.Errorf("unknown fields: %v", err)
	}
}
