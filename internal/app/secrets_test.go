package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postrider/bench/sink"
	"postrider/internal/app"
	"postrider/internal/auth"
	hashing "postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
	"postrider/internal/config"
	"postrider/internal/maillog"
)

// What the users of these tests know. Each stands nowhere but in a login.
const (
	goodPassword  = "correct-horse-7f3a"
	wrongPassword = "battery-staple-91bc"
	appPassword   = "staple-of-the-horse-55d2"
	bearerToken   = "ya29.token-e5c1f00d"
)

// traces are the forms in which a secret can stand in a text: as it is, in quotes of
// JSON, and the part of its base64 that does not depend on what stands around it.
func traces(secret string) []string {
	list := []string{secret}
	for pad := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:pad] + secret))
		list = append(list, text[[]int{0, 2, 3}[pad]:len(text)-2])
	}
	return list
}

// buffer is an output that several goroutines write.
type buffer struct {
	mu   sync.Mutex // guards following
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// addUser writes a user to the file that startIn's configuration has by default.
func addUser(t *testing.T, dir, name, password string) {
	t.Helper()
	hash, err := hashing.Hash([]byte(password))
	if err == nil {
		err = userfile.Change(filepath.Join(dir, "users"), func(e *userfile.Edit) error { return e.Put(&auth.Entry{Name: name, Hash: hash}) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// plain is the response of PLAIN.
func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// No login leaves a trace of what it was made with: not in the event log, the
// diagnostics at their most talkative, the metrics, the operator's answers, notices
// to senders or the queue's files; however the login ends, and whatever a client says
// that takes itself for being in one.
//
// Covers HR5, HS17.
func TestSecretsLeaveNoTrace(t *testing.T) {
	dir := t.TempDir()
	h := newHop(t, sink.Options{}, sink.Rule{At: sink.AtRcpt, Domain: "never.example", Reply: "550 5.1.1 nobody"})
	addUser(t, dir, "alice@here.example", goodPassword)
	file := configure(t, dir, `[[listener]]
address = "127.0.0.1:587"
service = "submission"
tls = "off"
[[listener]]
address = "127.0.0.1:110"
service = "pop3"
tls = "off"
[local]
domains = ["here.example"]
[users]
delay = "0s"
[limits]
login_failures_per_client = 1000
login_failures_per_account = 1000
login_failures_per_network = 1000
[log]
level = "debug"
sessions = true
`+route("here.example", "smtp:"+h.addr)+route("*", "smtp:"+h.addr))
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Listeners {
		cfg.Listeners[i].Host = "127.0.0.1:0"
	}
	var diagnostics buffer
	diag, err := maillog.Diagnostics(&diagnostics, cfg.Log.Level, false)
	if err != nil {
		t.Fatal(err)
	}
	started, err := app.Start(t.Context(), cfg, app.Options{Version: "test", Diagnostics: diag})
	if err != nil {
		t.Fatal(err)
	}
	a := &appliance{App: started, t: t, dir: dir, file: file}
	t.Cleanup(a.stop)

	for _, lines := range loginFlows() {
		c := a.dial("127.0.0.1").hello()
		for _, line := range lines {
			if got, err := c.tell(line); err != nil || got == "" {
				break // the server has had enough
			}
		}
		_ = c.conn.Close()
	}
	a.tryPOP3()
	c := a.dial("127.0.0.1").hello()
	c.want("AUTH PLAIN "+plain("alice", goodPassword), "235 ")
	c.want("MAIL FROM:<alice@here.example> AUTH=<> RET=FULL", "250 ")
	c.want("RCPT TO:<u@never.example>", "250 ")
	c.want("RCPT TO:<u@far.example> NOTIFY=SUCCESS", "250 ")
	c.want("DATA", "354")
	id := strings.TrimPrefix(c.want("Subject: x\r\n\r\nx\r\n.", "250 "), "250 2.0.0 queued as ")
	await(t, "all ended, with notices", func() bool { return a.Engine().Ledger().Queued == 0 })
	if err := a.Reload(); err != nil {
		t.Error(err)
	}

	found := map[string]string{"metrics": a.scrape(), "diagnostics": diagnostics.String()}
	for _, path := range []string{
		"/livez", "/readyz", "/api/v1/status", "/api/v1/queue", "/api/v1/messages/" + id, "/api/v1/messages/" + id + "/raw",
		"/api/v1/explain?sender=alice@here.example&recipient=u@far.example", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2",
	} {
		found["admin "+path] = a.ask(path)
	}
	a.stop() // events are in the file within a second, or with this
	events := strings.Join(a.events(), "")
	if !strings.Contains(events, `"ev":"login_failed"`) || !strings.Contains(events, `"ev":"login"`) || !strings.Contains(events, `"service":"pop3"`) || !strings.Contains(events, `"cmd":"auth"`) {
		t.Errorf("the flows left no events:\n%.2000s", events)
	}
	if err := filepath.WalkDir(filepath.Join(dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(found) < 15 {
		t.Errorf("only %d places to look at", len(found))
	}
	for place, text := range found {
		for _, secret := range []string{goodPassword, wrongPassword, appPassword, bearerToken} {
			for _, trace := range traces(secret) {
				if i := strings.Index(text, trace); i >= 0 {
					t.Errorf("%s has a trace of %q: %q", place, secret, text[max(0, i-80):min(len(text), i+80)])
				}
			}
		}
	}
}

// tell sends a line and returns the reply's last line, or why there is none.
func (c *client) tell(line string) (string, error) {
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return "", err
	}
	for {
		got, err := c.text.ReadLine()
		if err != nil || len(got) < 4 || got[3] != '-' {
			return got, err
		}
	}
}

// ask returns what the operator's interface answers to GET.
func (a *appliance) ask(path string) string {
	a.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(a.dir, "data", "admin.sock"))
	}}}
	resp, err := c.Get("http://localhost" + path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}
