package cost

import (
	"fmt"
	"sync"

	"github.com/prometheus/procfs"
)

// Tree is the Meter of a process and its descendants; see ProcessTree.
type Tree struct {
	proc procfs.FS
	root int

	mu struct {
		sync.Mutex
		// guards following
		account account
		peak    int64
		since   uint64 // of the root
	}
}

// ProcessTree returns a Meter of the process pid and of all its descendants, for a
// server that is not in a control group of its own.
//
// A process that was once seen in the tree is followed until it ends, also when
// its parent ended and another adopted it. Its use is kept when it ends. What is
// missed:
//
//   - a process that began and ended between two Samples, if its parent did not
//     wait for it (it ignores SIGCHLD, or ended first);
//   - what a process used between the last Sample and its end, in the same case,
//     and all of it if that was less than two ticks of 10 ms;
//   - a process that was adopted by one outside of the tree before any Sample saw
//     it, with all its descendants.
func ProcessTree(pid int) (*Tree, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("process tree: %w", err)
	}
	return newTree(proc, pid)
}

func newTree(proc procfs.FS, pid int) (*Tree, error) {
	p, err := readStat(proc, pid)
	if err != nil {
		return nil, fmt.Errorf("process tree of %d: %w", pid, err)
	}
	t := &Tree{proc: proc, root: pid}
	t.mu.since = p.id.since
	return t, nil
}

// By implements Meter.
func (t *Tree) By() string { return "process tree" }

// Sample implements Meter. When the whole tree has ended, it returns what was
// kept.
func (t *Tree) Sample() (Sample, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	members, err := t.membersLocked()
	if err != nil {
		return Sample{}, fmt.Errorf("process tree of %d: %w", t.root, err)
	}
	for i := range members {
		readUse(t.proc, &members[i])
	}
	s := t.mu.account.update(members).sample()
	t.mu.peak = max(t.mu.peak, s.RSSBytes)
	s.RSSPeakBytes = t.mu.peak
	return s, nil
}

// PIDs returns the processes of the tree that run now.
func (t *Tree) PIDs() ([]int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	members, err := t.membersLocked()
	if err != nil {
		return nil, fmt.Errorf("process tree of %d: %w", t.root, err)
	}
	pids := make([]int, 0, len(members))
	for _, p := range members {
		if !p.ended {
			pids = append(pids, p.id.pid)
		}
	}
	return pids, nil
}

// membersLocked finds the tree by the parents of all processes of the machine.
func (t *Tree) membersLocked() ([]process, error) {
	all, err := t.proc.AllProcs()
	if err != nil {
		return nil, err
	}
	var members []process
	children := make(map[int][]process)
	in := make(map[procID]bool)
	for _, p := range all {
		st, err := readStat(t.proc, p.PID)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, known := t.mu.account.last[st.id]
		if known || st.id == (procID{t.root, t.mu.since}) {
			members, in[st.id] = append(members, st), true
			continue
		}
		children[st.parent] = append(children[st.parent], st)
	}
	for i := 0; i < len(members); i++ {
		for _, child := range children[members[i].id.pid] {
			if !in[child.id] {
				members, in[child.id] = append(members, child), true
			}
		}
	}
	return members, nil
}
