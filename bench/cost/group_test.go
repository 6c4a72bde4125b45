package cost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The mounts and groups of machines with version 2, with version 1 (two
// controllers share a mount), with both, and of a container that sees a part.
const (
	mountsTwo = "30 1 0:30 / ROOT/cg rw - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsOne = "31 1 0:31 / ROOT/one/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"32 1 0:32 / ROOT/one/memory rw - cgroup cgroup rw,memory\n"
	mountsPart = "31 1 0:31 /box/7 ROOT/one/cpuacct rw - cgroup cgroup rw,cpuacct\n" +
		"32 1 0:32 /other ROOT/one/memory rw - cgroup cgroup rw,memory\n"
	mountsNone = "29 1 0:29 / /home rw - ext4 /dev/sda rw\n"
)

func TestHierarchies(t *testing.T) {
	for _, test := range []struct {
		name, mounts, groups string
		dirs                 []string // there before
		want                 []string // made
		fails                bool
	}{
		{"version 2, in a session", mountsTwo, "0::/user/session-1.scope\n", []string{"cg/user"}, []string{"cg/user/g"}, false},
		{"version 2, at the top", mountsTwo, "0::/\n", []string{"cg"}, []string{"cg/g"}, false},
		{"version 1", mountsOne, "4:cpu,cpuacct:/user\n5:memory:/user/a\n", []string{"one/cpu,cpuacct/user", "one/memory/user/a"},
			[]string{"one/cpu,cpuacct/user/g", "one/memory/user/a/g"}, false},
		{"both", mountsOne + mountsTwo, "4:cpu,cpuacct:/\n5:memory:/\n1:name=systemd:/x\n0::/\n", []string{"one/cpu,cpuacct", "one/memory", "cg"},
			[]string{"one/cpu,cpuacct/g", "one/memory/g"}, false},
		{"a part of version 1", mountsPart, "4:cpuacct:/box/7/in\n5:memory:/box/7/in\n", []string{"one/cpuacct/in", "one/memory"},
			[]string{"one/cpuacct/in/g", "one/memory/g"}, false},
		{"nothing is mounted", mountsNone, "0::/\n", nil, nil, true},
		{"the memory of version 1 has no folder", mountsOne, "4:cpu,cpuacct:/user\n5:memory:/gone\n", []string{"one/cpu,cpuacct/user"}, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			m.write("proc/5/mountinfo", test.mounts+mountsNone)
			m.write("proc/5/cgroup", test.groups)
			for _, dir := range test.dirs {
				m.write(dir+"/cgroup.procs", "")
			}
			var f folders
			h, err := findHierarchies(m.proc(), 5)
			if err == nil {
				f, err = h.make("g")
			}
			if (err != nil) != test.fails {
				t.Fatal(err)
			}
			var got []string
			_ = filepath.WalkDir(m.root, func(name string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() && d.Name() == "g" {
					got = append(got, strings.TrimPrefix(name, m.root+"/"))
				}
				return err
			})
			slices.Sort(got)
			slices.Sort(test.want)
			if !slices.Equal(got, test.want) {
				t.Errorf("made %q, want %q", got, test.want)
			}
			if err := f.remove(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The files of both versions, read.
func TestGroupSample(t *testing.T) {
	const memoryOne = "cache 99\nrss 1\nshmem 1\ntotal_cache 99\ntotal_rss 3000\ntotal_shmem 96\n"
	for _, test := range []struct {
		name, mounts, groups string
		files                map[string]string
		by                   string
		user, system         time.Duration
		rss, written         int64
		writtenBy            string
	}{
		{
			name: "version 1", mounts: mountsOne, groups: "4:cpu,cpuacct:/\n5:memory:/\n", by: "cgroup v1",
			files: map[string]string{
				"one/cpu,cpuacct/g/cpuacct.usage": "2000000000\n", "one/cpu,cpuacct/g/cpuacct.stat": "user 90\nsystem 30\n",
				"one/memory/g/memory.stat": memoryOne, "one/memory/g/cgroup.procs": "10\n", "one/cpu,cpuacct/g/cgroup.procs": "10\n77\n", "one/cpu,cpuacct/g/below/cgroup.procs": "11\n",
			},
			user: 1500 * time.Millisecond, system: 500 * time.Millisecond, rss: 3096, written: 8192, writtenBy: "processes",
		},
		{
			name: "version 1 without memory", mounts: mountsOne, groups: "4:cpu,cpuacct:/\n", by: "cgroup v1",
			files: map[string]string{
				"one/cpu,cpuacct/g/cpuacct.usage": "7\n", "one/cpu,cpuacct/g/cpuacct.stat": "user 0\nsystem 0\n",
				"one/cpu,cpuacct/g/cgroup.procs": "10\n11\n",
			},
			user: 7, rss: 2 * 6144, written: 8192, writtenBy: "processes",
		},
		{
			name: "version 2", mounts: mountsTwo, groups: "0::/\n", by: "cgroup v2",
			files: map[string]string{
				"cg/g/cpu.stat": "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 0\n", "cg/g/cgroup.procs": "10\n11\n",
				"cg/g/memory.stat": "anon 4096\nfile 100000\nshmem 4\n", "cg/g/io.stat": "254:0 rbytes=1 wbytes=500 rios=1 wios=2\n8:0 wbytes=12\n",
			},
			user: 3 * time.Millisecond, system: 2 * time.Millisecond, rss: 4100, written: 512, writtenBy: "cgroup",
		},
		{
			name: "version 2 with CPU alone", mounts: mountsTwo, groups: "0::/\n", by: "cgroup v2",
			files: map[string]string{"cg/g/cpu.stat": "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\n", "cg/g/cgroup.procs": "10\n11\n"},
			user:  3 * time.Millisecond, system: 2 * time.Millisecond, rss: 2 * 6144, written: 8192, writtenBy: "processes",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			m.write("proc/5/mountinfo", test.mounts)
			m.write("proc/5/cgroup", test.groups)
			m.process(10, 1, 100, 0)
			m.process(11, 10, 100, 0)
			for name, text := range test.files {
				m.write(name, text)
			}
			h, err := findHierarchies(m.proc(), 5)
			if err != nil {
				t.Fatal(err)
			}
			f, err := h.open("/g")
			if err != nil {
				t.Fatal(err)
			}
			g := &Group{proc: m.proc(), own: h, folders: f}
			s, err := g.Sample()
			want := Sample{
				At: s.At, User: test.user, System: test.system, RSSBytes: test.rss, RSSPeakBytes: test.rss,
				WrittenBytes: test.written, WrittenBy: test.writtenBy, ContextSwitches: 28, OpenFiles: 6, Processes: 2,
			}
			if err != nil || s != want || g.By() != test.by {
				t.Errorf("%s, %v: %+v, want\n%+v", g.By(), err, s, want)
			}
			if err := g.Close(); err != nil { // not made here: left alone
				t.Error(err)
			}
			if again, err := h.open(f.main()); err != nil || again.main() != f.main() {
				t.Errorf("by its folder: %+v, %v", again, err)
			}
			if _, err := h.open("/none"); err == nil {
				t.Error("a group that is not there was opened")
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	if _, err := parseIO([]byte("8:0 wbytes=many\n")); err == nil {
		t.Error("io.stat with a word for a number")
	}
	m := newMachine(t)
	m.write("g/cpu.stat", "user_usec x\n")
	if err := readTwo(m.path("g"), &Sample{}); err == nil {
		t.Error("cpu.stat with a word for a number")
	}
	m.write("g/cpuacct.usage", "x\n")
	if err := readOne(map[string]string{"cpuacct": m.path("g")}, &Sample{}); err == nil {
		t.Error("cpuacct.usage with a word for a number")
	}
}

// The real thing, where this process may make groups; else a clear refusal.
func TestGroup(t *testing.T) {
	g, err := NewGroup("cost/test")
	if err != nil {
		if os.Getuid() == 0 && !strings.Contains(err.Error(), "mounted") && !errors.Is(err, fs.ErrPermission) && !strings.Contains(err.Error(), "read-only") {
			t.Errorf("root cannot make a group: %v", err)
		}
		return
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(g.folders.main()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the group is still there: %v", err)
		}
	})
	before, err := g.Sample()
	if err != nil {
		t.Fatal(err)
	}
	cmd := startBurner(t, g.Start)
	after, err := g.Sample()
	if err != nil {
		t.Fatal(err)
	}
	if c := Between(before, after, 1, 1); c.UserSeconds+c.SystemSeconds < 0.01 {
		t.Errorf("CPU of a child that ended: %+v", c)
	}
	if after.Processes != 1 || after.OpenFiles < 3 || after.RSSBytes <= 0 {
		t.Errorf("%+v", after)
	}
	pids, err := g.PIDs()
	if err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("PIDs %v, %v", pids, err)
	}
	if own, err := os.ReadFile(filepath.Join(g.folders.main(), "cgroup.procs")); err != nil || strings.Contains(string(own), fmt.Sprint(os.Getpid())) {
		t.Errorf("this process is in the group: %s, %v", own, err)
	}
	other, err := OpenGroup(g.folders.main())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := other.Sample(); err != nil || s.CPU() < after.CPU() || s.Processes != 1 {
		t.Errorf("the group opened: %+v, %v", s, err)
	}
	if err := g.Kill(context.Background()); err != nil {
		t.Fatal(err)
	}
	if pids, err := g.PIDs(); err != nil || len(pids) != 0 {
		t.Errorf("after Kill: %v, %v", pids, err)
	}
	failing := exec.Command("/none/such")
	if err := g.Start(failing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
	second, err := NewGroup("cost/test")
	if err != nil {
		t.Fatal(err)
	}
	if second.folders.main() == g.folders.main() {
		t.Error("two groups in one folder")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
