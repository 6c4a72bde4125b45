package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// waiting lists what waits: for each message its recipients' states and its text.
func waiting(t *testing.T, q *Queue) map[mail.ID]string {
	t.Helper()
	got := make(map[mail.ID]string)
	err := q.List(t.Context(), Filter{}, func(it *Item) bool {
		text, release, err := q.Body(it.Envelope.ID)
		if err != nil {
			t.Error(err)
			return true
		}
		defer release()
		b, err := io.ReadAll(text.Reader())
		if err != nil {
			t.Errorf("text of %v: %v", it.Envelope.ID, err)
		}
		s := fmt.Sprintf("%.20s", b)
		for _, r := range it.Recipients {
			s += " " + r.State.String()
		}
		got[it.Envelope.ID] = s
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestBackup takes backups while mail is accepted, deferred, moved, delivered and
// recycled. Each holds what was accepted before it began and had not ended when it was
// over, held, with its text; a second start finds the same.
func TestBackup(t *testing.T) {
	fs := vfs.NewMem()
	q := open(t, fs, func(o *Options) { o.HotMessages = 20 })
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { // the lane: some end, some wait
		defer wg.Done()
		rng := rand.New(rand.NewPCG(1, 2))
		for {
			j := q.Lane("lane-busy.example").Next(ctx, time.Second, Lease{}, nil)
			if j == nil {
				if ctx.Err() != nil {
					return
				}
				continue
			}
			st := Delivered
			if rng.IntN(3) == 0 {
				st = Deferred
			}
			j.Settle(all(j, st, time.Now().Add(time.Hour)))
			q.Logged(q.LogMark())
		}
	}()
	sizes := []int{100, 3000, 40_000}
	for round := range 4 {
		must := make(map[mail.ID]string)
		for i := range 60 {
			text := fmt.Sprintf("%d-%d %s", round, i, strings.Repeat("x", sizes[i%3]))
			put(t, q, text, "u@busy.example")
			if i%4 == 0 {
				must[put(t, q, text, "u@idle.example", "v@idle.example")] = fmt.Sprintf("%.20s", text) + " held held"
			}
		}
		dir := fmt.Sprintf("backup-%d/queue", round)
		if err := fs.MkdirAll(fs.PathDir(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := q.Backup(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		for i := range 60 { // the original goes on
			put(t, q, strings.Repeat("later", i*100), "u@busy.example")
		}
		restored := open(t, fs, func(o *Options) { o.Dir = dir })
		until(t, "all is held", func() bool { return !restored.restored.Load() })
		got := waiting(t, restored)
		for id, want := range must {
			if got[id] != want {
				t.Fatalf("round %d: %v is %q in the backup, not %q", round, id, got[id], want)
			}
		}
		for id, s := range got {
			if !strings.Contains(s, " held") || strings.Contains(s, "ready") || strings.Contains(s, "deferred") {
				t.Fatalf("%v is %q after a restore", id, s)
			}
		}
		fresh := put(t, restored, "fresh", "u@c.example")
		if j := nextOf(t, restored.Lane("lane-c.example")); j.Envelope.ID != fresh {
			t.Fatal("what is new after a restore does not go")
		} else {
			j.Settle(all(j, Delivered, time.Time{}))
		}
		if err := restored.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		restored = open(t, fs, func(o *Options) { o.Dir = dir })
		if again := waiting(t, restored); len(again) != len(got) {
			t.Fatalf("%d wait after a second start, not %d", len(again), len(got))
		}
		r, err := restored.Release(t.Context(), Filter{}, "", nil)
		if err != nil || r.Done == 0 {
			t.Fatal(err, r)
		}
		if err := restored.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Backup(t.Context(), "late"); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}
