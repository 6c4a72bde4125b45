package cost

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
)

// machine is a made-up /proc and /sys below a folder.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) machine {
	m := machine{t, t.TempDir()}
	m.write("proc/stat", "cpu 0 0 0 0 0 0 0 0 0 0\n")
	return m
}

func (m machine) path(name string) string { return filepath.Join(m.root, name) }

// write writes a file; in text, ROOT is the folder.
func (m machine) write(name, text string) {
	m.t.Helper()
	name = m.path(name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "ROOT", m.root)), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) remove(name string) {
	m.t.Helper()
	if err := os.RemoveAll(m.path(name)); err != nil {
		m.t.Fatal(err)
	}
}

// process makes a process that has used ticks of CPU, and its children as many as
// waited.
func (m machine) process(pid, parent, ticks, waited int) {
	m.t.Helper()
	dir := fmt.Sprintf("proc/%d/", pid)
	m.write(dir+"stat", fmt.Sprintf("%d (a b) S %d 1 1 0 -1 0 0 0 0 0 %d %d %d %d 20 0 2 0 %d 1000 10 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		pid, parent, ticks-ticks/4, ticks/4, waited, 0, 1000+pid))
	status := "Name:\ta\nVmHWM:\t 90 kB\nRssAnon:\t 4 kB\nRssFile:\t 50 kB\nRssShmem:\t 2 kB\n" +
		"voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n"
	m.write(dir+"status", status)
	m.write(fmt.Sprintf("%stask/%d/status", dir, pid), status)
	m.write(fmt.Sprintf("%stask/%d/status", dir, pid+5000), status)
	m.write(dir+"io", "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 0\n")
	m.write(fmt.Sprintf("%stask/%d/schedstat", dir, pid), fmt.Sprintf("%d 5 6\n", ticks*int(tick)/2))
	for fd := range 3 {
		m.write(fmt.Sprintf("%sfd/%d", dir, fd), "")
	}
}

func (m machine) proc() procfs.FS {
	m.t.Helper()
	fs, err := procfs.NewFS(m.path("proc"))
	if err != nil {
		m.t.Fatal(err)
	}
	return fs
}
