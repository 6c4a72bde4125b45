//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manager is what a service manager is to the daemon: it holds the listening
// sockets and hears what the daemon says of itself.
type manager struct {
	t     *testing.T
	heard chan string
}

// asService lets r be started as a unit of type notify with those sockets.
func asService(t *testing.T, r *relay, sockets ...*os.File) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{t: t, heard: make(chan string, 1000)}
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return // closed below
			}
			m.heard <- string(buf[:n])
		}
	})
	t.Cleanup(func() { _ = c.Close(); reader.Wait() })
	r.env = append(r.env, "NOTIFY_SOCKET="+path, fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES=smtp:lmtp:other")
	r.files = sockets
	return m
}

// launch starts it; LISTEN_PID must be the daemon's own, which only a shell that
// becomes the daemon knows before.
func (m *manager) launch(r *relay) {
	r.launch("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`)
}

// next returns what is said next; signs of life are left out.
func (m *manager) next() string {
	m.t.Helper()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	for {
		select {
		case s := <-m.heard:
			if s != "WATCHDOG=1" {
				return s
			}
		case <-patience.C:
			m.t.Fatal("the daemon says nothing to its manager")
		}
	}
}

func (m *manager) expect(want string) {
	m.t.Helper()
	if got := m.next(); got != want {
		m.t.Fatalf("the daemon said %q, want %q", got, want)
	}
}

// socketFile returns a listening socket as a manager holds it.
func socketFile(t *testing.T, network, address string) (*os.File, string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // the file is a descriptor of its own
	t.Cleanup(func() { _ = f.Close() })
	return f, l.Addr().String()
}

// The daemon serves the sockets it inherits, TCP and unix, closes one that it has
// no use for, and tells its manager of each step of its life.
// Covers C2, N1.
func TestServiceManager(t *testing.T) {
	dir := t.TempDir()
	r := newRelay(t, dir, "hold", "[local]\ndomains = [\"isp.example\"]\n[[listener]]\naddress = \"unix:in.sock\"\nservice = \"lmtp\"\n")
	smtp, _ := socketFile(t, "tcp", r.addr)
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	lmtp, lmtpPath := socketFile(t, "unix", filepath.Join(dir, "data", "in.sock"))
	other, otherAddr := socketFile(t, "tcp", "127.0.0.1:0")
	r.env = []string{"WATCHDOG_USEC=100000"}
	m := asService(t, r, smtp, lmtp, other)
	m.launch(r)
	m.expect("READY=1")

	c := dialSMTP(t, "tcp", r.addr)
	c.say("EHLO client.example", "250")
	c.say("MAIL FROM:<a@example.org>", "250")
	u := dialSMTP(t, "unix", lmtpPath)
	u.say("LHLO client.example", "250")
	text, err := os.ReadFile(r.errLog)
	if err != nil || !strings.Contains(string(text), "an inherited socket is in no [[listener]]") || !strings.Contains(string(text), otherAddr) {
		t.Errorf("the socket without a listener is not told of: %v\n%s", err, text)
	}
	if got := <-m.heard; got != "WATCHDOG=1" {
		t.Errorf("instead of a sign of life: %q", got)
	}

	good, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{string(good), "nonsense = true\n" + string(good)} {
		if err := os.WriteFile(r.config, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		before := monotonicMicro(t)
		r.signal(syscall.SIGHUP)
		said := m.next()
		at, ok := strings.CutPrefix(said, "RELOADING=1\nMONOTONIC_USEC=")
		n, err := strconv.ParseInt(at, 10, 64)
		if !ok || err != nil || n < before || n > monotonicMicro(t) {
			t.Errorf("as a reload began: %q", said)
		}
		m.expect("READY=1")
	}
	c.say("RSET", "250") // it has lived through both

	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.expect("STOPPING=1")
	if err := <-r.exited; err != nil {
		t.Errorf("the exit: %v", err)
	}
}

func monotonicMicro(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// Restarts under load on a socket that the manager holds: nobody is refused, who
// comes in the gap is served by the next process, and what got its 250 is there.
// Covers C2, G1.
func TestRestartRefusesNobody(t *testing.T) {
	r := newRelay(t, t.TempDir(), "hold", "")
	socket, addr := socketFile(t, "tcp", r.addr)
	m := asService(t, r, socket)
	m.launch(r)
	m.expect("READY=1")

	var clients sync.WaitGroup
	var served, farewells atomic.Int64
	var acked sync.Map
	stop := make(chan struct{})
	for range 16 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch id, err := sendOnce(addr); {
				case err != nil:
					t.Errorf("a client: %v", err)
					return
				case id == "":
					farewells.Add(1)
				default:
					acked.Store(id, true)
					served.Add(1)
				}
			}
		})
	}
	const restarts = 5
	for range restarts {
		goal := served.Load() + 100
		if !await(20*time.Second, func() bool { return served.Load() >= goal }) {
			t.Fatal("clients are not served")
		}
		if code := r.signal(syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
		m.expect("STOPPING=1")
		c, err := net.Dial("tcp", addr) // nobody is there
		if err != nil {
			t.Fatalf("in the gap: %v", err)
		}
		m.launch(r)
		inGap := wrapSMTP(t, c)
		inGap.say("EHLO gap.example", "250")
		_ = c.Close()
		m.expect("READY=1")
	}
	close(stop)
	clients.Wait()
	list, _ := r.command("queue", "list", "--json")
	lost := 0
	acked.Range(func(id, _ any) bool {
		if !strings.Contains(list, id.(string)) {
			lost++
		}
		return true
	})
	if lost > 0 {
		t.Errorf("%d of %d acknowledged messages are not in the queue", lost, served.Load())
	}
	t.Logf("%d restarts: %d messages accepted, %d sessions told 421 to come back", restarts, served.Load(), farewells.Load())
	r.signal(syscall.SIGTERM)
}
