package mailbox

import (
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The first changes of a store know how much room there is, though none of them has
// asked yet.
func TestRoomIsKnownFromTheStart(t *testing.T) {
	var asked atomic.Int64
	s, err := Open(Options{FS: vfs.NewMem(), Dir: "store", SegmentBytes: 1 << 20, ReserveBytes: 1 << 20, DiskFree: func() (uint64, error) {
		asked.Add(1)
		return 1 << 40, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if asked.Load() == 0 || s.space.free.Load() != 1<<40 {
		t.Errorf("asked %d times, %d free", asked.Load(), s.space.free.Load())
	}
}
