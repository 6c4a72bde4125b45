package queue

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
)

// goldenTime is the clock of the golden stores, which stands still.
func goldenTime() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

func goldenOptions(t *testing.T, dir string) Options {
	return Options{
		Dir: dir, Clock: goldenTime, SegmentBytes: 64 << 10, Segments: 4, LargeBytes: 4 << 10, ColdBytes: 64 << 10,
		HotMessages: 1, ReserveBytes: 1,
		Bind: func(domain, _ []byte) string { return string(domain) },
		Metrics: &Metrics{Alarm: func(kind string, err error) {
			if !strings.Contains(err.Error(), "disk is nearly full") { // that of the machine may be
				t.Errorf("alarm %s: %v", kind, err)
			}
		}},
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	}
}

// writeGolden fills the folder with messages in every state that rests on disk, in
// the rows and in the hot spool, and copies it as a kill would leave it.
func writeGolden(t *testing.T, copied string) {
	dir := t.TempDir()
	q, err := Open(goldenOptions(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, strings.Repeat("large ", 1000), "large@a.example")
	put(t, q, "moved", "d@a.example", "h@a.example", "f@a.example", "q@a.example", "e@a.example", "r@b.example")
	a := q.Lane("a.example")
	j := nextOf(t, a)
	j.Settle(all(j, Deferred, goldenTime().Add(time.Hour)))
	j = nextOf(t, a)
	r := all(j, Deferred, goldenTime().Add(2*time.Hour))
	r[1].State, r[2].State, r[3].State, r[4].State = Held, Failed, Quarantined, Delivered
	r[2].Status = mail.NewStatus(550, 5, 1, 1, "no such user")
	j.Settle(r)
	until(t, "the first are moved", func() bool { return q.Counts().HotMessages == 1 })
	put(t, q, "hot and failed", "f@a.example", "r@b.example")
	j = nextOf(t, a)
	j.Settle(all(j, Failed, time.Time{}))
	d, err := q.NewDraft(0)
	if err != nil {
		t.Fatal(err)
	}
	e := d.Envelope()
	e.EightBit, e.SMTPUTF8, e.Return = true, true, mail.ReturnFull
	e.EnvelopeID, e.User, e.Helo = e.KeepString("env+2Bid"), e.KeepString("user"), e.KeepString("client.example")
	e.AddRecipient([]byte("fresh@c.example"), mail.NotifyFailure|mail.NotifyDelay, []byte("rfc822;fresh@c.example"))
	if err := d.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "all is synced", func() bool { return q.Counts().Unsynced == 0 })
	if err := q.st.db.LogData(nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// nextOf leases what is next in l.
func nextOf(t *testing.T, l *Lane) *Job {
	t.Helper()
	j := l.Next(t.Context(), 20*time.Second, Lease{}, nil)
	if j == nil {
		t.Fatal("nothing is ready")
	}
	return j
}

// goldenListing describes what waits in the store of a folder, but the ids.
func goldenListing(t *testing.T, dir string) string {
	q, err := Open(goldenOptions(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	<-q.Loaded()
	var b strings.Builder
	err = q.List(t.Context(), Filter{}, func(it *Item) bool {
		e := it.Envelope
		fmt.Fprintf(&b, "<%s> %d %q %q %q %v %v %d\n", e.Sender, e.SizeBytes, e.EnvelopeID, e.User, e.Helo, e.EightBit, e.SMTPUTF8, e.Return)
		for _, r := range it.Recipients {
			a := &e.Recipients[r.Index]
			due := time.Duration(0)
			if r.State == Deferred {
				due = r.Due.Sub(goldenTime())
			}
			fmt.Fprintf(&b, "  %s %d %q %v %d %d %v %v %s\n", a.Address, a.Notify, a.Original, r.State, r.Version, r.Attempts, due, r.Status, r.Lane)
		}
		text, release, err := q.Body(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if _, err := io.Copy(io.Discard, text.Reader()); err != nil {
			t.Errorf("text of %v: %v", e.ID, err)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return b.String()
}

const golden = `<sender@from.example> 6000 "" "" "" false false 0
  large@a.example 0 "" deferred 1 1 1h0m0s 450 4.2.0 later a.example
<sender@from.example> 5 "" "" "" false false 0
  d@a.example 0 "" deferred 1 1 2h0m0s 450 4.2.0 later a.example
  h@a.example 0 "" held 1 1 0s 450 4.2.0 later a.example
  f@a.example 0 "" failed 1 1 0s 550 5.1.1 no such user a.example
  q@a.example 0 "" quarantined 1 1 0s 450 4.2.0 later a.example
  r@b.example 0 "" ready 0 0 0s 0 b.example
<sender@from.example> 14 "" "" "" false false 0
  f@a.example 0 "" failed 1 1 0s 450 4.2.0 later a.example
  r@b.example 0 "" ready 0 0 0s 0 b.example
<> 0 "env+2Bid" "user" "client.example" true true 1
  fresh@c.example 12 "rfc822;fresh@c.example" ready 0 0 0s 0 c.example
`

// A store that version 1 of the format has left behind, killed, is opened with all
// that it holds, and so is one of this software. From then on it bears the present
// version, which older software refuses.
//
// Covers G7.
func TestGoldenStores(t *testing.T) {
	old, own := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tar", "-xzf", "testdata/version1.tar.gz", "-C", old).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	writeGolden(t, own)
	for _, dir := range []string{old, own} {
		for range 2 {
			if got := goldenListing(t, dir); got != golden {
				t.Errorf("%s holds\n%s\nwant\n%s", filepath.Base(dir), got, golden)
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, "epoch"))
		if err != nil || len(b) == 0 || b[0] != record.Version {
			t.Errorf("%s: the epoch file begins with %x: %v", filepath.Base(dir), b[:min(1, len(b))], err)
		}
	}
}
