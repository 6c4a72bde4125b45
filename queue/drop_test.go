package queue

import (
	"errors"
	"fmt"
	"slices"
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
