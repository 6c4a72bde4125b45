package queue

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// smallDisk is a file system on which rows and cold segments find no room while it
// is full, and with all set neither does anything else but the segments of the
// spool, which have theirs already.
type smallDisk struct {
	full, all atomic.Bool
	refused   atomic.Int64
}

func (d *smallDisk) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpCreate, errorfs.OpReuseForWrite:
	default:
		return nil
	}
	kept := strings.Contains(op.Path, "q/rows") || strings.Contains(op.Path, "q/cold")
	if d.full.Load() && (kept || d.all.Load() && !strings.HasSuffix(op.Path, ".seg")) {
		d.refused.Add(1)
		return &vfsPathError{op.Path}
	}
	return nil
}

func (d *smallDisk) String() string { return "small disk" }

// vfsPathError is what the system's file operations return.
type vfsPathError struct{ path string }

func (e *vfsPathError) Error() string { return "write " + e.path + ": no space left on device" }
func (e *vfsPathError) Unwrap() error { return syscall.ENOSPC }

func ballast(t *testing.T, fs vfs.FS) {
	t.Helper()
	f, err := fs.Create("q/"+ballastName, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A full disk ends nothing: what has to be written waits for room, mail is refused
// meanwhile, and when there is room all goes on by itself.
// Covers Q16, G6.
func TestRowsWaitForRoom(t *testing.T) {
	mem, disk := vfs.NewMem(), &smallDisk{}
	few := func(o *Options) { o.HotMessages, o.SegmentBytes = 1, 1<<20 }
	q := open(t, errorfs.Wrap(mem, disk), few)
	const n = 200
	for range n {
		put(t, q, strings.Repeat("x", 1000), "u@a.example")
	}
	ballast(t, mem)
	disk.full.Store(true)
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	until(t, "mail is refused", func() bool { return errors.Is(q.Healthy(), ErrFull) })
	until(t, "a second try", func() bool { return disk.refused.Load() > 2 })
	if _, err := mem.Stat("q/" + ballastName); err == nil {
		t.Error("the ballast is still there")
	}
	if hot := q.Counts().HotMessages; hot < 2 {
		t.Errorf("%d hot messages: nothing was left to move", hot)
	}
	disk.full.Store(false)
	until(t, "messages are moved", func() bool { return q.Counts().HotMessages <= 1 })
	until(t, "mail is taken", func() bool { return q.Healthy() == nil })
	if c := q.Counts(); c.States[Deferred].Recipients != n {
		t.Errorf("counts: %+v", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
	q = open(t, mem, few)
	if c := q.Counts(); c.States[Deferred].Recipients != n {
		t.Errorf("after the restart: %+v", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A queue on a full disk can be closed, and nothing is lost by it.
// Covers Q16, G1.
func TestCloseWithoutRoom(t *testing.T) {
	mem, disk := vfs.NewCrashableMem(), &smallDisk{}
	few := func(o *Options) { o.HotMessages, o.SegmentBytes = 1, 1<<20 }
	q := open(t, errorfs.Wrap(mem, disk), few)
	const n = 100
	for range n {
		put(t, q, strings.Repeat("x", 1000), "u@a.example")
	}
	disk.all.Store(true)
	disk.full.Store(true)
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	until(t, "the worker is stuck", func() bool { return disk.refused.Load() > 1 })
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	q = open(t, mem.CrashClone(vfs.CrashCloneCfg{}), few)
	if c := q.Counts(); c.States[Deferred].Recipients+c.States[Ready].Recipients != n {
		t.Errorf("after the restart: %+v", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
