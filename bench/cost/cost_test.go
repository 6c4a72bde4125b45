package cost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDiskUsage(t *testing.T) {
	dir := t.TempDir()
	empty, err := DiskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "a")
	if err := os.WriteFile(name, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(name, filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	full, err := DiskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := full - empty; got < 100_000 || got > 150_000 {
		t.Errorf("100,000 bytes with two names take %d", got)
	}
}

func TestDevice(t *testing.T) {
	for _, test := range []struct {
		data string
		want int64
		ok   bool
	}{
		{"   61470     8855  2546106    16672    17971    31185  4902016    34406        0    16100    55422\n", 4902016 * 512, true},
		{"1 2 3 4 5 6 7", 7 * 512, true},
		{"1 2 3 4 5 6", 0, false},
		{"1 2 3 4 5 6 x", 0, false},
		{"", 0, false},
	} {
		if got, err := parseDevice(test.data); got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %d, %v", test.data, got, err)
		}
	}
}

// The device of a folder is found by its number or, where the file system has a
// made-up one, by what is mounted.
func TestOnDevice(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	number := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))

	m.write("proc/self/mountinfo", "1 0 0:1 / /none rw - tmpfs tmpfs rw\n")
	if name, err := deviceStat(m.proc(), m.path("sys"), dir); err == nil {
		t.Errorf("found %s where there is none", name)
	}
	m.write("proc/self/mountinfo", "1 0 "+number+" / /mnt rw - btrfs /dev/null rw\n") // null is 1:3
	if name, err := deviceStat(m.proc(), m.path("sys"), dir); err != nil || name != m.path("sys/1:3/stat") {
		t.Errorf("%s, %v", name, err)
	}
	m.write("sys/"+number+"/stat", "1 2 3 4 5 6 7\n")
	name, err := deviceStat(m.proc(), m.path("sys"), dir)
	if err != nil || name != m.path("sys/"+number+"/stat") {
		t.Fatalf("%s, %v", name, err)
	}
	m.process(10, 1, 100, 0)
	tree, err := newTree(m.proc(), 10)
	if err != nil {
		t.Fatal(err)
	}
	d := device{Meter: tree, stat: name}
	if s, err := d.Sample(); err != nil || s.WrittenBytes != 7*512 || s.WrittenBy != "device" || s.Processes != 1 || d.By() != "process tree" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := OnDevice(tree, filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such folder: %v", err)
	}
}
