package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/admin"
	"postrider/internal/admin/cli"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

var now = time.Date(2026, 11, 22, 21, 30, 0, 0, time.UTC)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

func due(d time.Duration) *time.Time {
	t := now.Add(d)
	return &t
}

func messages() []*admin.Message {
	return []*admin.Message{
		{ID: "01JDAVHRC0000G000008000003", Arrived: now.Add(-3 * time.Hour), From: "alice@isp.example", Size: 41231, NumRcpt: 3,
			Client: "198.51.100.7", Helo: "pc\x1b[31m.isp.example", Session: "7f3a", Listener: "127.0.0.1:2525", Protocol: "ESMTPS", TLS: "TLS1.3",
			Recipients: []admin.Recipient{
				{RID: 1, To: "bob@far.example", State: "deferred", Lane: "smtp:192.0.2.1:25", Attempts: 3, Due: due(12 * time.Minute), Code: 421, Enhanced: "4.7.0", Reply: "too many\u2028connections",
					Class: "rate_limit", Why: admin.NewWhy(admin.GateRetry, now.Add(-3*time.Minute), *due(12 * time.Minute), "")},
				{RID: 3, To: "carol@near.example", State: "ready", Lane: "pool-a google", Site: "google", Source: "pool-a", Flow: "alice\x1b", Band: "normal",
					Why: admin.NewWhy(admin.GateBreaker, now.Add(-time.Hour), *due(30 * time.Second), "421 4.7.0 try later\x1b")},
			}},
		{ID: "01JDAVHRC0000G000008000004", Arrived: now.Add(-50 * time.Hour), Size: 1_900_000_000, NumRcpt: 1,
			Recipients: []admin.Recipient{{RID: 1, To: "dave@far.example", State: "failed", Lane: "smtp:192.0.2.1:25", Attempts: 1, Code: 550, Enhanced: "5.1.1", Reply: "no such user"}}},
		{ID: "01JDAVHRC0000G000008000005", Arrived: now.Add(-5 * time.Second), From: "x@y.example", Size: 900, NumRcpt: 1,
			Recipients: []admin.Recipient{{RID: 1, To: "postmaster", State: "held", Lane: "hold"}}},
	}
}

func TestQueue(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		p := &cli.Printer{W: &out, JSON: asJSON, Now: now}
		var sum cli.Summary
		for _, m := range messages() {
			if err := p.Message(m); err != nil {
				t.Fatal(err)
			}
			sum.Add(m, now)
		}
		if err := errors.Join(
			p.Show(messages()[0]), p.Summary(&sum),
			p.Acted(admin.ActionDrop, admin.ActionResult{Matched: 3, Done: 3}),
			p.Acted(admin.ActionBounce, admin.ActionResult{Matched: 3, Done: 2, Skipped: 1}),
			p.Acted(admin.ActionHold, admin.ActionResult{Matched: 1, Done: 1}),
			p.Acted(admin.ActionRelease, admin.ActionResult{Matched: 1, Done: 1}),
			p.Acted(admin.ActionRetry, admin.ActionResult{Matched: 1, Done: 1}),
			preview(p, admin.ActionBounce, false), preview(p, admin.ActionDrop, true), preview(p, admin.ActionRetry, true),
		); err != nil {
			t.Fatal(err)
		}
		if asJSON {
			for line := range strings.Lines(out.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
			golden(t, "queue.jsonl", out.Bytes())
			continue
		}
		if strings.ContainsAny(out.String(), "\x1b\u2028") {
			t.Error("a terminal would act on it")
		}
		golden(t, "queue.txt", out.Bytes())
	}
}

func preview(p *cli.Printer, a admin.Action, dry bool) error {
	v := &cli.Preview{Action: a, DryRun: dry}
	for _, m := range messages() {
		v.Add(m, now)
	}
	return p.Preview(v)
}

func TestStatus(t *testing.T) {
	s := &admin.Status{
		Version: "1.0.0", Hostname: "mx1", PID: 42, Started: now.Add(-12 * 24 * time.Hour), ConfigPath: "/etc/postrider/postrider.toml",
		ConfigLoaded: now.Add(-time.Minute),
		Listeners:    []admin.ListenerStatus{{Address: "0.0.0.0:25", Service: "relay", Connections: 12, Messages: 20000}},
		Queue: []admin.StateCount{
			{State: "ready", Messages: 10, Recipients: 12, OldestSec: 0.5}, {State: "inflight"}, {State: "deferred"},
			{State: "held", Messages: 1, Recipients: 1, OldestSec: 86400},
		},
		QueueBytes: 123456, DiskFreeBytes: 181e9,
		Sites:  sites(),
		Ledger: admin.Ledger{Accepted: 20013, Ended: 20000, Queued: 13},
	}
	var out bytes.Buffer
	p := &cli.Printer{W: &out, Now: now}
	if code, err := p.Status(s); code != 0 || err != nil {
		t.Errorf("%d %v", code, err)
	}
	s.Problems = []admin.Problem{{Level: admin.LevelWarning, Text: "1 recipient is held"}}
	p.Color = true
	if code, err := p.Status(s); code != 1 || err != nil {
		t.Errorf("%d %v", code, err)
	}
	s.Problems = append(s.Problems, admin.Problem{Level: admin.LevelCritical, Text: "disk: full"})
	p.JSON = true
	if code, err := p.Status(s); code != 2 || err != nil {
		t.Errorf("%d %v", code, err)
	}
	golden(t, "status.txt", out.Bytes())
}

// A message's life reads from its acceptance to its end under one id, and an
// event that a crash doubled is counted once.
func TestLog(t *testing.T) {
	text, err := os.ReadFile("../../maillog/testdata/every.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	lines = append(lines, lines[6]) // delivered, again
	var out bytes.Buffer
	p := &cli.Printer{W: &out, Now: now}
	var life cli.Life
	for _, line := range lines {
		e, err := cli.ParseEvent([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		e.Time = e.Time.In(time.UTC)
		if err := p.Event(e, []byte(line)); err != nil || !strings.Contains(out.String(), e.Name) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%v: %q", err, out.String())
		}
		out.Reset()
		if (&cli.EventFilter{ID: "01jdavhrc0000g000008000003"}).Match(e, []byte(line)) || e.Of == "01JDAVHRC0000G000008000003" {
			life.Add(e, []byte(line))
		}
	}
	if err := p.Life(&life); err != nil {
		t.Fatal(err)
	}
	golden(t, "life.txt", out.Bytes())
	out.Reset()
	p.JSON = true
	if err := p.Life(&life); err != nil || strings.Count(out.String(), "\n") != 16 {
		t.Errorf("%v\n%s", err, out.String())
	}
	if _, err := cli.ParseEvent([]byte("{")); err == nil {
		t.Error("half a line is an event")
	}
}

func TestEventFilter(t *testing.T) {
	const line = `{"v":1,"ts":"2026-11-22T21:30:04.212345Z","ev":"deferred","node":"mx1","seq":8,"id":"01JDAVHRC0000G000008000003","rid":2,"from":"alice@isp.example","to":"bob@far.example","site":"mx","code":421,"enh":"4.7.0","reply":"too many"}`
	e, err := cli.ParseEvent([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range []cli.EventFilter{
		{}, {Event: "deferred"}, {From: "ALICE@isp.example"}, {FromDomain: "ISP.example", ToDomain: "far.example"}, {Code: 421, Enhanced: "4.7.*"},
		{Since: e.Time, Until: e.Time}, {Text: "too many"}, {Site: "mx", To: "bob@far.example", ID: e.ID},
	} {
		if !f.Match(e, []byte(line)) {
			t.Errorf("%d does not match", i)
		}
	}
	for i, f := range []cli.EventFilter{
		{Event: "delivered"}, {From: "bob@isp.example"}, {ToDomain: "isp.example"}, {Code: 420}, {Enhanced: "4.7"}, {Enhanced: "5.*"},
		{Since: e.Time.Add(1)}, {Until: e.Time.Add(-1)}, {Text: "few"}, {Client: "192.0.2.1"}, {Session: "1"}, {ID: "x"}, {Site: "local"},
	} {
		if f.Match(e, []byte(line)) {
			t.Errorf("%d matches", i)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for err, want := range map[error]int{nil: 0, errors.New("x"): 1, admin.ErrSelector: 2, admin.ErrNotFound: 3, admin.ErrNotRunning: 1} {
		if got := cli.ExitCode(err); got != want {
			t.Errorf("%v: %d", err, got)
		}
	}
	for r, want := range map[admin.ActionResult]int{{}: 3, {Matched: 2, Done: 2}: 0, {Matched: 2, Done: 1, Skipped: 1}: 4} {
		if got := cli.ActionExitCode(r); got != want {
			t.Errorf("%+v: %d", r, got)
		}
	}
}
