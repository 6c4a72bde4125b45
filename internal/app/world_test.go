package app_test

import (
	"context"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"postrider/bench/sink"
	"postrider/internal/app"
	"postrider/internal/config"
	"postrider/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// appliance is a running App with its folder.
type appliance struct {
	*app.App
	t    *testing.T
	dir  string
	file string
}

// configure writes a configuration; startIn gives its listeners a port of the system's
// choice; text is the rest of it.
func configure(t *testing.T, dir, text string) string {
	t.Helper()
	file := filepath.Join(dir, "postrider.toml")
	if err := os.WriteFile(file, []byte("version = 1\nhostname = \"mta.example.org\"\ndata_dir = \"data\"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const relayListener = "[[listener]]\naddress = \"127.0.0.1:2525\"\nservice = \"relay\"\n"

func start(t *testing.T, text string) *appliance {
	t.Helper()
	dir := t.TempDir()
	return startIn(t, dir, configure(t, dir, text), nil)
}

func startIn(t *testing.T, dir, file string, tweak func(*queue.Options)) *appliance {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Listeners {
		cfg.Listeners[i].Host = "127.0.0.1:0"
	}
	cfg.Mailboxes.Segment = 4 << 20
	smaller := func(o *queue.Options) {
		if o.SegmentBytes = 4 << 20; tweak != nil {
			tweak(o)
		}
	}
	a, err := app.Start(t.Context(), cfg, app.Options{Version: "test", Queue: smaller})
	if err != nil {
		t.Fatal(err)
	}
	ap := &appliance{App: a, t: t, dir: dir, file: file}
	t.Cleanup(func() { ap.stop() })
	return ap
}

// stop drains; a second call does nothing.
func (a *appliance) stop() {
	a.t.Helper()
	if a.App == nil {
		return
	}
	a.stopWithin(20 * time.Second)
}

// stopWithin drains for so long at most, and returns how long it took.
func (a *appliance) stopWithin(patience time.Duration) time.Duration {
	a.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.App.Stop(ctx, "test"); err != nil {
		a.t.Errorf("stop: %v", err)
	}
	a.App = nil
	return time.Since(began)
}

// hungDisk lets the syncs of segments wait while shut is set, until open is
// closed; hangs has a token when one has begun to wait.
type hungDisk struct {
	shut  atomic.Bool
	hangs chan struct{}
	open  chan struct{}
}

func (h *hungDisk) MaybeError(op errorfs.Op) error {
	if h.shut.Load() && op.Kind == errorfs.OpFileSyncData && strings.Contains(op.Path, ".seg") {
		select {
		case h.hangs <- struct{}{}:
		default:
		}
		<-h.open
	}
	return nil
}

func (h *hungDisk) String() string { return "hung disk" }

// events returns the lines of the event log that hold every one of parts.
func (a *appliance) events(parts ...string) []string {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, "data", "events.jsonl"))
	if err != nil {
		a.t.Fatal(err)
	}
	var lines []string
next:
	for line := range strings.Lines(string(text)) {
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue next
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// client is a hand-driven SMTP client.
type client struct {
	t    *testing.T
	conn net.Conn
	text *textproto.Conn
}

// dial connects from an address of loopback, so that a test can come from
// outside the trusted networks.
func (a *appliance) dial(from string) *client {
	a.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", a.Addresses()[0])
	if err != nil {
		a.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = conn.Close() })
	return &client{t: a.t, conn: conn, text: textproto.NewConn(conn)}
}

// reply reads one reply and returns its last line.
func (c *client) reply() string {
	c.t.Helper()
	for {
		line, err := c.text.ReadLine()
		if err != nil {
			c.t.Fatalf("reply: %v", err)
		}
		if len(line) < 4 || line[3] != '-' {
			return line
		}
	}
}

// say sends a line and returns the reply's last line.
func (c *client) say(line string) string {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
	return c.reply()
}

// want sends a line and fails unless the reply begins so.
func (c *client) want(line, reply string) string {
	c.t.Helper()
	got := c.say(line)
	if !strings.HasPrefix(got, reply) {
		c.t.Fatalf("%s: %q, want %q", line, got, reply)
	}
	return got
}

// hello reads the greeting and says EHLO.
func (c *client) hello() *client {
	c.t.Helper()
	if got := c.reply(); !strings.HasPrefix(got, "220 ") {
		c.t.Fatalf("greeting: %q", got)
	}
	c.want("EHLO client.example.org", "250 ")
	return c
}

// send sends one message and returns the id of the queue.
func (c *client) send(text string, rcpt ...string) string {
	c.t.Helper()
	c.want("MAIL FROM:<sender@example.org>", "250 ")
	for _, r := range rcpt {
		c.want("RCPT TO:<"+r+">", "250 ")
	}
	c.want("DATA", "354")
	got := c.want(text+"\r\n.", "250 2.0.0 queued as ")
	return strings.TrimPrefix(got, "250 2.0.0 queued as ")
}

// hop is a scripted next hop.
type hop struct {
	*sink.Server
	addr string
}

func newHop(t *testing.T, o sink.Options, rules ...sink.Rule) *hop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveHop(t, l, o, rules...)
}

func serveHop(t *testing.T, l net.Listener, o sink.Options, rules ...sink.Rule) *hop {
	t.Helper()
	script, err := sink.NewScript(rules...)
	if err != nil {
		t.Fatal(err)
	}
	o.Script = script
	h := &hop{Server: sink.New(o), addr: l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("next hop: %v", err)
		}
	})
	return h
}

// await asks every few milliseconds until ok; what was waited for is said when
// it does not come.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}
