package cost

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// hierarchies says where control groups are mounted and where this process is in
// them. With version 1 every controller may have a tree of its own; with version
// 2 there is one tree.
type hierarchies struct {
	proc procfs.FS
	two  string            // mount point of version 2; "": none, or it has no controllers
	one  map[string]string // mount points of version 1 by controller
	own  map[string]string // the folder of this process in each, by mount point
}

// usedControllers are those of version 1 that a Group reads or needs.
func usedControllers() []string { return []string{"cpuacct", "memory", "pids"} }

// findHierarchies reads the mounts and the groups of this process. A mount in a
// container may show a part of the tree: paths are relative to that part.
func findHierarchies(proc procfs.FS, pid int) (*hierarchies, error) {
	mounts, err := proc.GetProcMounts(pid)
	if err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	p, err := proc.Proc(pid)
	if err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	groups, err := p.Cgroups()
	if err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	h := &hierarchies{proc: proc, one: make(map[string]string), own: make(map[string]string)}
	for _, g := range groups {
		for _, m := range mounts {
			if !mountOf(m, g) {
				continue
			}
			rel, err := filepath.Rel(m.Root, g.Path)
			if err != nil || strings.HasPrefix(rel, "..") {
				rel = "." // a group outside of what is mounted: begin at its top
			}
			h.own[m.MountPoint] = filepath.Join(m.MountPoint, rel)
			if m.FSType == "cgroup2" {
				h.two = m.MountPoint
				break
			}
			for _, c := range g.Controllers {
				h.one[c] = m.MountPoint
			}
			break
		}
	}
	// Where both are mounted, the controllers are bound to version 1.
	if h.one["cpuacct"] != "" {
		h.two = ""
	}
	if h.two == "" && h.one["cpuacct"] == "" {
		return nil, errors.New("control groups: neither version 2 nor the cpuacct controller of version 1 is mounted")
	}
	return h, nil
}

// mountOf reports whether m is the tree that has g.
func mountOf(m *procfs.MountInfo, g procfs.Cgroup) bool {
	if len(g.Controllers) == 0 || g.Controllers[0] == "" {
		return m.FSType == "cgroup2"
	}
	if m.FSType != "cgroup" {
		return false
	}
	for _, c := range g.Controllers {
		if _, ok := m.SuperOptions[c]; !ok {
			return false
		}
	}
	return true
}

// make creates a group of this name and returns its folder in each hierarchy.
// Version 1: below the group of this process, so that its limits hold. Version 2:
// beside it, for a group with processes may not have groups with controllers
// below it.
func (h *hierarchies) make(name string) (folders, error) {
	if h.two != "" {
		parent := h.own[h.two]
		if parent != h.two {
			parent = filepath.Dir(parent)
		}
		// Without the right to do this, the group counts CPU all the same.
		for _, c := range []string{"+cpu", "+memory", "+io", "+pids"} {
			_ = writeFile(filepath.Join(parent, "cgroup.subtree_control"), c)
		}
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return folders{}, err
		}
		return folders{two: dir}, nil
	}
	f := folders{one: make(map[string]string)}
	for _, c := range usedControllers() {
		mount, ok := h.one[c]
		if !ok {
			continue
		}
		dir := filepath.Join(h.own[mount], name)
		if slices.Contains(slices.Collect(maps.Values(f.one)), dir) { // controllers that share a mount
			f.one[c] = dir
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return folders{}, errors.Join(err, f.remove())
		}
		f.one[c] = dir
	}
	return f, nil
}

// open finds the existing group at path: below a mount point, or as it stands in
// /proc/PID/cgroup.
func (h *hierarchies) open(path string) (folders, error) {
	rel := path
	for mount := range h.own {
		if below, ok := strings.CutPrefix(path, mount+"/"); ok {
			rel = below
		}
	}
	if h.two != "" {
		f := folders{two: filepath.Join(h.two, rel)}
		_, err := os.Stat(filepath.Join(f.two, "cgroup.procs"))
		return f, err
	}
	f := folders{one: make(map[string]string)}
	for _, c := range usedControllers() {
		dir := filepath.Join(h.one[c], rel)
		_, err := os.Stat(filepath.Join(dir, "cgroup.procs"))
		if h.one[c] != "" && err == nil {
			f.one[c] = dir
		}
	}
	if f.one["cpuacct"] == "" {
		return folders{}, fmt.Errorf("no group %q of the cpuacct controller", rel)
	}
	return f, nil
}

// folders are where one group is.
type folders struct {
	two string            // version 2
	one map[string]string // version 1, by controller
}

// all returns each folder once.
func (f folders) all() []string {
	if f.two != "" {
		return []string{f.two}
	}
	return slices.Compact(slices.Sorted(maps.Values(f.one)))
}

// main returns the folder in which the processes are looked for.
func (f folders) main() string {
	if f.two != "" {
		return f.two
	}
	return f.one["cpuacct"]
}

// remove removes the empty group.
func (f folders) remove() error {
	var errs []error
	for _, dir := range f.all() {
		if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// writeFile writes to a file of a control group, which must exist.
func writeFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
