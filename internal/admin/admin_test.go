package admin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"postrider/internal/admin"
	"postrider/internal/certs"
	"postrider/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queue is a queue of n messages in memory.
type queue struct {
	doubt  bool
	n      int
	fail   error // given after the first message
	acted  []admin.Selector
	reason string
}

func id(i int) mail.ID { return mail.MakeID(1732310000000, 1, 7, uint32(i)) }

func (q *queue) List(ctx context.Context, s admin.Selector, yield func(*admin.Message) bool) error {
	for i := range q.n {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(s.IDs) > 0 && s.IDs[0] != id(i) || id(i).Compare(s.After) <= 0 && !s.After.IsZero() {
			continue
		}
		if s.Limit > 0 && i >= s.Limit {
			return nil
		}
		m := admin.Message{ID: id(i).String(), From: "a@b.example", Size: 7, NumRcpt: 1,
			Recipients: []admin.Recipient{{RID: 1, To: "u@ext.example", State: "deferred", Lane: "mx"}}}
		if !yield(&m) {
			return nil
		}
		if q.fail != nil {
			return q.fail
		}
	}
	return nil
}

func (q *queue) Raw(_ context.Context, want mail.ID) (io.ReadCloser, int64, error) {
	switch want {
	case id(0):
		return io.NopCloser(strings.NewReader("Subject: x\r\n\r\nsecret\r\n")), 22, nil
	case id(1): // a text that turns out damaged half way
		return io.NopCloser(strings.NewReader("Subj")), 22, nil
	}
	return nil, 0, admin.ErrNotFound
}

func (q *queue) ConfirmClock() (bool, error) {
	was := q.doubt
	q.doubt = false
	return was, nil
}

func (q *queue) Act(_ context.Context, a admin.Action, s admin.Selector, actor, reason string) (admin.ActionResult, error) {
	q.acted = append(q.acted, s)
	q.reason = string(a) + " by " + actor + ": " + reason
	return admin.ActionResult{Matched: 3, Done: 2, Skipped: 1}, nil
}

func start(t *testing.T, o admin.Options) *admin.Server {
	t.Helper()
	if o.Queue == nil {
		o.Queue = &queue{n: 3}
	}
	if o.Checks == nil {
		o.Checks = func() []admin.Check { return []admin.Check{{Name: "store", OK: true}} }
	}
	o.Status = func() admin.Status { return admin.Status{Version: "1", Hostname: "mx1"} }
	o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "postrider_build_info 1\n") })
	s, err := admin.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestClient(t *testing.T) {
	q := &queue{n: 3}
	socket := filepath.Join(t.TempDir(), "data", "admin.sock")
	checks := []admin.Check{{Name: "store", OK: true}}
	start(t, admin.Options{Socket: socket, Queue: q, Checks: func() []admin.Check { return checks }})
	c, ctx := admin.NewClient(socket), t.Context()

	if s, err := c.Status(ctx); err != nil || s.Hostname != "mx1" {
		t.Errorf("status: %+v, %v", s, err)
	}
	if _, ok, err := c.Ready(ctx); !ok || err != nil {
		t.Errorf("ready: %v %v", ok, err)
	}
	checks = append(checks, admin.Check{Name: "disk", Reason: "full"})
	if got, ok, err := c.Ready(ctx); ok || err != nil || len(got) != 2 || got[1].Reason != "full" {
		t.Errorf("not ready: %v %v %v", got, ok, err)
	}
	var ids []string
	err := c.Queue(ctx, admin.Selector{After: id(0)}, func(m *admin.Message) bool {
		ids = append(ids, m.ID)
		return true
	})
	if err != nil || len(ids) != 2 || ids[0] != id(1).String() {
		t.Errorf("queue: %v, %v", ids, err)
	}
	if m, err := c.Message(ctx, id(2)); err != nil || m.ID != id(2).String() || m.Recipients[0].To != "u@ext.example" {
		t.Errorf("message: %+v, %v", m, err)
	}
	if _, err := c.Message(ctx, id(9)); !errors.Is(err, admin.ErrNotFound) {
		t.Errorf("unknown message: %v", err)
	}
	var text bytes.Buffer
	if err := c.Raw(ctx, id(0), &text); err != nil || !strings.Contains(text.String(), "secret") {
		t.Errorf("raw: %q, %v", text.String(), err)
	}
	if err := c.Raw(ctx, id(1), io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a text cut short: %v", err)
	}
	if err := c.Raw(ctx, id(9), io.Discard); !errors.Is(err, admin.ErrNotFound) {
		t.Errorf("raw of nothing: %v", err)
	}
	q.doubt = true
	if err := c.ConfirmClock(ctx); err != nil || q.doubt {
		t.Errorf("the clock is confirmed: %v", err)
	}
	if err := c.ConfirmClock(ctx); !errors.Is(err, admin.ErrNotFound) {
		t.Errorf("a clock that nobody doubts: %v", err)
	}
	q.fail = errors.New("disk is on fire")
	if err := c.Queue(ctx, admin.Selector{}, func(*admin.Message) bool { return true }); err == nil || err.Error() != "disk is on fire" {
		t.Errorf("a listing that fails half way: %v", err)
	}
	if _, err := admin.NewClient(filepath.Join(t.TempDir(), "none")).Status(ctx); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("no daemon: %v", err)
	}
}

// Every action needs a selector that selects, and those that take mail away a reason.
func TestActions(t *testing.T) {
	q := &queue{n: 3}
	socket := filepath.Join(t.TempDir(), "s")
	start(t, admin.Options{Socket: socket, Queue: q})
	c, ctx := admin.NewClient(socket), t.Context()
	want := admin.Selector{ToDomain: "exmaple.example"}
	for _, a := range admin.Actions() {
		q.acted = nil
		r, err := c.Act(ctx, a, want, false, "root", "a typo")
		if err != nil || r.Done != 2 || q.reason != string(a)+" by root: a typo" || !reflect.DeepEqual(q.acted, []admin.Selector{want}) {
			t.Errorf("%s: %+v, %v, %+v", a, r, err, q)
		}
		if _, err := c.Act(ctx, a, admin.Selector{Limit: 5}, false, "root", "oops"); !errors.Is(err, admin.ErrSelector) || len(q.acted) != 1 {
			t.Errorf("%s of everything: %v", a, err)
		}
		if _, err := c.Act(ctx, a, want, false, "root", ""); errors.Is(err, admin.ErrSelector) != a.NeedsReason() {
			t.Errorf("%s without a reason: %v", a, err)
		}
		if _, err := c.Act(ctx, a, admin.Selector{}, true, "root", "start over"); err != nil {
			t.Errorf("%s of everything that is meant: %v", a, err)
		}
	}
	if _, err := c.Act(ctx, "eat", want, false, "root", "hungry"); err == nil {
		t.Error("an action that there is not was done")
	}
}

// An action fits those in the states that it changes.
func TestActionsFit(t *testing.T) {
	for a, want := range map[admin.Action]string{
		admin.ActionRetry: "deferred", admin.ActionHold: "ready inflight deferred", admin.ActionRelease: "held quarantined",
		admin.ActionBounce: "ready inflight deferred held quarantined", admin.ActionDrop: "ready inflight deferred held failed quarantined", "eat": "",
	} {
		var fit []string
		for _, state := range admin.States() {
			if a.Fits(&admin.Recipient{State: state}) {
				fit = append(fit, state)
			}
		}
		if got := strings.Join(fit, " "); got != want {
			t.Errorf("%s fits %q, want %q", a, got, want)
		}
	}
	if r := (admin.Recipient{State: "ready", Why: &admin.Why{Gate: admin.GateDNS}}); !admin.ActionRetry.Fits(&r) {
		t.Error("what waits for DNS can not be retried")
	}
}

func TestSelectorRoundTrip(t *testing.T) {
	word := rapid.StringMatching(`[a-z0-9.@*]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		s := admin.Selector{
			From: word.Draw(t, "from"), FromDomain: word.Draw(t, "from_domain"), To: word.Draw(t, "to"), ToDomain: word.Draw(t, "to_domain"),
			Lane: word.Draw(t, "lane"), Enhanced: word.Draw(t, "enhanced"),
			State: rapid.SampledFrom(append(admin.States(), "")).Draw(t, "state"),
			Code:  rapid.IntRange(0, 599).Draw(t, "code"), MinAttempts: rapid.IntRange(0, 99).Draw(t, "attempts"),
			MinSize: rapid.Int64Range(0, 1<<40).Draw(t, "size"), Limit: rapid.IntRange(0, 99).Draw(t, "limit"),
			OlderThan: time.Duration(rapid.IntRange(0, 1e9).Draw(t, "older")) * time.Millisecond,
			NewerThan: time.Duration(rapid.IntRange(0, 1e9).Draw(t, "newer")) * time.Millisecond,
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "ids") {
			s.IDs = append(s.IDs, id(i))
		}
		got, err := admin.ParseSelector(s.Values())
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%+v came back as %+v, %v", s, got, err)
		}
	})
	for _, bad := range []map[string][]string{
		{"to_domian": {"x"}}, {"id": {"x"}}, {"state": {"asleep"}}, {"code": {"-1"}}, {"older": {"5"}}, {"from": {"a", "b"}}, {"limit": {"99999999999"}},
	} {
		if _, err := admin.ParseSelector(bad); !errors.Is(err, admin.ErrSelector) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// The socket is its owner's alone, over TCP there is less, and nothing there for
// other sites' pages.
//
// Covers HP3.
func TestWhoMayDoWhat(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	s := start(t, admin.Options{Socket: socket, HTTP: "127.0.0.1:0", Token: "let-me-in"})
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("socket: %v, %v", info.Mode(), err)
	}
	const (
		figures = "/metrics /livez /readyz /api/v1/status"
		content = "/api/v1/queue /api/v1/messages/ID /api/v1/messages/ID/raw POST:/api/v1/queue/drop?to=u@ext.example&reason=x POST:/api/v1/queue/hold?to=u@ext.example&reason=x"
		profile = "/debug/pprof/ /debug/pprof/cmdline /debug/pprof/goroutine?debug=1"
	)
	tcp := "http://" + s.Addr().String()
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	unix := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for _, c := range []struct {
		name    string
		client  *http.Client
		base    string
		host    string
		headers string
		paths   string
		want    int
	}{
		{"socket", unix, "http://localhost", "", "", figures + " " + content + " " + profile, 200},
		{"tcp", direct, tcp, "", "", figures, 200},
		{"tcp without token", direct, tcp, "", "", content, 401},
		{"tcp with a wrong token", direct, tcp, "", "Authorization: Bearer let-me-in-", content, 401},
		{"tcp with a password", direct, tcp, "", "Authorization: Basic let-me-in", content, 401},
		{"tcp with the token", direct, tcp, "", "Authorization: Bearer let-me-in", figures + " " + content, 200},
		{"profiles over tcp", direct, tcp, "", "Authorization: Bearer let-me-in", profile, 404},
		{"localhost", direct, tcp, "localhost:80", "", figures, 200},
		{"a rebound name", direct, tcp, "evil.example", "Authorization: Bearer let-me-in", figures + " " + content, 421},
		{"a page of another site", direct, tcp, "", "Origin: https://evil.example", figures, 403},
		{"a sandboxed page", direct, tcp, "", "Origin: null", figures, 403},
		{"a link of another site", direct, tcp, "", "Sec-Fetch-Site: cross-site", figures, 403},
		{"an own page", direct, tcp, "", "Origin: " + tcp, figures, 200},
		{"a huge header", direct, tcp, "", "X-Big: " + strings.Repeat("x", 200_000), "/livez", 431},
	} {
		for path := range strings.SplitSeq(c.paths, " ") {
			method := http.MethodGet
			if p, ok := strings.CutPrefix(path, "POST:"); ok {
				method, path = http.MethodPost, p
			}
			req, err := http.NewRequestWithContext(t.Context(), method, c.base+strings.ReplaceAll(path, "ID", id(0).String()), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = c.host
			if key, value, ok := strings.Cut(c.headers, ": "); ok {
				req.Header.Set(key, value)
			}
			resp, err := c.client.Do(req)
			if err != nil {
				t.Fatalf("%s: %s: %v", c.name, path, err)
			}
			body, err := io.ReadAll(resp.Body)
			if err = errors.Join(err, resp.Body.Close()); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.want {
				t.Errorf("%s: %s %s: %d, want %d", c.name, method, path, resp.StatusCode, c.want)
			}
			if c.want != 200 && bytes.Contains(body, []byte("example")) {
				t.Errorf("%s: %s: a refusal shows %q", c.name, path, body)
			}
		}
	}
}

// Beyond loopback there is no serving without TLS and a token.
//
// Covers HP3.
func TestTCPBeyondLoopback(t *testing.T) {
	store, err := certs.Open(certs.Options{Hostname: "mx1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []admin.Options{
		{HTTP: "0.0.0.0:0"}, {HTTP: "0.0.0.0:0", Token: "t"}, {HTTP: "[::]:0", TLS: store.Config()}, {HTTP: ":0"},
	} {
		if s, err := admin.Start(o); err == nil {
			t.Errorf("%+v starts", o)
			_ = s.Close(t.Context())
		}
	}
	s := start(t, admin.Options{HTTP: "0.0.0.0:0", Token: "t", TLS: store.Config()})
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for token, want := range map[string]int{"": 401, "t": 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+port+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("token %q: %d", token, resp.StatusCode)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A socket that a crash left is replaced, one that is served is not, and what is
// no socket stays.
func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if s, err := admin.Start(admin.Options{Socket: path}); err == nil {
		t.Error("a socket in use was taken")
		_ = s.Close(t.Context())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, admin.Options{Socket: path})
	if _, err := admin.NewClient(path).Status(t.Context()); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Start(admin.Options{Socket: file}); err == nil {
		t.Error("a file was taken for a socket")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "x" {
		t.Error("the file is gone")
	}
}

// A path that is too long for a socket is told as what it is.
func TestLongSocketPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("s", 108))
	s, err := admin.Start(admin.Options{Socket: path})
	if err == nil {
		_ = s.Close(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "at most 107 bytes") {
		t.Errorf("%v", err)
	}
}

// A long listing is streamed: its reader can stop after the first line.
func TestListingIsStreamed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	start(t, admin.Options{Socket: socket, Queue: &queue{n: 5_000_000}})
	n := 0
	if err := admin.NewClient(socket).Queue(t.Context(), admin.Selector{}, func(*admin.Message) bool { n++; return n < 10 }); err != nil || n != 10 {
		t.Errorf("%d messages, %v", n, err)
	}
	if fmt.Sprint(admin.LevelWarning) != "warning" {
		t.Error("levels have no names")
	}
}
