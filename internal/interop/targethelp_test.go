//go:build interop

package interop

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/bench/load"
	"postrider/bench/sink"
	"postrider/bench/target"
	"postrider/internal/dns/dnstest"
)

// startTarget starts a server, which ends with the test, in a new folder unless one
// is given.
func startTarget(t *testing.T, name string, need target.Need) target.Instance {
	t.Helper()
	if need.Dir == "" {
		need.Dir = sharedDir(t)
	}
	tg, err := target.Parse(name, target.Options{Postrider: binary(t, "postrider"), PeerRoot: peerRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	in, err := tg.Start(t.Context(), need)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, name := range []string{"mail.log", "stderr.log"} {
				log, _ := os.ReadFile(filepath.Join(need.Dir, name))
				t.Logf("%s", log[max(0, len(log)-4000):])
			}
		}
	})
	info := in.Info()
	if info.Name != name || info.Version == "" || info.Config == "" || len(info.Binary) != 64 {
		t.Errorf("info: %q version %q binary %q, %d bytes of configuration", info.Name, info.Version, info.Binary, len(info.Config))
	}
	return in
}

// sharedDir is a folder that servers may enter which are other users.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != filepath.Dir(d) && strings.HasPrefix(d, os.TempDir()); d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&1 == 0 {
			if err := os.Chmod(d, info.Mode().Perm()|0o111); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// peerRoot is where bench/peers has unpacked the packages that conflict.
func peerRoot(t *testing.T) string {
	t.Helper()
	if root := os.Getenv("POSTBENCH_PEERS"); root != "" {
		return root
	}
	root, err := filepath.Abs(filepath.Join("..", "..", ".peers"))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// ourSink takes everything.
func ourSink(t *testing.T) (*sink.Server, string) {
	t.Helper()
	return serveSink(t, "127.0.0.1:0", sink.Options{})
}

func serveSink(t *testing.T, address string, o sink.Options) (*sink.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := sink.New(o)
	background(t, func(ctx context.Context) error { return s.Serve(ctx, l) })
	return s, l.Addr().String()
}

func serveNames(t *testing.T, s *dnstest.Server, address string) {
	t.Helper()
	if _, err := s.Listen(address); err != nil {
		t.Fatal(err)
	}
	background(t, s.Serve)
}

// background runs f until the test ends, and waits for it.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// send gives n messages to a server, which must accept all.
func send(t *testing.T, address string, n int64) {
	t.Helper()
	g, err := load.New(load.Options{Address: address, Conns: 5, Messages: n, Domains: load.DomainList("a.bench.test", "b.bench.test")})
	if err != nil {
		t.Fatal(err)
	}
	if r := g.Run(t.Context()); r.Accepted != n || r.Err != nil {
		t.Fatalf("%d of %d accepted: %v", r.Accepted, n, r.Err)
	}
}

func awaitMessages(t *testing.T, s *sink.Server, n int64) {
	t.Helper()
	if !await(time.Minute, func() bool { return s.Counts().Messages >= n }) {
		t.Fatalf("the sink has %d of %d messages", s.Counts().Messages, n)
	}
}

func awaitQueued(t *testing.T, in target.Instance, n int64) {
	t.Helper()
	var got int64
	var err error
	if !await(30*time.Second, func() bool { got, err = in.Queued(t.Context()); return err == nil && got == n }) {
		t.Fatalf("queued %d (%v), want %d", got, err, n)
	}
}

func mustBeGone(t *testing.T, in target.Instance, pids []int) {
	t.Helper()
	if left := in.PIDs(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
			t.Errorf("process %d lives", pid)
		}
	}
	for _, address := range []string{in.SMTP(), in.LMTP(), in.POP3(), in.IMAP()} {
		if address != "" && dials(address) {
			t.Errorf("%s still answers", address)
		}
	}
}

// zombie reports a process that has ended and that nobody has waited for yet.
func zombie(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// converse sends lines, waiting for a line after each, and returns the last.
func converse(t *testing.T, address string, lines ...string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	last, err := r.ReadString('\n')
	for _, line := range lines {
		if err != nil {
			break
		}
		if _, err = c.Write([]byte(line + "\r\n")); err == nil {
			last, err = r.ReadString('\n')
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(last)
}
