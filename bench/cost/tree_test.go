package cost

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTree(t *testing.T) {
	m := newMachine(t)
	m.process(10, 1, 100, 8)
	m.process(11, 10, 40, 0)
	m.process(12, 11, 4, 0)
	m.process(20, 1, 900, 0) // a neighbour
	tree, err := newTree(m.proc(), 10)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tree.Sample()
	if err != nil {
		t.Fatal(err)
	}
	want := Sample{
		At: s.At, User: (75 + 8 + 30 + 3) * tick, System: (25 + 10 + 1) * tick,
		RSSBytes: 3 * 6144, RSSPeakBytes: 3 * 6144, WrittenBytes: 3 * 4096, WrittenBy: "processes",
		ContextSwitches: 3 * 2 * 7, OpenFiles: 9, Processes: 3,
	}
	if s != want {
		t.Errorf("%+v, want\n%+v", s, want)
	}
	// The exact time of threads goes before the rounded one of their process.
	m.write("proc/12/task/12/schedstat", "42000000 0 0\n")
	if s, err = tree.Sample(); err != nil || s.CPU() != want.CPU()+2*time.Millisecond {
		t.Errorf("%+v, %v", s, err)
	}
	m.write("proc/12/task/12/schedstat", "0 0 0\n")
	// With one thread, the files of the process say it all.
	stat := read1(t, m.path("proc/12/stat"))
	m.write("proc/12/stat", strings.Replace(stat, "20 0 2 0", "20 0 1 0", 1))
	m.write("proc/12/schedstat", "43000000 0 0\n")
	if s, err = tree.Sample(); err != nil || s.CPU() != want.CPU()+3*time.Millisecond || s.ContextSwitches != want.ContextSwitches {
		t.Errorf("%+v, %v", s, err) // the switches of the thread that ended are kept
	}
	// 11 ends and is waited for; 12 is adopted by another and has a child.
	m.remove("proc/11")
	m.process(10, 1, 100, 48)
	m.process(12, 1, 5, 0)
	m.process(13, 12, 20, 0)
	pids, err := tree.PIDs()
	slices.Sort(pids)
	if err != nil || !slices.Equal(pids, []int{10, 12, 13}) {
		t.Errorf("PIDs %v, %v", pids, err)
	}
	if s, err = tree.Sample(); err != nil || s.CPU() != (100+48+5+20)*tick || s.Processes != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	// All end, and another process gets the PID of the first.
	for _, pid := range []string{"10", "12", "13"} {
		m.remove("proc/" + pid)
	}
	m.process(10, 1, 7777, 0)
	m.write("proc/10/stat", strings.Replace(read1(t, m.path("proc/10/stat")), " 1010 ", " 999999 ", 1))
	if s, err = tree.Sample(); err != nil || s.CPU() != (100+48+5+20)*tick || s.Processes != 0 || s.RSSBytes != 0 || s.RSSPeakBytes != 3*6144 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := newTree(m.proc(), 4711); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such process: %v", err)
	}
}

func read1(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A real tree: the CPU of a child that has ended counts.
func TestProcessTree(t *testing.T) {
	const limit = 10 * time.Millisecond // far less than the loop needs
	p := startBurner(t, func(cmd *exec.Cmd) error { return cmd.Start() })
	tree, err := ProcessTree(p.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := tree.Sample(); err != nil || s.CPU() < limit || s.Processes != 1 || s.RSSBytes <= 0 || s.OpenFiles < 3 || s.ContextSwitches < 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if tree.By() != "process tree" {
		t.Error(tree.By())
	}
}

// startBurner starts a shell whose child uses CPU and ends, and returns when it
// has; the shell then waits until the end of the test.
func startBurner(t *testing.T, start func(*exec.Cmd) error) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo $$; read end`)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		var status *exec.ExitError // read fails at the end of its input
		if err := cmd.Wait(); err != nil && !errors.As(err, &status) {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if strings.TrimSpace(line) != strconv.Itoa(cmd.Process.Pid) {
		t.Fatalf("the shell says %q", line)
	}
	return cmd
}
