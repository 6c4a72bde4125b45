package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// The event of a recipient that was dropped is handed out once, before any mark
// passes it: after a crash at that moment Open hands it out again. Two calls that
// want the same recipient in flight dropped tell of it once.
//
// Covers G4.
func TestDropEventsAreNotLost(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs)
	id := put(t, q, "x", "flies@a.example", "waits@a.example")
	j := q.Lane("lane-a.example").Next(t.Context(), 0, Lease{MaxRecipients: 1}, nil)
	var mu sync.Mutex
	var told []string
	var mark Mark // the least that was there when an event was handed out
	ended := func(id mail.ID, recipient int) {
		mu.Lock()
		defer mu.Unlock()
		if len(told) == 0 {
			mark = q.LogMark()
		}
		told = append(told, fmt.Sprint(id, " ", recipient))
	}
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			if _, err := q.Drop(t.Context(), Filter{IDs: []mail.ID{id}}, "spam", ended); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "both calls wait for what is in flight", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, refs := range q.drops {
			return len(refs) == 2
		}
		return false
	})
	j.Settle([]Result{{State: Deferred, Due: time.Now().Add(time.Hour), Attempt: true}})
	calls.Wait()
	want := []string{fmt.Sprint(id, " 0"), fmt.Sprint(id, " 1")}
	slices.Sort(told)
	if !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	q.Logged(mark)
	put(t, q, "carries the mark", "u@b.example")
	var replayed []string
	q2 := open(t, fs.CrashClone(vfs.CrashCloneCfg{}), func(o *Options) {
		o.Replayed = func(e Event) {
			if e.State == Dropped {
				replayed = append(replayed, fmt.Sprint(e.ID, " ", e.Recipient))
			}
		}
	})
	if slices.Sort(replayed); !slices.Equal(replayed, want) {
		t.Errorf("replayed %q, want %q", replayed, want)
	}
	if err := errors.Join(q.Close(t.Context()), q2.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

// Hold, Release, Retry and Bounce act on those in a fitting state, and on those in
// flight when their lease ends without ending them; their results survive a crash.
func TestActions(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs)
	var told []string
	var mu sync.Mutex
	done := func(id mail.ID, recipient int) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(recipient))
	}
	id := put(t, q, "x", "r@a.example", "d@a.example", "f@b.example", "q@c.example")
	a, b := q.Lane("lane-a.example"), q.Lane("lane-b.example")
	j := a.Next(t.Context(), 0, Lease{}, nil)
	j.Settle([]Result{{State: Ready}, {State: Deferred, Due: time.Now().Add(time.Hour), Attempt: true, Status: mail.NewStatus(450, 4, 2, 0, "later")}})
	j = nextOf(t, b)
	k := nextOf(t, q.Lane("lane-c.example"))
	k.Settle(all(k, Quarantined, time.Time{}))
	act := func(name string, do func(context.Context, Filter, string, func(mail.ID, int)) (ActionResult, error), want string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told = nil
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			res, err := do(ctx, Filter{IDs: []mail.ID{id}}, "as asked", done)
			if got := fmt.Sprint(res.Matched, res.Done, res.Skipped); got != want || err != nil {
				t.Errorf("%s: %s, want %s: %v", name, got, want, err)
			}
		}()
		if j != nil && (name == "hold" || name == "bounce") {
			until(t, "it waits for what is in flight", func() bool {
				q.mu.Lock()
				defer q.mu.Unlock()
				return len(q.drops) == 1
			})
			j.Settle(all(j, Deferred, time.Now().Add(time.Hour)))
			j = nil
		}
		<-ended
		mu.Lock()
		defer mu.Unlock()
		if fmt.Sprint(len(told)) != strings.Fields(want)[1] {
			t.Errorf("%s: told of %v", name, told)
		}
	}
	states := func(q *Queue) string {
		var got []string
		err := q.List(t.Context(), Filter{IDs: []mail.ID{id}}, func(it *Item) bool {
			for _, r := range it.Recipients {
				got = append(got, fmt.Sprintf("%v%d%s", r.State, r.Attempts, r.Status.Text))
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
		return strings.Join(got, ",")
	}
	check := func(want string) {
		t.Helper()
		if got := states(q); got != want {
			t.Errorf("states are %s, want %s", got, want)
		}
	}
	act("retry", q.Retry, "1 1 0")
	check("ready0,ready1later,inflight0,quarantined1later")
	act("hold", q.Hold, "3 3 0")
	check("held0,held1later,held1later,quarantined1later")
	if a.ReadyCount() != 0 {
		t.Error("one is ready")
	}
	act("release", q.Release, "4 4 0")
	check("ready0,ready1later,ready1later,ready1later")
	j = nextOf(t, b)
	act("bounce", q.Bounce, "4 4 0")
	const failed = "failed0as asked,failed1as asked,failed2as asked,failed1as asked"
	check(failed)
	j = q.NextFailed(t.Context(), time.Hour)
	if j == nil || len(j.Recipients) != 4 || j.Failures[0].Status.Code != 550 {
		t.Fatalf("leased %+v", j)
	}
	act("release", q.Release, "0 0 0")
	crashed := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	if got := states(crashed); got != failed {
		t.Errorf("after a crash the states are %s", got)
	}
	if err := errors.Join(q.Close(t.Context()), crashed.Close(t.Context())); err != nil {
		t.Error(err)
	}
}
