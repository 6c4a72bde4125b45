//go:build interop

package interop

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// relay is a postrider process with its own folder.
type relay struct {
	t      *testing.T
	dir    string
	addr   string
	config string
	cmd    *exec.Cmd
	exited chan error
	errLog string
	env    []string   // besides this process's own
	files  []*os.File // inherited from descriptor 3 on
}

// newRelay writes a configuration; more is appended to it.
func newRelay(t *testing.T, dir, nextHop, more string) *relay {
	t.Helper()
	r := &relay{t: t, dir: dir, addr: freeAddress(t), config: filepath.Join(dir, "postrider.toml"), errLog: filepath.Join(dir, "stderr.log")}
	text := fmt.Sprintf(`version = 1
hostname = "mta.example.org"
data_dir = "data"
[[listener]]
address = %q
service = "relay"
tls = "optional"
[[route]]
domain = "*"
next_hop = %q
`, r.addr, nextHop) + more
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs the daemon and waits until it listens. wrap is put before the
// command (strace, say).
func (r *relay) start(wrap ...string) {
	r.t.Helper()
	r.launch(wrap...)
	if !await(15*time.Second, func() bool { return dials(r.addr) }) {
		text, _ := os.ReadFile(r.errLog)
		r.t.Fatalf("postrider does not listen on %s:\n%s", r.addr, text)
	}
}

// startQuietly is start without a connection of its own, which may count.
func (r *relay) startQuietly() {
	r.t.Helper()
	r.launch()
	listening := func() bool {
		text, _ := os.ReadFile(r.errLog)
		return strings.Contains(string(text), `"msg":"listening"`)
	}
	if !await(15*time.Second, listening) {
		r.t.Fatal("postrider does not listen")
	}
}

// launch runs the daemon without waiting for anything.
func (r *relay) launch(wrap ...string) {
	r.t.Helper()
	argv := append(wrap, binary(r.t, "postrider"), "run", "-c", r.config)
	r.cmd = exec.Command(argv[0], argv[1:]...)
	errors, err := os.OpenFile(r.errLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer errors.Close()
	r.cmd.Stderr = errors
	r.cmd.Env, r.cmd.ExtraFiles = append(os.Environ(), r.env...), r.files
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan error) { exited <- cmd.Wait() }(r.cmd, r.exited)
	r.t.Cleanup(func() {
		if r.t.Failed() {
			text, _ := os.ReadFile(r.errLog)
			r.t.Logf("stderr of postrider:\n%s", text)
		}
		_ = r.cmd.Process.Kill()
	})
}

// await asks every few milliseconds until ok or the time is over.
func await(patience time.Duration, ok func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return true
		}
		select {
		case <-deadline.C:
			return false
		case <-tick.C:
		}
	}
}

// signal sends one and, unless it is SIGHUP, waits for the end. It returns the
// exit code; -1 when the process was killed.
func (r *relay) signal(s syscall.Signal) int {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatalf("signal: %v", err)
	}
	if s == syscall.SIGHUP {
		return 0
	}
	select {
	case <-r.exited:
	case <-time.After(60 * time.Second):
		r.t.Fatalf("postrider did not end within a minute of %v", s)
	}
	return r.cmd.ProcessState.ExitCode()
}

// command runs one of the operator's verbs.
func (r *relay) command(args ...string) (string, int) {
	r.t.Helper()
	cmd := exec.Command(binary(r.t, "postrider"), append(args, "-c", r.config)...)
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		r.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// events returns the lines of the event log that hold every one of parts.
func (r *relay) events(parts ...string) []string {
	r.t.Helper()
	f, err := os.Open(filepath.Join(r.dir, "data", "events.jsonl"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
next:
	for scan.Scan() {
		for _, p := range parts {
			if !strings.Contains(scan.Text(), p) {
				continue next
			}
		}
		lines = append(lines, scan.Text())
	}
	return lines
}

func dials(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return freeAddresses(t, 1)[0]
}

// freeAddresses returns some that differ.
func freeAddresses(t *testing.T, n int) (free []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		free = append(free, l.Addr().String())
	}
	return free
}

func binary(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: build the binaries first", err)
	}
	return path
}

// tool runs a program of the system and returns what it printed.
func tool(t *testing.T, stdin, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
