package queue

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// diskFresh is how long what the disk said last is believed.
	diskFresh = 100 * time.Millisecond
	// stallPatience is how long Pebble may refuse writes before mail is refused:
	// short stalls are how it slows the worker down.
	stallPatience = 2 * time.Second
	// reserveBytes and reservePart: the default reserve is the smaller of the
	// two.
	reserveBytes = 256 << 20
	// rowsReserve is what the rows' log and a flush of theirs can take; on a
	// small disk a fiftieth is less.
	rowsReserve = 8 << 20
	reservePart = 50 // a fiftieth of the disk
	// reserveInodes are kept free for segments, rows and large messages.
	reserveInodes = 1000
)

// shortage is a reason to refuse mail; each wraps ErrFull.
var (
	errDisk   = fmt.Errorf("%w: disk space is short", ErrFull)
	errInodes = fmt.Errorf("%w: inodes are short", ErrFull)
	errMemory = fmt.Errorf("%w: memory for messages is used up", ErrFull)
	errStall  = fmt.Errorf("%w: the store of waiting mail takes no writes", ErrFull)
	errApply  = fmt.Errorf("%w: the store of waiting mail is behind", ErrFull)
)

// admit decides whether a message of announced bytes may begin.
func (q *Queue) admit(announced int64) error {
	if q.dead.Load() {
		return ErrClosed
	}
	if err := q.diskRoom(announced); err != nil {
		return err
	}
	if err := q.rowsRoom(); err != nil {
		return err
	}
	return q.room(draftBytes)
}

// Healthy says why the queue refuses mail now; nil when it does not.
func (q *Queue) Healthy() error { return q.admit(0) }

// rowsRoom refuses while Pebble does not take writes: nothing waits for it, but
// the hot spool would fill up behind it.
func (q *Queue) rowsRoom() error {
	since := q.st.stalled.Load()
	if q.st.failing.Load() || since != 0 && q.o.Clock().UnixNano()-since > int64(stallPatience) {
		return errStall
	}
	if q.behind.Load() {
		return errApply
	}
	return nil
}

// starvedLocked reports that the last segment is being written: it is left to the
// settlements of what is in flight, so nothing may be leased until others are free.
// Nor may anything before what was restored is held.
func (q *Queue) starvedLocked() bool {
	if q.restored.Load() {
		return true
	}
	free, _ := q.sp.Usage()
	if free > 0 {
		return false
	}
	if !q.starved.Swap(true) {
		q.kickWorker()
	}
	return true
}

// feed is the worker's part of it.
func (q *Queue) feed() {
	if !q.starved.Load() {
		return
	}
	if free, _ := q.sp.Usage(); free > 0 && q.starved.Swap(false) {
		q.wakeAll()
	}
}

// room makes room in memory for n more bytes: texts that wait for their first
// attempt are given up first, the newest of all; they are read again from the
// spool.
func (q *Queue) room(n int64) error {
	if q.mem.Load()+n <= q.o.MemoryBytes {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.kept.tail != nil && q.mem.Load()+n > q.o.MemoryBytes {
		q.dropTextLocked(q.kept.tail)
	}
	if q.mem.Load()+n > q.o.MemoryBytes {
		return errMemory
	}
	return nil
}

// diskRoom decides on what the disk has said at most diskFresh ago, less what
// open drafts announced and the reserve.
func (q *Queue) diskRoom(announced int64) error {
	now := q.o.Clock().UnixNano()
	if last := q.diskAt.Load(); now-last > int64(diskFresh) || now < last {
		if q.diskAt.CompareAndSwap(last, now) {
			q.askDisk()
		}
	}
	need := announced + q.announced.Load() + q.o.ReserveBytes + q.spent.Load()
	if q.diskFree.Load() < uint64(max(need, 0)) {
		return errDisk
	}
	if q.inodesFree.Load() < reserveInodes {
		return errInodes
	}
	return nil
}

func (q *Queue) askDisk() {
	q.spent.Store(0) // before the disk answers: a byte may count twice, never not at all
	bytes, inodes, err := q.o.DiskFree()
	if err != nil {
		q.alarm("disk", fmt.Errorf("ask for free space: %w", err))
		return // what it said last stands
	}
	q.diskFree.Store(bytes)
	q.inodesFree.Store(inodes)
}

// lookAtDisk is the worker's part: it makes the ballast again after Pebble has
// met a full disk and room has returned.
func (q *Queue) lookAtDisk() {
	if !q.ballast || q.diskFree.Load() < uint64(2*q.o.ReserveBytes+ballastBytes) {
		return
	}
	path := q.fs.PathJoin(q.o.Dir, ballastName)
	if info, err := q.fs.Stat(path); err == nil && info.Size() == ballastBytes {
		return
	}
	if err := q.makeBallast(path); err != nil {
		q.alarm("disk", fmt.Errorf("make ballast: %w", err))
	}
}

func (q *Queue) makeBallast(path string) error {
	f, err := q.fs.Create(path, "postrider-ballast")
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for n := 0; n < ballastBytes && err == nil; n += len(zeros) {
		_, err = f.Write(zeros)
	}
	return errors.Join(err, f.Close())
}

// statfs is the default of Options.DiskFree.
func (q *Queue) statfs() (freeBytes, freeInodes uint64, err error) {
	u, err := q.fs.GetDiskUsage(q.o.Dir)
	if err != nil {
		return 0, 0, err
	}
	freeInodes = math.MaxUint64
	if q.ballast { // a real disk
		var s unix.Statfs_t
		if err := unix.Statfs(q.o.Dir, &s); err != nil {
			return 0, 0, err
		}
		if s.Files > 0 { // some file systems make inodes as they need them
			freeInodes = s.Ffree
		}
	}
	return u.AvailBytes, freeInodes, nil
}

// setReserve fills in the default of Options.ReserveBytes.
func (q *Queue) setReserve() {
	if q.o.ReserveBytes != 0 {
		return
	}
	q.o.ReserveBytes = reserveBytes
	if u, err := q.fs.GetDiskUsage(q.o.Dir); err == nil {
		total := int64(u.TotalBytes)
		// What lives in the hot spool may have to be copied to cold segments.
		hot := int64(q.o.Segments) * q.o.SegmentBytes
		q.o.ReserveBytes = min(min(reserveBytes, total/reservePart)+hot+rowsReserve, total/4)
	}
}
