//go:build interop

package interop

import (
	"bufio"
	"context"
	"errors"
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
)

// relayTargets are the servers that hand mail on.
func relayTargets() []string {
	return []string{"postrider", "postfix", "postfix:isp", "exim", "exim:isp", "opensmtpd", "opensmtpd:isp"}
}

// Every server that postbench can measure starts, takes mail, hands it on, says
// truly what it still has, loses nothing by being killed, and is gone at the end.
func TestTargets(t *testing.T) {
	for _, name := range relayTargets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what takes long is that servers wait
			t.Run("delivers", func(t *testing.T) { targetDelivers(t, name) })
			t.Run("suspended", func(t *testing.T) { targetSuspended(t, name) })
		})
	}
}

func startTarget(t *testing.T, name string, need target.Need) target.Instance {
	t.Helper()
	need.Dir = sharedDir(t)
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
			log, _ := os.ReadFile(filepath.Join(need.Dir, "mail.log"))
			t.Logf("%s", log[max(0, len(log)-4000):])
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := sink.New(sink.Options{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
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

func targetDelivers(t *testing.T, name string) {
	s, hop := ourSink(t)
	in := startTarget(t, name, target.Need{NextHop: hop, TLS: true})
	before, err := in.Meter().Sample()
	if err != nil {
		t.Fatal(err)
	}
	send(t, in.SMTP(), 50)
	awaitMessages(t, s, 50)
	awaitQueued(t, in, 0)
	if after, err := in.Meter().Sample(); err != nil || after.CPU() <= before.CPU() {
		t.Errorf("CPU %v, then %v (%v)", before.CPU(), after.CPU(), err)
	}
	if err := in.Reload(t.Context()); err != nil && !errors.Is(err, target.ErrUnsupported) {
		t.Error(err)
	}

	pids := in.PIDs()
	if len(pids) == 0 {
		t.Error("no processes")
	}
	if err := in.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
	if err := in.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, in.SMTP(), 20)
	awaitMessages(t, s, 70)
	awaitQueued(t, in, 0)
	if err := in.Restart(t.Context()); err != nil { // of one that runs
		t.Fatal(err)
	}
	pids = in.PIDs()
	if err := in.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
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

func targetSuspended(t *testing.T, name string) {
	s, hop := ourSink(t)
	need := target.Need{NextHop: hop, Suspended: true}
	if !strings.HasPrefix(name, "opensmtpd") { // whose schedule cannot be set
		need.RetryFirst = 2 * time.Second
	}
	in := startTarget(t, name, need)
	send(t, in.SMTP(), 50)
	awaitQueued(t, in, 50)
	if err := in.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := in.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitQueued(t, in, 50)
	if n := s.Counts().Messages; n != 0 {
		t.Fatalf("%d messages came while delivery was suspended", n)
	}
	if err := in.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitMessages(t, s, 50)
	awaitQueued(t, in, 0)
}

// Dovecot keeps what LMTP brings, through a kill, and gives it out by POP3 and
// IMAP.
func TestTargetDovecot(t *testing.T) {
	in := startTarget(t, "dovecot", target.Need{Mailboxes: 3, TLS: true})
	fill := func(n int64) {
		g, err := load.New(load.Options{Address: in.LMTP(), LMTP: true, Conns: 3, Messages: n, Users: 3, Domains: load.DomainList("mail.bench.test")})
		if err != nil {
			t.Fatal(err)
		}
		if r := g.Run(t.Context()); r.Accepted != n || r.Err != nil {
			t.Fatalf("%d of %d accepted: %v", r.Accepted, n, r.Err)
		}
	}
	count := func() (n int) {
		for user := range 3 {
			name := "u" + strconv.Itoa(user) + "@mail.bench.test"
			pop := converse(t, in.POP3(), "USER "+name, "PASS secret", "STAT")
			if !strings.HasPrefix(pop, "+OK ") {
				t.Fatalf("STAT: %q", pop)
			}
			messages, _ := strconv.Atoi(strings.Fields(pop)[1])
			n += messages
			imap := converse(t, in.IMAP(), "a LOGIN "+name+" secret")
			if !strings.HasPrefix(imap, "a OK") && !strings.HasPrefix(imap, "* CAPABILITY") {
				t.Errorf("LOGIN: %q", imap)
			}
		}
		return n
	}
	fill(30)
	awaitQueued(t, in, 0)
	if n := count(); n != 30 {
		t.Errorf("%d messages in the mailboxes, want 30", n)
	}
	if err := in.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	pids := in.PIDs()
	if err := in.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
	if err := in.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	fill(6)
	if n := count(); n != 36 {
		t.Errorf("%d messages in the mailboxes after a kill, want 36", n)
	}
	pids = in.PIDs()
	if err := in.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
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
