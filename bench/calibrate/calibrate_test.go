package calibrate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"postrider/bench/result"
)

func TestDrift(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after Reading
		want          float64
	}{
		{"none", Reading{SyncMicros: 100, SpinMillis: 15}, Reading{SyncMicros: 100, SpinMillis: 15}, 0},
		{"slower syncs", Reading{SyncMicros: 100, SpinMillis: 10}, Reading{SyncMicros: 125, SpinMillis: 11}, 25},
		{"faster syncs", Reading{SyncMicros: 125, SpinMillis: 10}, Reading{SyncMicros: 100, SpinMillis: 11}, 25},
		{"slower core", Reading{SyncMicros: 100, SpinMillis: 10}, Reading{SyncMicros: 100, SpinMillis: 15}, 50},
		{"a probe is missing", Reading{SpinMillis: 10}, Reading{SyncMicros: 100, SpinMillis: 10}, 0},
	} {
		if got := Drift(test.before, test.after); got < test.want-0.001 || got > test.want+0.001 {
			t.Errorf("%s: drift %v, want %v", test.name, got, test.want)
		}
	}
}

func TestStamps(t *testing.T) {
	for _, test := range []struct {
		name string
		run  result.Run
		want []string
	}{
		{"not calibrated", result.Run{}, []string{"not calibrated"}},
		{"good", result.Run{
			Load:      result.Load{AcceptRate: 6999},
			Calibrate: &result.Calibration{CeilingRate: 10_000, DriftPercent: 10, OthersPercent: 10},
		}, nil},
		{"no ceiling", result.Run{Load: result.Load{AcceptRate: 1000}, Calibrate: &result.Calibration{}}, nil},
		{"limited", result.Run{
			Load:      result.Load{AcceptRate: 7100},
			Calibrate: &result.Calibration{CeilingRate: 10_000},
		}, []string{"harness-limited: 71 % of the ceiling"}},
		{"a stated share holds", result.Run{
			Load:      result.Load{AcceptRate: 100, OfCeiling: 0.8},
			Calibrate: &result.Calibration{CeilingRate: 10_000},
		}, []string{"harness-limited: 80 % of the ceiling"}},
		{"noisy and busy", result.Run{
			Calibrate: &result.Calibration{DriftPercent: 11.4, OthersPercent: 30},
		}, []string{"noisy machine: drift of 11 %", "busy machine: others used 30 % of it"}},
	} {
		if got := Stamps(&test.run); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAround(t *testing.T) {
	got := Around(Reading{SyncMicros: 100, SpinMillis: 10}, Reading{SyncMicros: 110, SpinMillis: 12}, 5000, 3)
	if got.SyncMicros != [2]int64{100, 110} || got.SpinMillis != [2]float64{10, 12} || got.CeilingRate != 5000 ||
		got.OthersPercent != 3 || got.DriftPercent < 19.9 || got.DriftPercent > 20.1 {
		t.Errorf("%+v", got)
	}
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	r, err := Probe(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.SyncRounds < 1 || r.SyncRounds > syncRounds || r.SpinMillis <= 0 {
		t.Errorf("%+v", r)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Probe(ended, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	if _, err := Probe(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestCeiling(t *testing.T) {
	rate, err := Ceiling(t.Context(), func(context.Context) (int64, error) { return 1000, nil })
	if err != nil || rate <= 0 {
		t.Errorf("%v, %v", rate, err)
	}
	if _, err := Ceiling(t.Context(), func(context.Context) (int64, error) { return 0, nil }); err == nil {
		t.Error("nothing arrived, and no error")
	}
	broken := errors.New("broken")
	if _, err := Ceiling(t.Context(), func(context.Context) (int64, error) { return 5, broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestOthers(t *testing.T) {
	dir := t.TempDir()
	read := func(line string) Busy {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		proc, err := procfs.NewFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		b, err := readBusy(proc)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// user nice system idle iowait irq softirq steal guest guest_nice, in ticks.
	a := read("cpu 100 0 50 1000 10 0 0 0 0 0\n")
	b := read("cpu 160 10 70 1080 20 5 5 10 50 0\n")
	if used := b.Used - a.Used; used != 1100*time.Millisecond {
		t.Errorf("used %v", used)
	}
	for _, test := range []struct {
		known time.Duration
		want  float64
	}{{0, 55}, {600 * time.Millisecond, 25}, {5 * time.Second, 0}} {
		if got := Others(a, b, test.known); got < test.want-0.001 || got > test.want+0.001 {
			t.Errorf("others %v with %v known, want %v", got, test.known, test.want)
		}
	}
	if got := Others(a, a, 0); got != 0 {
		t.Errorf("no time has passed: %v", got)
	}
}

func TestMachine(t *testing.T) {
	m, err := Machine(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if m.OS == "" || m.Kernel == "" || m.Cores < 1 || m.MemoryBytes <= 0 || m.FileSystem == "" {
		t.Errorf("%+v", m)
	}
	own, err := OwnCPU()
	if err != nil || own < 0 {
		t.Errorf("own CPU %v, %v", own, err)
	}
}

func TestMountOf(t *testing.T) {
	mounts := []*procfs.MountInfo{
		{MountPoint: "/", FSType: "ext4", SuperOptions: map[string]string{"rw": "", "nobarrier": "", "data": "writeback"}},
		{MountPoint: "/tmp", FSType: "tmpfs"},
		{MountPoint: "/var/spool", FSType: "xfs"},
		{MountPoint: "/var/spool", FSType: "btrfs"},
		{MountPoint: `/a\040disk`, FSType: "vfat", Options: map[string]string{"sync": ""}},
	}
	for dir, want := range map[string]string{
		"/":               "ext4 data=writeback nobarrier",
		"/home":           "ext4 data=writeback nobarrier",
		"/tmp":            "tmpfs",
		"/tmp/a":          "tmpfs",
		"/tmpfile":        "ext4 data=writeback nobarrier",
		"/var/spool/mail": "btrfs",
		"/a disk/x":       "vfat sync",
	} {
		m := mountOf(mounts, dir)
		if m == nil || describe(m) != want {
			t.Errorf("%s: %+v, want %s", dir, m, want)
		}
	}
}

func TestDisk(t *testing.T) {
	blocks := t.TempDir()
	for name, text := range map[string]string{
		"sda/queue/write_cache": "write back\n", "sda/queue/rotational": "1\n", "sda/sda1/size": "8\n",
		"nvme/queue/write_cache": "write through\n", "nvme/queue/rotational": "0\n",
	} {
		name = filepath.Join(blocks, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for number, dir := range map[string]string{"8:0": "sda", "8:1": "sda/sda1", "259:0": "nvme"} {
		if err := os.Symlink(filepath.Join(blocks, dir), filepath.Join(blocks, number)); err != nil {
			t.Fatal(err)
		}
	}
	for number, want := range map[string]string{
		"8:0": "write back, rotational", "8:1": "write back, rotational", "259:0": "write through", "0:44": "", "7:1": "",
	} {
		if got := disk(blocks, &procfs.MountInfo{MajorMinorVer: number, Source: "none"}); got != want {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
	}
}
