package queue

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// hungDisk is a file system on which the syncs of segments hang while it is shut.
type hungDisk struct {
	shut  atomic.Bool
	hangs chan struct{} // a token for each sync that has begun to hang
	open  chan struct{} // closed to let them go
}

func (h *hungDisk) MaybeError(op errorfs.Op) error {
	if h.shut.Load() && op.Kind == errorfs.OpFileSyncData && strings.Contains(op.Path, ".seg") {
		h.hangs <- struct{}{}
		<-h.open
	}
	return nil
}

func (h *hungDisk) String() string { return "hung disk" }

// newDraft is a draft of a short message that is ready for its commit.
func newDraft(t *testing.T, q *Queue) *Draft {
	t.Helper()
	d, err := q.NewDraft(0)
	if err != nil {
		t.Fatal(err)
	}
	d.Envelope().AddRecipient([]byte("u@a.example"), 0, nil)
	if _, err := d.Write([]byte("Subject: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return d
}

// A disk that hangs holds no writer beyond its deadline or the end of its
// context. Of what was given up, only that is kept whose write had begun.
// Covers R25.
func TestCommitDeadline(t *testing.T) {
	disk := &hungDisk{hangs: make(chan struct{}, 16), open: make(chan struct{})}
	q := open(t, errorfs.Wrap(vfs.NewMem(), disk))
	first := newDraft(t, q)
	firstID := first.Envelope().ID
	disk.shut.Store(true)
	ended := make(chan error)
	go func() { ended <- first.CommitBy(t.Context(), time.Now().Add(time.Hour)) }()
	<-disk.hangs

	second, third := newDraft(t, q), newDraft(t, q)
	began := time.Now()
	if err := second.CommitBy(t.Context(), began.Add(30*time.Millisecond)); !errors.Is(err, ErrLate) {
		t.Errorf("at its deadline: %v", err)
	}
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("given up after %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := third.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("at the end of its context: %v", err)
	}

	disk.shut.Store(false)
	close(disk.open)
	if err := <-ended; err != nil {
		t.Errorf("the first: %v", err)
	}
	after := newDraft(t, q) // behind the two in the log
	afterID := after.Envelope().ID
	if err := after.CommitBy(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	l := q.Lane("lane-a.example")
	for _, want := range []string{firstID.String(), afterID.String()} {
		j := l.Next(t.Context(), time.Second, Lease{MaxRecipients: 1}, nil)
		if j == nil || j.Envelope.ID.String() != want {
			t.Fatalf("leased %v, want %s", j, want)
		}
		j.Settle([]Result{{State: Delivered, Attempt: true}})
	}
	if c := q.Counts(); c.Messages != 0 || c.MemoryBytes != 0 {
		t.Errorf("counts: %+v", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
