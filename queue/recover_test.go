package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// While the schedule of what waited is still being read, fresh mail is accepted,
// leased and settled; then all that waited is there.
//
// Covers Q14.
func TestFreshMailMovesWhileLoading(t *testing.T) {
	mem := vfs.NewMem()
	q := open(t, mem, func(o *Options) { o.HotMessages, o.SegmentBytes = 1, 2<<20 })
	const n = 3000
	for range n / 3 {
		put(t, q, "x", "u@a.example", "v@a.example", "w@b.example")
	}
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	put(t, q, "x", "u@hot.example") // the one that stays hot
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	until(t, "all are moved", func() bool { return q.Counts().HotMessages <= 1 })
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	q, err := Open(Options{FS: mem, Dir: "q", SegmentBytes: 2 << 20, Segments: 4, Bind: func(d, _ []byte) string {
		if len(d) == len("a.example") {
			<-gate // what is loaded waits here
		}
		return string(d)
	}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, "fresh", "u@fresh.example")
	j := q.Lane("fresh.example").Next(t.Context(), time.Second, Lease{}, nil)
	j.Settle(all(j, Delivered, time.Time{}))
	select {
	case <-q.Loaded():
		t.Error("loaded before anything was read")
	default:
	}
	close(gate)
	<-q.Loaded()
	if c := q.Counts(); c.States[Deferred].Recipients != n+1 || c.Messages != n/3+1 {
		t.Errorf("%d recipients in %d messages", c.States[Deferred].Recipients, c.Messages)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// After a power cut at most what was leased, and what was settled in the last
// moments, goes out again; after a clean end nothing does.
//
// Covers G3, D17.
func TestDuplicatesAreBounded(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs)
	for range 30 {
		put(t, q, "x", "u@a.example")
	}
	l := q.Lane("lane-a.example")
	for range 20 {
		j := l.Next(t.Context(), 0, Lease{}, nil)
		j.Settle(all(j, Delivered, time.Time{}))
	}
	flying := l.Next(t.Context(), 0, Lease{}, nil)
	// Any synced group behind the settlements makes them durable with it.
	put(t, q, "x", "u@a.example")
	late := l.Next(t.Context(), 0, Lease{}, nil)
	late.Settle(all(late, Delivered, time.Time{}))
	cut := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	ready := cut.Lane("lane-a.example").ReadyCount()
	if ready != 11 && ready != 10 { // 9 untouched or new, the leased one, and perhaps the late one
		t.Errorf("%d ready after a power cut", ready)
	}
	again := false
	for j := cut.Lane("lane-a.example").Next(t.Context(), 0, Lease{}, nil); j != nil; j = cut.Lane("lane-a.example").Next(t.Context(), 0, Lease{}, nil) {
		again = again || j.id == flying.id && j.Attempts[0] == 0
	}
	if !again {
		t.Error("what was in flight is not ready")
	}
	if err := errors.Join(cut.Close(t.Context()), q.Close(t.Context())); err != nil {
		t.Error(err)
	}
	q = open(t, fs)
	if n := q.Lane("lane-a.example").ReadyCount(); n != 10 {
		t.Errorf("%d ready after a clean end", n)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Open hands out the events behind the last mark that was recorded, none of
// those before it, in their order.
//
// Covers G4.
func TestReplayedEvents(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs)
	put(t, q, "old", "u@a.example")
	settleAll(t, q, Delivered, time.Time{})
	id := put(t, q, "marker", "u@b.example")
	q.Logged(q.LogMark())
	id2 := put(t, q, "new", "u@a.example", "v@a.example")
	j := q.Lane("lane-a.example").Next(t.Context(), 0, Lease{}, nil)
	j.Settle([]Result{{State: Delivered, Attempt: true}, {State: Deferred, Due: time.Now().Add(time.Hour), Attempt: true}})
	put(t, q, "last", "u@c.example")
	var got []string
	q2 := open(t, fs.CrashClone(vfs.CrashCloneCfg{}), func(o *Options) {
		o.Replayed = func(e Event) {
			name := "other"
			switch e.ID {
			case id:
				name = "marker"
			case id2:
				name = "new"
			}
			got = append(got, strings.TrimSpace(fmt.Sprintln(name, e.Recipient, e.State, e.Version, e.Envelope != nil)))
		}
	})
	want := []string{"new -1 ready 0 true", "new 0 delivered 1 true", "new 1 deferred 1 true", "other -1 ready 0 true"}
	if !slices.Equal(got, want) {
		t.Errorf("replayed %q, want %q", got, want)
	}
	if err := errors.Join(q2.Close(t.Context()), q.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

// A due time that a wrong clock set far away is cut to the longest interval at
// start; attempts survive.
func TestDueIsBoundedAtStart(t *testing.T) {
	for _, moved := range []int{1, 100} {
		fs := vfs.NewMem()
		hot := func(o *Options) { o.HotMessages, o.MaxInterval = moved, time.Minute }
		q := open(t, fs, hot)
		for range 5 {
			put(t, q, "x", "u@a.example")
		}
		settleAll(t, q, Deferred, time.Now().Add(10*365*24*time.Hour))
		until(t, "moved", func() bool { return q.Counts().HotMessages <= int64(moved) })
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		q = open(t, fs, hot)
		n := 0
		err := q.List(t.Context(), Filter{}, func(it *Item) bool {
			n++
			if r := it.Recipients[0]; r.Attempts != 1 || time.Until(r.Due) > time.Minute+tick {
				t.Errorf("%+v", r)
			}
			return true
		})
		if err != nil || n != 5 {
			t.Errorf("%d listed: %v", n, err)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A large text goes to its own file while it arrives, with little memory; the
// file goes after the end of the message, hot or moved, and orphans at start.
func TestLargeMessages(t *testing.T) {
	fs := vfs.NewMem()
	q := open(t, fs, func(o *Options) { o.HotMessages, o.MemoryBytes = 1, 100<<10 })
	files := func() int {
		names, err := fs.List("q/large")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	text := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB in 100 KiB of memory
	for range 3 {
		put(t, q, text, "u@a.example")
	}
	settleAll(t, q, Deferred, time.Now().Add(time.Second))
	until(t, "two are moved", func() bool { return q.Counts().HotMessages <= 1 })
	d, err := q.NewDraft(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte(text)); err != nil || files() != 4 {
		t.Errorf("%d files: %v", files(), err)
	}
	d.Abort()
	f, err := fs.Create("q/large/"+mail.MakeID(1, 2, 3, 4).String(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), q.Close(t.Context())); err != nil || files() != 4 {
		t.Fatalf("%d files: %v", files(), err)
	}
	q = open(t, fs)
	if files() != 3 || q.Counts().Bytes < 3<<20 {
		t.Errorf("%d files, %d bytes", files(), q.Counts().Bytes)
	}
	for range 3 {
		j := q.Lane("lane-a.example").Next(t.Context(), 10*time.Second, Lease{}, nil)
		if textOf(t, j) != text {
			t.Error("another text")
		}
		j.Settle(all(j, Delivered, time.Time{}))
	}
	until(t, "the files are gone", func() bool { return files() == 0 })
	if n := q.Counts().Bytes; n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Cold segments are compacted when more than half is dead, and unlinked when all
// is; what lives stays whole, also after a restart.
func TestColdSegmentsShrink(t *testing.T) {
	fs := vfs.NewMem()
	small := func(o *Options) { o.HotMessages, o.ColdBytes = 1, 64<<10 }
	q := open(t, fs, small)
	texts := map[mail.ID]string{}
	for n := range 60 {
		text := strings.Repeat(fmt.Sprint(n%10), 10_000)
		texts[put(t, q, text, "u@a.example")] = text
		settleAll(t, q, Deferred, time.Now().Add(2*time.Second))
		q.Logged(q.LogMark())
	}
	until(t, "moved", func() bool { return q.Counts().HotMessages <= 1 })
	segments := func() int {
		names, err := fs.List("q/cold")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before := segments()
	l := q.Lane("lane-a.example")
	for n := range 60 {
		j := l.Next(t.Context(), 10*time.Second, Lease{}, nil)
		if textOf(t, j) != texts[j.Envelope.ID] {
			t.Fatal("another text")
		}
		if n%6 != 0 {
			delete(texts, j.Envelope.ID)
			j.Settle(all(j, Delivered, time.Time{}))
		} else {
			j.Settle(all(j, Held, time.Time{}))
		}
	}
	until(t, "compaction", func() bool { return segments() <= 1+before/3 })
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	q = open(t, fs, small)
	for id, text := range texts {
		b, release, err := q.Body(id)
		if err != nil || string(b.Bytes()) != text && readAll(t, b) != text {
			t.Errorf("%v: %v", id, err)
		}
		release()
	}
	if _, err := q.Drop(t.Context(), Filter{}, "", nil); err != nil {
		t.Error(err)
	}
	until(t, "all are unlinked", func() bool { return q.Counts().Bytes == 0 && segments() <= 1 })
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func readAll(t *testing.T, b mail.Body) string {
	t.Helper()
	p := make([]byte, b.Size())
	n := 0
	for r := b.Reader(); ; {
		k, err := r.Read(p[min(n, len(p)):])
		n += k
		if err != nil {
			return string(p[:n])
		}
	}
}
