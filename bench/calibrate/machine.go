package calibrate

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"postrider/bench/result"
)

// Machine returns the facts about this machine that one can see, with the file
// system that has dir. What cannot be seen stays empty.
func Machine(dir string) (result.Machine, error) {
	m := result.Machine{OS: distribution("/etc/os-release"), Cores: runtime.NumCPU()}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err == nil {
		m.Kernel = unix.ByteSliceToString(uts.Sysname[:]) + " " + unix.ByteSliceToString(uts.Release[:])
	}
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return m, fmt.Errorf("machine: %w", err)
	}
	if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
		m.CPU = cpus[0].ModelName
		if slices.Contains(cpus[0].Flags, "hypervisor") {
			m.Virtual = "hypervisor"
		}
	}
	if memory, err := proc.Meminfo(); err == nil && memory.MemTotalBytes != nil {
		m.MemoryBytes = int64(*memory.MemTotalBytes)
	}
	mounts, err := proc.GetMounts()
	if err != nil {
		return m, fmt.Errorf("machine: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return m, fmt.Errorf("machine: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return m, fmt.Errorf("machine: %w", err)
	}
	if mount := mountOf(mounts, dir); mount != nil {
		m.FileSystem = describe(mount)
		m.Disk = disk("/sys/dev/block", mount)
	}
	return m, nil
}

// distribution returns the name of the system, or that of the kernel's kind.
func distribution(release string) string {
	data, err := os.ReadFile(release)
	if err == nil {
		for line := range strings.Lines(string(data)) {
			if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				return strings.Trim(strings.TrimSpace(name), `"'`)
			}
		}
	}
	return runtime.GOOS
}

// mountOf returns the mount below which dir is. Of several at the same place the
// last covers the others.
func mountOf(mounts []*procfs.MountInfo, dir string) *procfs.MountInfo {
	var best *procfs.MountInfo
	for _, m := range mounts {
		point := unescape(m.MountPoint)
		if dir != point && point != "/" && !strings.HasPrefix(dir, point+"/") {
			continue
		}
		if best == nil || len(point) >= len(unescape(best.MountPoint)) {
			best = m
		}
	}
	return best
}

// unescape undoes what the kernel does to a path in a table of mounts.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// describe names the file system, with the options that change what a sync means.
func describe(m *procfs.MountInfo) string {
	text := m.FSType
	var options []string
	for _, all := range []map[string]string{m.Options, m.SuperOptions} {
		for key, value := range all {
			switch key {
			case "sync", "nobarrier", "barrier", "data", "journal_async_commit", "fsync_mode":
				if value != "" {
					key += "=" + value
				}
				options = append(options, key)
			}
		}
	}
	slices.Sort(options)
	for _, o := range slices.Compact(options) {
		text += " " + o
	}
	return text
}

// disk says what is below the file system. With a cache that is written through,
// or that claims to be, a sync costs no flush of the device.
func disk(blocks string, m *procfs.MountInfo) string {
	number := m.MajorMinorVer
	if strings.HasPrefix(number, "0:") { // a made-up one, as of btrfs
		info, err := os.Stat(m.Source)
		if err != nil {
			return ""
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return ""
		}
		number = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	// A partition has no queue of its own: its disk is the folder above.
	dir, err := filepath.EvalSymlinks(filepath.Join(blocks, number))
	if err != nil {
		return ""
	}
	for _, dir := range []string{dir, filepath.Dir(dir)} {
		cache, err := os.ReadFile(filepath.Join(dir, "queue", "write_cache"))
		if err != nil {
			continue
		}
		text := strings.TrimSpace(string(cache))
		if turns, err := os.ReadFile(filepath.Join(dir, "queue", "rotational")); err == nil && strings.TrimSpace(string(turns)) == "1" {
			text += ", rotational"
		}
		return text
	}
	return ""
}
