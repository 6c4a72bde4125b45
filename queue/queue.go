package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/queue/internal/cold"
	"postrider/queue/internal/table"
)

// Queue is an open queue.
type Queue struct {
	o         Options
	fs        vfs.FS
	sp        *spool.Spool
	st        *store
	lock      io.Closer
	base      time.Time // tick 0
	lastTime  time.Time // the latest on record at Open
	largeDir  string
	maxRecord int64 // largest record of the spool
	ballast   bool  // the disk is a real one

	mem        atomic.Int64 // bytes of texts in memory
	announced  atomic.Int64 // bytes that open drafts have or announced
	movedLarge atomic.Int64 // bytes of large files of moved messages
	diskFree   atomic.Uint64
	spent      atomic.Int64 // bytes of large messages since the disk was asked
	inodesFree atomic.Uint64
	diskAt     atomic.Int64
	starved    atomic.Bool // a lease was refused for want of segments
	behind     atomic.Bool // too many settlements wait for Pebble
	dead       atomic.Bool // closed or failed: nothing new
	failed     atomic.Bool
	opened     atomic.Bool
	restored   atomic.Bool // from a backup: nothing is leased before all is held
	keepFiles  sync.Mutex  // held by Backup, and by the worker while it gives files back; taken before mu

	entries, envelopes, drafts, settlements, waiters sync.Pool

	stop      chan struct{} // closed when the goroutines shall end
	running   sync.WaitGroup
	clockKick chan struct{}
	workKick  chan struct{}
	loaded    chan struct{}
	worker    *worker

	acceptTold notices // the spool's goroutine's own

	flows     *flows
	failing   failing    // the lists are guarded by mu
	rebinding sync.Mutex // held by Rebind and RebindDomain; taken before mu

	mu     sync.Mutex // guards following
	tb     *table.Table
	bk     *table.Buckets
	index  table.Index
	wheel  table.Wheel
	lanes  map[string]*Lane
	closed bool // by Close or a failure: nothing new
	ended  bool // Close was called

	dests       []*dest           // by number, from 1 on
	destOf      map[string]uint32 // by domain: the first
	destFree    []uint32
	bucketsUsed int // in which something waits
	bindEpoch   uint64

	hot      []*entry
	hotFree  []uint32
	hotCount int
	hotBytes int64
	gens     []*generation // from genLow on
	genLow   uint64
	kept     entryList
	tried    entryList

	applies   []*settlement // synced, of moved messages, in the order of the log
	refused   []*settlement // that found no room in the spool
	unlinks   []mail.ID     // large files of messages that have ended
	committed spool.LSN     // end of the last record whose Committed has run
	logged    spool.LSN
	drops     map[uint32][]actionRef // what operators want of recipients in flight, by slot

	states    [numStates]int64 // recipients
	inherited int64            // recipients that Open has brought back
	unsynced  int64            // changes of recipients that are not synced
	messages  int64
	scan      countScan

	reapKeep, reapFree, slotScratch []uint32
}

// Open opens the queue in o.Dir and brings back all that waits there. It returns
// when fresh mail can move; the schedule of what waited is rebuilt in the
// background, until Loaded. Errors wrap ErrLocked, ErrDamaged or ErrVersion
// where those apply.
func Open(o Options) (*Queue, error) {
	q := &Queue{
		o: o, fs: o.FS, tb: table.New(), bk: table.NewBuckets(), flows: newFlows(),
		lanes: make(map[string]*Lane), dests: make([]*dest, 1), destOf: make(map[string]uint32),
		drops: make(map[uint32][]actionRef), stop: make(chan struct{}), loaded: make(chan struct{}),
		clockKick: make(chan struct{}, 1), workKick: make(chan struct{}, 1), failing: failing{kick: make(chan struct{}, 1)},
	}
	if err := q.prepare(); err != nil {
		return nil, err
	}
	var err error
	if q.lock, err = q.fs.Lock(q.fs.PathJoin(o.Dir, "queue.lock")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err := q.open(); err != nil {
		if errors.Is(err, ErrDamaged) && !o.Salvage {
			err = fmt.Errorf("%w; \"postrider run --salvage\" opens it without what cannot be read", err)
		}
		return nil, errors.Join(err, q.abandon())
	}
	return q, nil
}

// prepare fills in defaults and makes the folders.
func (q *Queue) prepare() error {
	o := &q.o
	if q.fs == nil {
		q.fs, q.ballast = vfs.Default, true
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	setDefault(&o.SegmentBytes, 64<<20)
	setDefault(&o.Segments, 8)
	setDefault(&o.LargeBytes, 256<<10)
	setDefault(&o.ColdBytes, 64<<20)
	setDefault(&o.MemoryBytes, 64<<20)
	setDefault(&o.HotMessages, 10_000)
	setDefault(&o.MaxInterval, 4*time.Hour)
	q.base = o.Clock()
	q.largeDir = q.fs.PathJoin(o.Dir, "large")
	if err := q.fs.MkdirAll(q.largeDir, 0o700); err != nil {
		return fmt.Errorf("make queue folder: %w", err)
	}
	for _, dir := range []string{o.Dir, q.fs.PathDir(o.Dir)} { // the names of the folders
		if err := cold.SyncDir(q.fs, dir); err != nil {
			return err
		}
	}
	q.setReserve()
	q.diskFree.Store(math.MaxUint64)
	q.inodesFree.Store(math.MaxUint64)
	if o.DiskFree == nil {
		o.DiskFree = q.statfs
		if _, _, err := q.statfs(); errors.Is(err, vfs.ErrUnsupported) {
			o.DiskFree = func() (uint64, uint64, error) { return math.MaxUint64, math.MaxUint64, nil }
		}
	}
	q.askDisk()
	q.diskAt.Store(o.Clock().UnixNano())
	return nil
}

func setDefault[T int | int64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// open recovers: rows first, since they say how far the log has taken effect;
// then the log, folded over them; then the goroutines.
func (q *Queue) open() error {
	var err error
	err = q.guard(func() (err error) {
		q.st, err = q.openStore()
		return err
	})
	if err != nil {
		return err
	}
	rc := &recovery{q: q, messages: make(map[mail.ID]*recovered)}
	if rc.applied, err = q.st.applied(); err != nil {
		return err
	}
	q.worker = &worker{q: q, st: q.st, touched: make(map[uint32]struct{}), written: rc.applied}
	if q.sp, err = q.openSpool(rc); err != nil {
		return err
	}
	q.lastTime = q.sp.LastTime()
	q.genLow, q.maxRecord = q.sp.Low(), q.sp.MaxRecord()
	// A generation is recycled only when the rows are synced past it. Of an empty
	// log this cannot be asked: it begins anew with each start.
	if q.genLow < q.sp.Current() && rc.applied.Gen < q.genLow {
		err := fmt.Errorf("%w: rows end at generation %d of the spool, which begins at %d", ErrDamaged, rc.applied.Gen, q.genLow)
		if !q.o.Salvage {
			return err
		}
		q.alarm("damage", err)
	}
	if err := q.loadCold(); err != nil {
		return err
	}
	if err := q.guard(func() error { return rc.finish(q.worker) }); err != nil {
		return err
	}
	q.committed = q.sp.Synced()
	if err := q.openRestored(); err != nil {
		return err
	}
	l, err := q.newLoader()
	if err != nil {
		return err
	}
	q.opened.Store(true)
	if q.restored.Load() {
		q.running.Add(1)
		go q.holdRestored()
	}
	q.running.Add(3)
	go q.runClock()
	go q.runWorker(q.worker)
	go l.run()
	return nil
}

func (q *Queue) openSpool(rc *recovery) (*spool.Spool, error) {
	so := spool.Options{
		FS: &patientFS{FS: q.fs, more: q.st.full.dropBallast}, Dir: q.o.Dir, SegmentBytes: q.o.SegmentBytes, Segments: q.o.Segments, Node: q.o.Node,
		Clock: q.o.Clock, Fatal: q.fail, Salvage: q.o.Salvage,
	}
	if m := q.o.Metrics; m != nil && m.Group != nil {
		so.OnGroup = func(g spool.GroupStats) { m.Group(g.Records, g.Bytes, g.Write, g.Sync) }
	}
	sp, err := spool.Open(so, rc.replay)
	switch {
	case err == nil:
		return sp, nil
	case errors.Is(err, spool.ErrLocked):
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	case errors.Is(err, spool.ErrDamaged):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	case errors.Is(err, spool.ErrVersion):
		return nil, fmt.Errorf("%w: %w", ErrVersion, err)
	}
	return nil, fmt.Errorf("open spool: %w", err)
}

// abandon closes what a failed Open has opened.
func (q *Queue) abandon() error {
	var err error
	if q.sp != nil {
		err = q.sp.Close()
	}
	if q.st != nil && !q.failed.Load() {
		err = errors.Join(err, q.st.db.Close())
	}
	return errors.Join(err, q.lock.Close())
}

// LastTime returns the latest time that was on record when the queue was opened:
// that of the last record, or of a clean end. It is zero for a new queue.
func (q *Queue) LastTime() time.Time { return q.lastTime }

// Loaded returns a channel that is closed when the schedule of what waited at
// Open is rebuilt.
func (q *Queue) Loaded() <-chan struct{} { return q.loaded }

// Close ends the queue: waiting calls of Next return nil, settlements that were
// made are synced, and what is leased comes back at the next Open. No draft and
// no listing may be under way. After a failure it only releases the folder. The
// end of ctx is reported, but the work is finished all the same.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return ErrClosed
	}
	q.ended = true
	q.shutLocked()
	q.mu.Unlock()
	close(q.stop)
	if q.failed.Load() {
		// Pebble may be stuck in what failed, and the worker in it; their log is
		// in the spool. The program is about to exit.
		q.waitBriefly()
		return errors.Join(ErrClosed, q.sp.Close(), q.lock.Close())
	}
	q.running.Wait()
	q.backedUp()
	err := q.sp.Close() // all that was appended is synced, all Committed have run
	if noRoom(err) && !q.failed.Load() {
		q.alarm("disk", fmt.Errorf("close spool: %w", err)) // it will take longer to open
		err = nil
	}
	if err = errors.Join(err, q.closeRows(), q.lock.Close(), ctx.Err()); err != nil {
		return fmt.Errorf("close queue: %w", err)
	}
	return nil
}

// closeRows closes Pebble and the cold segments. On a disk without room they are
// left as they are, and perhaps stuck in a write: the spool brings back what they
// lack.
func (q *Queue) closeRows() error {
	full := &q.st.full
	if full.gaveUp() {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		done <- q.guard(func() error {
			return errors.Join(q.worker.apply(), q.st.cold.Close(), q.st.db.Close())
		})
	}()
	select {
	case err := <-done:
		if err != nil && full.gaveUp() {
			return nil
		}
		return err
	case <-full.cut:
		return nil
	}
}

// waitBriefly waits for the goroutines, but not for one that is stuck.
func (q *Queue) waitBriefly() {
	done := make(chan struct{})
	go func() {
		q.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// shutLocked refuses what is new and wakes all who wait.
func (q *Queue) shutLocked() {
	q.closed = true
	q.dead.Store(true)
	for _, l := range q.lanes {
		for l.wakeLocked() {
		}
	}
	q.kickFailed()
}

// fail ends the queue after an error that leaves unknown what is on disk.
// Nothing is tried again: the program must exit and start anew.
func (q *Queue) fail(err error) {
	if q.failed.Swap(true) {
		return
	}
	q.mu.Lock()
	q.shutLocked()
	q.mu.Unlock()
	if q.o.Fatal != nil && q.opened.Load() { // else Open returns it
		q.o.Fatal(err)
	}
}

// alarm tells of what an operator must see.
func (q *Queue) alarm(kind string, err error) {
	if m := q.o.Metrics; m != nil && m.Alarm != nil {
		m.Alarm(kind, err)
	}
}
