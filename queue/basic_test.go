package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// open opens a queue with small segments on fs and waits for its schedule.
func open(t testing.TB, fs vfs.FS, change ...func(*Options)) *Queue {
	t.Helper()
	o := Options{
		FS: fs, Dir: "q", SegmentBytes: 256 << 10, Segments: 4, LargeBytes: 32 << 10, ColdBytes: 128 << 10,
		Bind:    func(domain, _ []byte) string { return "lane-" + string(domain) },
		Metrics: &Metrics{Alarm: func(kind string, err error) { t.Logf("alarm %s: %v", kind, err) }},
		Fatal:   func(err error) { t.Errorf("fatal: %v", err) },
	}
	for _, f := range change {
		f(&o)
	}
	q, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	<-q.Loaded()
	return q
}

// put accepts a message and returns its id. When the spool is full it waits for
// recycling, all events logged.
func put(t testing.TB, q *Queue, text string, rcpts ...string) (id mail.ID) {
	t.Helper()
	until(t, "room for a message", func() bool {
		d, err := q.NewDraft(int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		e := d.Envelope()
		id = e.ID
		e.Sender = e.KeepString("sender@from.example")
		for _, r := range rcpts {
			e.AddRecipient([]byte(r), 0, nil)
		}
		if _, err := io.WriteString(d, text); err != nil {
			t.Fatal(err)
		}
		err = d.Commit(t.Context())
		if errors.Is(err, ErrFull) {
			q.Logged(q.LogMark())
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	return id
}

// textOf reads a job's text through its verifying reader.
func textOf(t testing.TB, j *Job) string {
	t.Helper()
	b, err := io.ReadAll(j.Body.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func all(j *Job, st State, due time.Time) []Result {
	r := make([]Result, len(j.Recipients))
	for i := range r {
		r[i] = Result{State: st, Due: due, Status: mail.NewStatus(450, 4, 2, 0, "later"), Attempt: true}
	}
	return r
}

func TestAcceptLeaseSettleRecover(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs)
	a := put(t, q, "first", "u@a.example", "v@a.example", "w@b.example")
	b := put(t, q, "second", "x@a.example")
	ctx := context.Background()
	j := q.Lane("lane-a.example").Next(ctx, 0, Lease{}, nil)
	if j == nil || j.Envelope.ID != a || fmt.Sprint(j.Recipients) != "[0 1]" || textOf(t, j) != "first" {
		t.Fatalf("leased %+v", j)
	}
	j.Settle([]Result{{State: Delivered, Attempt: true}, {State: Deferred, Due: time.Now().Add(-time.Second), Attempt: true}})
	j = q.Lane("lane-a.example").Next(ctx, time.Second, Lease{}, j)
	if j.Envelope.ID != b {
		t.Fatalf("leased %v", j.Envelope.ID)
	}
	if err := q.Close(ctx); err != nil {
		t.Fatal(err)
	}
	q = open(t, fs)
	for range 2 {
		j = q.Lane("lane-a.example").Next(ctx, time.Second, Lease{}, nil)
		if j.Envelope.ID == a && (fmt.Sprint(j.Recipients, j.Attempts) != "[1] [1]" || textOf(t, j) != "first") {
			t.Errorf("leased %+v", j)
		}
		j.Settle(all(j, Delivered, time.Time{}))
	}
	if n := q.Lane("lane-b.example").ReadyCount(); n != 1 {
		t.Errorf("%d ready for b", n)
	}
	if err := q.Close(ctx); err != nil {
		t.Fatal(err)
	}
}
