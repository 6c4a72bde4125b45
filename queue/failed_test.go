package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// now is a context that lets NextFailed not wait.
func now(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// noticeFor makes a notice of the text to a recipient.
func noticeFor(t *testing.T, q *Queue, text, rcpt string) *Draft {
	t.Helper()
	d, err := q.NewNotice()
	if err != nil {
		t.Fatal(err)
	}
	d.Envelope().AddRecipient([]byte(rcpt), mail.NotifyNever, nil)
	if _, err := d.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return d
}

// Those that fail are handed out together: at once when nothing else is left of their
// message, else when it has been quiet. Their end and the notice are one record, of
// which Durable hears, and which outlives a kill.
//
// Covers Q1, B1.
func TestNextFailed(t *testing.T) {
	fs := vfs.NewCrashableMem()
	var durable []mail.ID
	var clock atomic.Int64
	clock.Store(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	change := func(o *Options) {
		o.Clock = func() time.Time { return time.Unix(0, clock.Load()) }
		o.Durable = func(e *mail.Envelope) { durable = append(durable, e.ID) }
	}
	q := open(t, fs, change)
	id := put(t, q, "three", "a@a.example", "b@b.example", "c@c.example")
	fail := func(lane string) {
		j := nextOf(t, q.Lane(lane))
		r := all(j, Failed, time.Time{})
		r[0].Status = mail.NewStatus(550, 5, 1, 1, "no "+lane)
		j.Settle(r)
	}
	fail("lane-a.example")
	if j := q.NextFailed(now(t), time.Minute); j != nil {
		t.Fatalf("leased %+v before it was quiet", j.Recipients)
	}
	clock.Add(int64(30 * time.Second))
	fail("lane-b.example")
	if j := q.NextFailed(now(t), time.Minute); j != nil {
		t.Fatalf("leased %+v before it was quiet", j.Recipients)
	}
	clock.Add(int64(31 * time.Second))
	j := q.NextFailed(now(t), time.Minute)
	if j == nil || fmt.Sprint(j.Recipients, j.Attempts) != "[0 1] [1 1]" || string(j.Failures[1].Status.Text) != "no lane-b.example" || textOf(t, j) != "three" {
		t.Fatalf("leased %+v", j)
	}
	if k := q.NextFailed(now(t), 0); k != nil {
		t.Fatalf("leased %+v twice", k.Recipients)
	}
	d := noticeFor(t, q, "two failed", "sender@from.example")
	notice := d.Envelope().ID
	if err := j.SettleWith([]Result{{State: Bounced}, {State: Bounced}}, d); err != nil {
		t.Fatal(err)
	}
	fail("lane-c.example") // nothing else is left
	j = q.NextFailed(t.Context(), time.Hour)
	if j == nil || fmt.Sprint(j.Recipients) != "[2]" {
		t.Fatalf("leased %+v", j)
	}
	until(t, "all is synced", func() bool { return q.Counts().Unsynced == 0 })
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	if n := len(durable); n != 2 || durable[0] != id || durable[1] != notice {
		t.Errorf("durable are %v", durable)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	q = open(t, crashed, change)
	j = q.NextFailed(now(t), time.Hour) // the crash ended the lease
	if j == nil || fmt.Sprint(j.Recipients) != "[2]" || string(j.Failures[0].Status.Text) != "no lane-c.example" {
		t.Fatalf("leased %+v", j)
	}
	j.Settle([]Result{{State: Bounced}}) // none is owed
	j = nextOf(t, q.Lane("lane-from.example"))
	if j.Envelope.ID != notice || textOf(t, j) != "two failed" || j.Envelope.Recipients[0].Notify != mail.NotifyNever {
		t.Errorf("leased %+v", j.Envelope)
	}
	j.Settle(all(j, Delivered, time.Time{}))
	if c := q.Counts(); c.Recipients != 0 || c.Messages != 0 {
		t.Errorf("%+v is left", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The reply of a moved message's recipient is what failed it, though the rows learn
// of it late, and a failed one that is leased while its message is moved stays failed.
func TestNextFailedOfMoved(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs, func(o *Options) { o.HotMessages = 1 })
	for range 20 {
		put(t, q, "moved", "u@a.example")
	}
	settleAll(t, q, Deferred, time.Now())
	until(t, "they are moved, and ready again", func() bool {
		c := q.Counts()
		return c.HotMessages <= 1 && c.States[Ready].Recipients == 20
	})
	l := q.Lane("lane-a.example")
	for range 20 {
		j := nextOf(t, l)
		r := all(j, Failed, time.Time{})
		r[0].Status = mail.NewStatus(554, 5, 0, 0, "the last")
		j.Settle(r)
	}
	var flying *Job
	for range 20 {
		flying = q.NextFailed(t.Context(), time.Hour)
		if s := flying.Failures[0].Status; string(s.Text) != "the last" || flying.Attempts[0] != 2 || flying.Failures[0].Attempts != 2 {
			t.Errorf("failed with %v after %d attempts", s, flying.Attempts[0])
		}
		if q.Counts().States[Failed].Recipients > 0 {
			flying.Settle([]Result{{State: Expired}})
		}
	}
	id := put(t, q, "hot", "u@a.example")
	j := nextOf(t, l)
	j.Settle(all(j, Failed, time.Time{}))
	hot := q.NextFailed(t.Context(), time.Hour)
	if hot.Envelope.ID != id {
		t.Errorf("leased %v", hot.Envelope.ID)
	}
	put(t, q, "pushes the others out", "u@b.example", "u@c.example")
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	put(t, q, "pushes the others out", "u@b.example", "u@c.example")
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	until(t, "it is moved", func() bool { return q.Counts().HotMessages <= 1 })
	until(t, "all is synced", func() bool { return q.Counts().Unsynced == 0 })
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 2))})
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	q = open(t, crashed)
	if c := q.Counts(); c.States[Failed].Recipients != 2 || c.States[Ready].Recipients != 0 {
		t.Errorf("%+v", c.States)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A notice that cannot be kept with its settlement leaves the lease as it is.
func TestSettleWithTooLarge(t *testing.T) {
	q := open(t, vfs.NewMem())
	put(t, q, "x", "u@a.example")
	j := nextOf(t, q.Lane("lane-a.example"))
	j.Settle(all(j, Failed, time.Time{}))
	j = q.NextFailed(now(t), 0)
	d, err := q.NewNotice()
	if err != nil {
		t.Fatal(err)
	}
	d.Envelope().AddRecipient([]byte("u@b.example"), 0, nil)
	if _, err := d.Write([]byte(strings.Repeat("x", 33<<10))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("wrote a large notice: %v", err)
	}
	if err := j.SettleWith([]Result{{State: Bounced}}, d); !errors.Is(err, ErrTooLarge) {
		t.Errorf("settled: %v", err)
	}
	if d, err = q.NewNotice(); err != nil {
		t.Fatal(err)
	}
	if err := j.SettleWith([]Result{{State: Bounced}}, d); !errors.Is(err, ErrNoRecipients) {
		t.Errorf("settled: %v", err)
	}
	if err := j.SettleWith([]Result{{State: Failed}}, noticeFor(t, q, "unused", "u@b.example")); err != nil {
		t.Error(err)
	}
	if c := q.Counts(); c.States[Failed].Recipients != 1 || c.Recipients != 1 {
		t.Errorf("%+v", c)
	}
	j = q.NextFailed(now(t), 0)
	if err := j.SettleWith([]Result{{State: Bounced}}, noticeFor(t, q, strings.Repeat("x", 32<<10), "u@b.example")); err != nil {
		t.Error(err)
	}
	if j := nextOf(t, q.Lane("lane-b.example")); len(textOf(t, j)) != 32<<10 {
		t.Error("the notice is another")
	} else {
		j.Settle(all(j, Delivered, time.Time{}))
	}
	if c := q.Counts(); c.MemoryBytes != 0 || c.Recipients != 0 {
		t.Errorf("%+v", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// One that is late is handed out once: the flag is recorded with what is given back,
// and with a deferral, and survives a restart, in the log and in the rows. What was
// replied before stays known.
func TestNextLate(t *testing.T) {
	for _, hot := range []int{1, 1000} {
		fs := vfs.NewMem()
		change := func(o *Options) { o.HotMessages = hot }
		q := open(t, fs, change)
		for range 8 {
			put(t, q, "late", "u@a.example", "v@a.example")
		}
		settleAll(t, q, Deferred, time.Now())
		until(t, "all are ready again", func() bool { return q.Counts().States[Ready].Recipients == 16 })
		l := q.Lane("lane-a.example")
		if j := l.NextLate(time.Now().Add(-time.Hour), nil); j != nil {
			t.Errorf("%v is late", j.id)
		}
		late := time.Now().Add(time.Second)
		j := l.NextLate(late, nil)
		j.Settle([]Result{{State: Deferred, Due: time.Now(), Warned: true}, {State: Ready}})
		until(t, "it is ready again", func() bool { return q.Counts().States[Ready].Recipients == 16 })
		n := 0
		for j = l.NextLate(late, j); j != nil; j = l.NextLate(late, j) {
			r := make([]Result, len(j.Recipients))
			for k := range r {
				r[k] = Result{State: Ready, Warned: true}
			}
			n += len(r)
			if err := j.SettleWith(r, noticeFor(t, q, "delayed", "s@from.example")); err != nil {
				t.Fatal(err)
			}
		}
		if n != 15 {
			t.Errorf("%d are late, want 15", n)
		}
		check := func() {
			t.Helper()
			err := q.List(t.Context(), Filter{ToDomain: "a.example"}, func(it *Item) bool {
				for _, r := range it.Recipients {
					if !r.Warned || r.Attempts != 1 || string(r.Status.Text) != "later" {
						t.Errorf("%d hot: %+v", hot, r)
					}
				}
				return true
			})
			if err != nil {
				t.Error(err)
			}
		}
		until(t, "all is synced", func() bool { return q.Counts().Unsynced == 0 })
		check()
		for range 2 {
			if err := q.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			q = open(t, fs, change)
			check()
			if j := q.Lane("lane-a.example").NextLate(late, nil); j != nil {
				t.Errorf("%v is late again", j.id)
			}
		}
		if c := q.Counts(); c.Messages != 16 { // with 8 notices
			t.Errorf("%d messages", c.Messages)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// NextFailed wakes when something fails, and when the queue closes.
func TestNextFailedWaits(t *testing.T) {
	q := open(t, vfs.NewMem())
	got := make(chan *Job)
	for range 2 {
		go func() { got <- q.NextFailed(t.Context(), 50*time.Millisecond) }()
	}
	put(t, q, "x", "u@a.example", "v@b.example")
	j := nextOf(t, q.Lane("lane-a.example"))
	j.Settle(all(j, Failed, time.Time{}))
	j = <-got
	if j == nil || len(j.Recipients) != 1 {
		t.Fatalf("leased %+v", j)
	}
	j.Settle([]Result{{State: Bounced}})
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if j := <-got; j != nil {
		t.Errorf("a closed queue gave %+v", j)
	}
}

// When the last segment of the spool is being written nothing is leased, so that every
// settlement finds room; notices stop one segment before. All goes on when segments
// are used again.
func TestLeasesStopAtLastSegment(t *testing.T) {
	fs := vfs.NewMem()
	q := open(t, fs, func(o *Options) { o.SegmentBytes, o.Segments, o.LargeBytes = 64<<10, 3, 4<<10 })
	id := put(t, q, "x", "u@a.example")
	put(t, q, "x", "u@b.example")
	put(t, q, "x", "u@c.example")
	flying := nextOf(t, q.Lane("lane-c.example"))
	l := q.Lane("lane-a.example")
	starved := func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.starvedLocked()
	}
	until(t, "the spool fills", func() bool { // no event is logged, so nothing is recycled
		j := l.Next(t.Context(), 0, Lease{}, nil)
		if j == nil {
			return starved()
		}
		j.Settle([]Result{{State: Deferred, Status: mail.NewStatus(450, 4, 2, 0, strings.Repeat("x", 1000))}})
		return false
	})
	if j := q.Lane("lane-b.example").NextOlder(time.Now().Add(time.Hour), 0, nil); j != nil {
		t.Errorf("leased %v", j.id)
	}
	if err := flying.SettleWith(all(flying, Bounced, time.Time{}), noticeFor(t, q, "x", "u@d.example")); !errors.Is(err, ErrFull) {
		t.Errorf("a notice may take the last segment: %v", err)
	}
	flying.Settle(all(flying, Bounced, time.Time{}))
	got := make(chan *Job)
	go func() { got <- l.Next(t.Context(), time.Minute, Lease{}, nil) }()
	until(t, "segments are free again", func() bool {
		q.Logged(q.LogMark())
		return !starved()
	})
	j := <-got
	if j == nil || j.Envelope.ID != id {
		t.Fatalf("leased %+v", j)
	}
	j.Settle(all(j, Delivered, time.Time{}))
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	q = open(t, fs)
	if c := q.Counts(); c.Recipients != 1 {
		t.Errorf("%+v is left", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
