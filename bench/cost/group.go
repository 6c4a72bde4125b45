package cost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// Group is a control group that holds a server: the Meter that misses nothing,
// and the surest way to end all its processes.
type Group struct {
	proc    procfs.FS
	own     *hierarchies
	folders folders
	made    bool // by us, so that Close removes it

	mu struct {
		sync.Mutex
		// guards following
		account account // of what groups do not count: switches, files, writes
		peak    int64
	}
}

// NewGroup makes an empty control group whose name begins with name. It needs the
// right to do so, which is root's as a rule.
func NewGroup(name string) (*Group, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	h, err := findHierarchies(proc, os.Getpid())
	if err != nil {
		return nil, err
	}
	return newGroup(h, name)
}

func newGroup(h *hierarchies, name string) (*Group, error) {
	base := fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", ":", "-").Replace(name), os.Getpid())
	const tries = 1000 // more groups of one name than anybody has at a time
	for i := range tries {
		unique := base
		if i > 0 {
			unique += "-" + strconv.Itoa(i)
		}
		f, err := h.make(unique)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("control group %s: %w", unique, err)
		}
		return &Group{proc: h.proc, own: h, folders: f, made: true}, nil
	}
	return nil, fmt.Errorf("control group %s: %w", base, os.ErrExist)
}

// OpenGroup returns the Meter of a group that exists: path is its folder, or its
// path as /proc/PID/cgroup states it. Close leaves it alone.
func OpenGroup(path string) (*Group, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	h, err := findHierarchies(proc, os.Getpid())
	if err != nil {
		return nil, err
	}
	f, err := h.open(path)
	if err != nil {
		return nil, fmt.Errorf("control group %s: %w", path, err)
	}
	return &Group{proc: proc, own: h, folders: f}, nil
}

// By implements Meter.
func (g *Group) By() string {
	if g.folders.two != "" {
		return "cgroup v2"
	}
	return "cgroup v1"
}

// PIDs returns the processes that run in the group now, those in groups below it
// included. One that has ended and was not waited for does not run.
func (g *Group) PIDs() ([]int, error) {
	all, err := g.members()
	if err != nil {
		return nil, err
	}
	pids := make([]int, 0, len(all))
	for _, pid := range all {
		p, err := readStat(g.proc, pid)
		if gone(err) || err == nil && p.ended {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("control group %s: %w", g.folders.main(), err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// members returns all processes of the group.
func (g *Group) members() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(g.folders.main(), func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(name, "cgroup.procs"))
		if err != nil {
			return err
		}
		for line := range strings.FieldsSeq(string(data)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				return fmt.Errorf("PID %q", line)
			}
			pids = append(pids, pid)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("control group %s: %w", g.folders.main(), err)
	}
	return pids, nil
}

// Kill ends all processes of the group with SIGKILL and returns when there are
// none that runs, or with an error when ctx has ended first.
func (g *Group) Kill(ctx context.Context) error {
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for {
		if g.folders.two != "" {
			// From Linux 5.14 on; before that, by PIDs as below.
			_ = writeFile(filepath.Join(g.folders.two, "cgroup.kill"), "1")
		}
		pids, err := g.PIDs()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %d: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("control group %s: %d processes do not end: %w", g.folders.main(), len(pids), ctx.Err())
		case <-pause.C:
		}
	}
}

// Close removes a group that NewGroup made. It must have no processes, but for
// such that just end: Close waits a second for them.
func (g *Group) Close() error {
	if !g.made {
		return nil
	}
	deadline := time.NewTimer(time.Second)
	defer deadline.Stop()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for {
		err := g.folders.remove()
		if !errors.Is(err, syscall.EBUSY) {
			return err
		}
		select {
		case <-deadline.C:
			return fmt.Errorf("control group: %w", err)
		case <-pause.C:
		}
	}
}

// Start starts cmd in the group, so that nothing of it is missed. Processes that
// it starts are in the group as well.
func (g *Group) Start(cmd *exec.Cmd) error {
	if g.folders.two != "" {
		return g.startTwo(cmd)
	}
	return g.startOne(cmd)
}
