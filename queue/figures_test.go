package queue

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// heldDisk lets the syncs of segments wait while shut is set, until open is closed.
type heldDisk struct {
	shut atomic.Bool
	open chan struct{}
}

func (h *heldDisk) MaybeError(op errorfs.Op) error {
	if h.shut.Load() && op.Kind == errorfs.OpFileSyncData {
		<-h.open
	}
	return nil
}

func (h *heldDisk) String() string { return "held disk" }

// What a kill could repeat is shown: what is in flight, and what has been settled
// and not yet synced.
//
// Covers G3.
func TestDuplicateBoundIsShown(t *testing.T) {
	disk := &heldDisk{open: make(chan struct{})}
	q := open(t, errorfs.Wrap(vfs.NewMem(), disk))
	put(t, q, "x", "u@a.example", "v@a.example", "w@a.example")
	j := q.Lane("lane-a.example").Next(t.Context(), 0, Lease{MaxRecipients: 2}, nil)
	if c := q.Counts(); c.States[InFlight].Recipients != 2 || c.Unsynced != 0 {
		t.Errorf("%+v", c)
	}
	disk.shut.Store(true)
	j.Settle(all(j, Delivered, time.Time{}))
	if c := q.Counts(); c.States[InFlight].Recipients != 0 || c.Unsynced != 2 {
		t.Errorf("%+v", c)
	}
	disk.shut.Store(false)
	close(disk.open)
	until(t, "all is synced", func() bool { return q.Counts().Unsynced == 0 })
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The ages of what waits fall into their classes; stalls add up.
func TestAgesAndStalls(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	q := open(t, vfs.NewMem(), func(o *Options) { o.Clock = clock })
	put(t, q, "old", "u@a.example", "v@a.example")
	now.Add(int64(15 * time.Minute))
	put(t, q, "young", "u@a.example")
	if c := q.Counts(); c.Ages[0] != 1 || c.Ages[2] != 2 {
		t.Errorf("%v", c.Ages)
	}
	for range 2 {
		q.st.stallBegins(clock())
		now.Add(int64(time.Second))
		q.st.stallEnds(clock())
	}
	q.st.stallBegins(clock())
	now.Add(int64(time.Second))
	if f := q.Figures(); f.StallTime != 3*time.Second || f.WALBytes == 0 || f.CacheHitRatio < 0 || f.CacheHitRatio > 1 {
		t.Errorf("%+v", f)
	}
	q.st.stallEnds(clock())
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
