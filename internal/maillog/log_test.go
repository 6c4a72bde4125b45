package maillog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"postrider/internal/mail"
	"postrider/internal/maillog"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

func open(t testing.TB, o maillog.Options) *maillog.Log {
	t.Helper()
	if o.Node == "" {
		o.Node = "mx1"
	}
	l, err := maillog.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func closed(t testing.TB, l *maillog.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// every writes one of each event.
func every(l *maillog.Log, env *mail.Envelope) {
	s := maillog.Session{
		ID: env.Session, Client: netip.MustParseAddrPort("198.51.100.7:4711"), Helo: env.Helo,
		Listener: "127.0.0.1:2525", Protocol: env.Protocol, TLS: "TLS1.3", User: []byte("alice"),
	}
	attempt := maillog.Attempt{
		Envelope: env, Recipient: 1, Number: 2, Site: "smtp:192.0.2.1:25", Command: "data",
		Status: mail.NewStatus(250, 2, 0, 0, "OK 1700"), Wait: 4 * time.Millisecond,
		Remote: mail.Remote{Host: "192.0.2.1:25", Addr: netip.MustParseAddrPort("192.0.2.1:25"), TLS: "TLS1.3", Session: 0x9c02, Reused: true,
			Source: "pool-a", Cipher: "TLS_AES_128_GCM_SHA256", TLSPolicy: "verify", TLSVerdict: "verified"},
		Timings: mail.Timings{DNS: 200 * time.Microsecond, Connect: 61 * time.Millisecond, TLS: 44100 * time.Microsecond, SMTP: 38 * time.Millisecond, Data: 1234567 * time.Microsecond},
	}
	l.Start("1.0.0", 42)
	l.ConfigLoaded("/etc/postrider/postrider.toml")
	l.ConfigRejected("/etc/postrider/postrider.toml", errors.New("a.toml:1:1: unknown key\nb"))
	l.SessionOpen(&s)
	l.Rejected(&maillog.Rejection{Session: s, Command: "RCPT", From: env.Sender, To: []byte("u@ext.example"), Rule: "relay",
		Status: mail.NewStatus(550, 5, 7, 1, "relaying denied")})
	l.Accepted(env, 3100*time.Microsecond, 2*time.Millisecond)
	l.Delivered(&attempt)
	deferred := attempt
	deferred.Status = mail.NewStatus(421, 4, 7, 0, "too many connections")
	deferred.Class, deferred.Next = mail.ClassRate, time.UnixMicro(env.ArrivedMicro).Add(5*time.Minute)
	deferred.Flow, deferred.Gate = "alice", "window"
	l.Deferred(&deferred)
	failed := attempt
	failed.Status = mail.NewStatus(550, 5, 1, 1, "no such user")
	failed.Class = mail.ClassNoUser
	l.Failed(&failed)
	notices(l, env, failed)
	l.Held(&maillog.Attempt{Envelope: env, Site: "hold", Rule: "hold"})
	l.Quarantined(&maillog.Attempt{ID: env.ID, Recipient: 0})
	l.Released(&maillog.Attempt{ID: env.ID, Recipient: 0, Actor: "root", Reason: "looked at"})
	l.Retried(&maillog.Attempt{ID: env.ID, Recipient: 1, Actor: "root"})
	l.Dropped(&maillog.Attempt{Envelope: env, Site: "discard", Rule: "discard"})
	l.Dropped(&maillog.Attempt{ID: env.ID, Recipient: 1, Actor: "root", Reason: "typo domain, ticket 4711"})
	l.Store("stall", errors.New("sync took 12 s"))
	l.Panic(&s, "index out of range", []byte("goroutine 1\n\tx.go:1\n"))
	l.Login(&maillog.Login{Session: env.Session, Client: s.Client.Addr(), Service: "smtp", Mechanism: "PLAIN", User: "alice@here.example", TLS: true,
		Result: "ok", Cached: true, Took: 40 * time.Microsecond})
	l.Login(&maillog.Login{Session: env.Session, Client: s.Client.Addr(), Service: "pop3", Mechanism: "USER", User: "alice@here.example",
		Result: "unavailable", Took: 5 * time.Second, Delay: time.Second, Err: errors.New("the database does not answer")})
	l.SessionClose(&s, "quit", 1, 1500*time.Millisecond)
	l.Stop("SIGTERM")
}

// notices writes the events of what senders are told, and of sites.
func notices(l *maillog.Log, env *mail.Envelope, failed maillog.Attempt) {
	failed.Notice = mail.MakeID(1732310000001, 1, 2, 4)
	l.DSN(&maillog.Notice{ID: failed.Notice, Of: env, Kind: "failure", Recipients: 1, SizeBytes: 2345})
	l.Bounced(&failed)
	failed.Status, failed.Class = mail.NewStatus(554, 5, 4, 7, "expired, last: 451 4.4.1 no connection"), mail.ClassConnection
	l.Expired(&failed)
	failed.Next = time.UnixMicro(env.ArrivedMicro).Add(time.Hour)
	l.Delayed(&failed)
	l.DSN(&maillog.Notice{Of: env, Kind: "failure", Recipients: 2, Rule: "backscatter"})
	since := time.UnixMicro(env.ArrivedMicro)
	change := maillog.SiteChange{
		Site: "google", Source: "pool-a", Provider: "google", Gate: "breaker", Class: mail.ClassRate, Ready: 812,
		Status: mail.NewStatus(421, 4, 7, 0, "try again later"), Until: since.Add(time.Minute),
		Remote: mail.Remote{Host: "mx1.google.example", Addr: netip.MustParseAddrPort("192.0.2.9:25")},
	}
	l.Suspended(&change)
	change.Until, change.Since = time.Time{}, since
	l.Resumed(&change)
	l.Limited(&maillog.SiteChange{Site: "google", Flow: "alice", Gate: "window", Limit: 3.5, Actor: "root", Reason: "ticket 4712"})
}

func envelope() *mail.Envelope {
	env, _ := sampleAttempt()
	env.ArrivedMicro = time.Date(2026, 11, 22, 21, 30, 4, 0, time.UTC).UnixMicro()
	env.AddRecipient([]byte("bob@far.example"), 0, nil)
	return env
}

// Each event is one line of JSON that stands alone, with the version first, a
// number without gaps, and the message's id in every line about it. What became of
// an attempt says how the connection was protected.
//
// Covers O1, S6.
func TestEveryEvent(t *testing.T) {
	at := time.Date(2026, 11, 22, 21, 30, 4, 212345678, time.UTC)
	var out bytes.Buffer
	l := open(t, maillog.Options{Output: &out, Sessions: true, Clock: func() time.Time { at = at.Add(250 * time.Millisecond); return at }})
	every(l, envelope())
	closed(t, l)
	const name = "testdata/every.jsonl"
	if *rewrite {
		if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got:\n%s", out.Bytes())
	}
	for i, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !strings.HasPrefix(line, `{"v":1,"ts":"2026-11-22T21:30:`) || e["seq"] != float64(i+1) || e["node"] != "mx1" {
			t.Errorf("line %d: %s", i, line)
		}
		switch e["ev"] {
		case "delivered", "deferred", "bounced":
			if e["tls"] != "TLS1.3" || e["tls_cipher"] != "TLS_AES_128_GCM_SHA256" || e["tls_policy"] != "verify" || e["tls_verdict"] != "verified" {
				t.Errorf("without the facts of TLS: %s", line)
			}
		}
		if _, about := e["rid"]; about && e["id"] != envelope().ID.String() {
			t.Errorf("no id: %s", line)
		}
	}
}

// Whatever a stranger says, an event is one line, is JSON, holds nothing that a
// terminal or a line-based reader acts on, and gives the text back.
//
// Covers HG1, G8.
func FuzzOneEventIsOneLine(f *testing.F) {
	for _, s := range []string{
		"plain", "a\r\nb", "\x1b[2J\x1b]0;x\x07", "\u2028\u2029\u0085", "\xff\xfe\x80", `"\`, "\x00\x7f", "\u202edrow",
		`","ev":"accepted","id":"`, "\xe2\x80", "\xf0\x9f\x98\x80", "\ufeff",
	} {
		f.Add([]byte(s))
	}
	var out bytes.Buffer
	l := open(f, maillog.Options{Output: &out})
	f.Fuzz(func(t *testing.T, s []byte) {
		out.Reset()
		l.Rejected(&maillog.Rejection{
			Session: maillog.Session{Helo: s, User: s, Listener: string(s)}, From: s, To: s,
			Status: mail.Status{Code: 500, Text: s}, Command: "EHLO", Rule: "syntax",
		})
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		line, ok := strings.CutSuffix(out.String(), "\n")
		if !ok || !utf8.ValidString(line) {
			t.Fatalf("%q", out.String())
		}
		for _, r := range line {
			if unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%U in %q", r, line)
			}
		}
		var e struct {
			Ev, Helo, User, To, Reply string
			From                      *string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want := string([]rune(string(s)))
		if e.Ev != "rejected" || e.Helo != want || e.User != want || e.To != want || e.Reply != want || len(s) > 0 && *e.From != want {
			t.Fatalf("%q came back as %+v", s, e)
		}
	})
}

// lines reads the events of a log's files and checks their numbers.
func lines(t *testing.T, path string) (seqs []uint64) {
	t.Helper()
	if err := maillog.Scan(t.Context(), path, func(line []byte) bool {
		var e struct{ Seq uint64 }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seqs = append(seqs, e.Seq)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return seqs
}

func consecutive(t *testing.T, seqs []uint64, first, last uint64) {
	t.Helper()
	if len(seqs) == 0 || seqs[0] != first || seqs[len(seqs)-1] != last || uint64(len(seqs)) != last-first+1 {
		t.Fatalf("%d numbers: %v, want %d to %d", len(seqs), seqs, first, last)
	}
	for i, n := range seqs {
		if n != first+uint64(i) {
			t.Fatalf("number %d at place %d", n, i)
		}
	}
}

// Numbers go on over restarts and rotations, and a line that a crash tore is cut
// off.
//
// Covers O1.
func TestNumbersHaveNoGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "events.jsonl")
	o := maillog.Options{Path: path, RotateBytes: 2000}
	n := uint64(0)
	for range 4 {
		l := open(t, o)
		for range 30 {
			l.Stop("test")
			n++
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, l)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(`{"v":1,"ts":"2026-11-22T21:30:04.212345Z","ev":"del`); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, open(t, o))
	consecutive(t, lines(t, path), 1, n)
	files, err := maillog.Files(path)
	if err != nil || len(files) < 4 || files[len(files)-1] != path {
		t.Errorf("files %v, %v", files, err)
	}
	// A current file that is empty goes on from the one before.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	l := open(t, o)
	if got := l.Stats().Events; got == 0 || got > n {
		t.Errorf("after an empty file the last event is %d", got)
	}
}

func TestOldFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	for name, o := range map[string]maillog.Options{
		"keep":  {RotateBytes: 1000, Keep: 2},
		"total": {RotateBytes: 1000, TotalBytes: 4000},
	} {
		o.Path = filepath.Join(dir, name, "events.jsonl")
		if err := os.MkdirAll(filepath.Dir(o.Path), 0o750); err != nil {
			t.Fatal(err)
		}
		foreign := filepath.Join(filepath.Dir(o.Path), "events-of-mine.jsonl")
		if err := os.WriteFile(foreign, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, o)
		for range 200 {
			l.Stop("test")
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, l)
		files, err := maillog.Files(o.Path)
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			total += info.Size()
		}
		if o.Keep > 0 && len(files) != o.Keep+1 || o.TotalBytes > 0 && (total > o.TotalBytes || total < o.TotalBytes/2) {
			t.Errorf("%s: %d files of %d bytes", name, len(files), total)
		}
		seqs := lines(t, o.Path)
		consecutive(t, seqs, seqs[0], 200)
		if _, err := os.Stat(foreign); err != nil {
			t.Errorf("%s: a file that is not ours: %v", name, err)
		}
	}
}

// A log that was moved away is begun anew, and no event falls between the two.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	l := open(t, maillog.Options{Path: path})
	l.Stop("1")
	if err := l.Reopen(); err != nil { // nothing was moved
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Stop("2")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Stop("3")
	closed(t, l)
	consecutive(t, lines(t, path+".1"), 1, 2)
	consecutive(t, lines(t, path), 3, 3)
}

// Many goroutines write: lines are whole and in the order of their numbers.
func TestConcurrentWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	l := open(t, maillog.Options{Path: path, RotateBytes: 300_000})
	env, a := sampleAttempt()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				l.Accepted(env, time.Millisecond, 0)
				l.Delivered(a)
				if i%100 == 0 {
					if err := l.Sync(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	closed(t, l)
	consecutive(t, lines(t, path), 1, 8000)
}

// output is a disk that can fail, tear and hang.
type output struct {
	mu   sync.Mutex // guards following
	buf  bytes.Buffer
	fail error
	tear int // bytes taken of a write that fails
	gate chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	gate := o.gate
	o.mu.Unlock()
	if gate != nil {
		<-gate
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		n := min(o.tear, len(p))
		o.buf.Write(p[:n])
		return n, o.fail
	}
	return o.buf.Write(p)
}

func (o *output) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Len()
}

func (o *output) set(fail error, gate chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail, o.gate = fail, gate
}

// A log that cannot be written blocks nobody: what does not fit is dropped and
// counted, Sync tells, and when writing works again no line is torn and the gap
// in the numbers is what was counted.
func TestFailingDisk(t *testing.T) {
	out := &output{tear: 7}
	l := open(t, maillog.Options{Output: out})
	l.Stop("before")
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	out.set(full, nil)
	l.Stop("torn")
	if err := l.Sync(); !errors.Is(err, full) {
		t.Fatalf("Sync: %v", err)
	}
	reason := strings.Repeat("x", 4000)
	for range 3000 { // more than any buffer holds
		l.Stop(reason)
	}
	s := l.Stats()
	if s.Err == nil || s.Dropped == 0 || s.BacklogBytes == 0 || s.Events != 3002 {
		t.Fatalf("%+v", s)
	}
	out.set(nil, nil)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	l.Stop("after")
	closed(t, l)
	last, written := uint64(0), 0
	for line := range strings.Lines(out.buf.String()) {
		var e struct{ Seq uint64 }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("torn: %.60q: %v", line, err)
		}
		if e.Seq <= last {
			t.Fatalf("%d after %d", e.Seq, last)
		}
		last = e.Seq
		written++
	}
	if last != 3003 || uint64(written)+s.Dropped != 3003 {
		t.Errorf("%d lines written, %d dropped, the last is %d", written, s.Dropped, last)
	}
}

// While the disk only hangs, events wait or are dropped, as the options say.
func TestStall(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(fmt.Sprintf("drop %v", drop), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				out := &output{gate: gate}
				l := open(t, maillog.Options{Output: out, DropOnStall: drop})
				reason := strings.Repeat("x", 4000)
				const n = 4000 // 16 MB
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range n {
						l.Stop(reason)
					}
				}()
				synctest.Wait()
				if l.Stats().BacklogBytes == 0 {
					t.Error("nothing is buffered")
				}
				select {
				case <-done:
					if !drop {
						t.Error("nothing waited")
					}
				default:
					if drop {
						t.Error("events wait although they may be dropped")
					}
				}
				out.set(nil, nil)
				close(gate)
				<-done
				closed(t, l)
				if got := l.Stats(); (got.Dropped > 0) != drop || got.Events != n {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// What was written is in the file after a second, without anybody asking.
func TestFlushedEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{}
		l := open(t, maillog.Options{Output: out})
		l.Stop("x")
		synctest.Wait()
		if out.len() != 0 {
			t.Error("not buffered")
		}
		<-time.After(time.Second) // of the bubble's clock
		synctest.Wait()
		if out.len() == 0 {
			t.Error("not flushed")
		}
		closed(t, l)
	})
}

// The current file can be read at any moment, and a reader that follows it sees
// every event once, across rotations.
//
// Covers O1.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	l := open(t, maillog.Options{Path: path})
	for range 100 {
		l.Stop("before")
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	started := make(chan struct{})
	done := make(chan error)
	go func() {
		done <- maillog.Follow(t.Context(), path, 3, func(line []byte) bool {
			var e struct{ Seq uint64 }
			if err := json.Unmarshal(line, &e); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			if len(seqs) == 0 {
				close(started)
			}
			seqs = append(seqs, e.Seq)
			return e.Seq < 300
		})
	}()
	<-started
	for i := range 200 {
		l.Stop("after")
		if i == 100 { // moved away in the middle of a stream
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			if err := l.Reopen(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	consecutive(t, seqs, 98, 300)
}

func TestANilLogWritesNothing(t *testing.T) {
	var l *maillog.Log
	every(l, envelope())
	if err := errors.Join(l.Sync(), l.Reopen(), l.Close()); err != nil || l.Stats() != (maillog.Stats{}) {
		t.Error(err)
	}
}

func TestClosedLogDrops(t *testing.T) {
	l := open(t, maillog.Options{Output: io.Discard})
	closed(t, l)
	l.Stop("late")
	if s := l.Stats(); s.Dropped != 1 {
		t.Errorf("%+v", s)
	}
}
