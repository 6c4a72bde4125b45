package spool_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/internal/spool/frame"
)

// TestWriteAndSyncErrors fails, one after the other, every write and every sync of
// the segments while three records are always waiting. Fatal hears of it once,
// nothing is acknowledged from then on, nothing is synced again, and the log
// holds all that was acknowledged.
//
// Covers Q1, G1.
func TestWriteAndSyncErrors(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWriteAt, errorfs.OpFileSyncData} {
		step := 1
		if raceEnabled {
			step = 3
		}
		for n := 1; n < 40; n += step {
			failOnce(t, kind, n)
		}
	}
}

func failOnce(t *testing.T, kind errorfs.OpKind, n int) {
	mem := vfs.NewCrashableMem()
	o := small(mem)
	o.SegmentBytes = 16 << 10
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, o, nil)
		synctest.Wait() // until all segments are made
		mustClose(t, s)
	})

	var mu sync.Mutex
	var armed, failed bool
	var count, fatal, after int
	o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if failed && (op.Kind == errorfs.OpFileWriteAt || op.Kind == errorfs.OpFileSyncData) {
			after++
		}
		if armed && op.Kind == kind && strings.HasSuffix(op.Path, ".seg") {
			if count++; count == n {
				failed = true
				return errorfs.ErrInjected
			}
		}
		return nil
	}))
	o.Fatal = func(err error) {
		if !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("fatal: %v", err)
		}
		fatal++
	}
	s := mustOpen(t, o, nil)
	mu.Lock()
	armed = true
	mu.Unlock()
	var acked []mail.ID
	var bad error
	w := newWaiter()
	for range 14 {
		for range 3 {
			s.Append(&spool.Write{Kind: message, Yields: true, ID: s.NextID(), Body: make([]byte, 700), Committer: w})
		}
		for range 3 {
			wr := <-w.done
			switch {
			case wr.Err == nil && bad != nil:
				t.Fatalf("%v %d: acknowledged after %v", kind, n, bad)
			case wr.Err == nil:
				acked = append(acked, wr.ID)
			case bad == nil && !errors.Is(wr.Err, errorfs.ErrInjected):
				t.Fatalf("%v %d: first error is %v", kind, n, wr.Err)
			default:
				bad = wr.Err
			}
		}
		if bad == nil && s.Current() > s.Low()+1 {
			acked = nil
			s.Advance(s.Current())
		}
	}
	if bad != nil {
		if late := put(s, settle, mail.ID{}, nil, nil, false); !errors.Is(late.Err, spool.ErrClosed) {
			t.Fatalf("%v %d: a later append ends with %v", kind, n, late.Err)
		}
	}
	err := s.Close()
	if (bad == nil) != (err == nil) || (bad == nil) != (fatal == 0) || fatal > 1 || after > 0 {
		t.Fatalf("%v %d: %v, close %v, fatal %d times, %d writes and syncs after it", kind, n, bad, err, fatal, after)
	}
	o.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	var got []entry
	mustClose(t, mustOpen(t, o, collect(&got)))
	for _, id := range acked {
		if !slices.ContainsFunc(got, func(e entry) bool { return e.id == id }) {
			t.Fatalf("%v %d: acknowledged %v is lost", kind, n, id)
		}
	}
}

// TestUnsyncedPages kills the process, not the power, before a group is synced: the
// next opening reads it from memory and believes it, so it must be there after a
// power cut too.
//
// Covers G1.
func TestUnsyncedPages(t *testing.T) {
	mem := vfs.NewCrashableMem()
	o := small(mem)
	mustClose(t, mustOpen(t, o, nil))
	fail := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			return errorfs.ErrInjected
		}
		return nil
	})}
	o.FS = errorfs.Wrap(mem, fail)
	s := mustOpen(t, o, nil)
	fail.On()
	id := s.NextID()
	put(s, message, id, nil, []byte("written"), false)
	if err := s.Close(); err == nil {
		t.Fatal("the sync did not fail")
	}
	o.FS = mem
	want := []entry{{message, id, "written"}}
	for range 2 {
		var got []entry
		s := mustOpen(t, o, collect(&got))
		if !slices.Equal(got, want) {
			t.Fatalf("replayed %v", got)
		}
		crash := mem.CrashClone(vfs.CrashCloneCfg{})
		mustClose(t, s)
		o.FS = crash
	}
}

// TestHelperError lets the making of a new segment fail: the spool ends, loudly.
func TestHelperError(t *testing.T) {
	mem := vfs.NewMem()
	o := small(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, "hot-0002.seg") {
			return errorfs.ErrInjected
		}
		return nil
	})))
	fatal := make(chan error, 1)
	o.Fatal = func(err error) { fatal <- err }
	s := mustOpen(t, o, nil)
	if err := <-fatal; !errors.Is(err, errorfs.ErrInjected) {
		t.Fatal(err)
	}
	if w := put(s, message, s.NextID(), nil, nil, false); !errors.Is(w.Err, spool.ErrClosed) {
		t.Fatal(w.Err)
	}
	if err := s.Close(); !errors.Is(err, errorfs.ErrInjected) {
		t.Fatal(err)
	}
}

// TestLocked opens the same folder twice, and again after the first is closed.
func TestLocked(t *testing.T) {
	for _, fs := range []vfs.FS{vfs.NewMem(), vfs.Default} {
		o := small(fs)
		o.Dir = fs.PathJoin(t.TempDir(), "spool")
		if err := fs.MkdirAll(fs.PathDir(o.Dir), 0o700); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, o, nil)
		if _, err := spool.Open(o, nil); !errors.Is(err, spool.ErrLocked) {
			t.Fatal(err)
		}
		id := s.NextID()
		put(s, message, id, []byte("still"), []byte(" here"), false)
		mustClose(t, s)
		var got []entry
		mustClose(t, mustOpen(t, o, collect(&got)))
		if !slices.Equal(got, []entry{{message, id, "still here"}}) {
			t.Fatal(got)
		}
	}
}

// fillGeneration appends until the current generation is another.
func fillGeneration(t *testing.T, s *spool.Spool) *spool.Write {
	for gen := s.Current(); ; {
		w := put(s, message, s.NextID(), nil, make([]byte, 2000), false)
		if w.Err != nil {
			t.Fatal(w.Err)
		}
		if s.Current() != gen {
			return w
		}
	}
}

// TestRecycleWaits releases a generation that is pinned: its bytes stay until the
// pin is gone, and others are used in the meantime; without a pin a segment is
// free only when the release is on the disk.
//
// Covers G1.
func TestRecycleWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small(vfs.NewMem())
		s := mustOpen(t, o, nil)
		synctest.Wait() // the helper is done
		id := s.NextID()
		first := put(s, message, id, []byte("head"), content(id, 900), false)
		if !s.Pin(first.LSN.Gen) {
			t.Fatal("cannot pin a live generation")
		}
		fillGeneration(t, s)
		s.Advance(s.Current())
		if free, total := s.Usage(); free != 2 || total != 4 {
			t.Fatalf("%d of %d free before the release is recorded", free, total)
		}
		for range 7 {
			fillGeneration(t, s)
			s.Advance(s.Current())
			put(s, settle, id, nil, nil, false)
			if free, _ := s.Usage(); free != 2 {
				t.Fatalf("%d segments free while one is pinned", free)
			}
		}
		got := make([]byte, 900)
		if _, err := s.ReadAt(got, first.LSN.Gen, first.BodyAt); err != nil || !slices.Equal(got, first.Body) {
			t.Fatalf("a pinned body was overwritten (%v)", err)
		}
		s.Unpin(first.LSN.Gen)
		synctest.Wait()
		if free, _ := s.Usage(); free != 3 {
			t.Fatalf("%d segments free after the last pin", free)
		}
		if s.Pin(first.LSN.Gen) {
			t.Fatal("pinned a generation that is gone")
		}
		if _, err := s.ReadAt(got, first.LSN.Gen, first.BodyAt); !errors.Is(err, spool.ErrReleased) {
			t.Fatal(err)
		}
		mustClose(t, s)
	})
}

// TestFull fills the spool: messages are refused while settlements still go, at
// the very end these too, and a release makes room again. A record larger than a
// segment is refused by name.
func TestFull(t *testing.T) {
	o := small(vfs.NewMem())
	o.ReserveRecordBytes = 0 // two segments
	s := mustOpen(t, o, nil)
	id := s.NextID()
	for _, kind := range []frame.Kind{message, settle} {
		var n int
		for {
			w := put(s, kind, id, nil, make([]byte, 1000), false)
			if errors.Is(w.Err, spool.ErrFull) {
				break
			}
			if w.Err != nil {
				t.Fatal(w.Err)
			}
			n++
		}
		if n < 25 || n > 60 { // each takes 1536 bytes, as a group of its own
			t.Fatalf("%d records of kind %v went into two segments of 32 KiB", n, kind)
		}
	}
	for i := range int64(20) { // what is logged does not use up the room for a release
		s.SetLogged(spool.LSN{Gen: s.Current(), Off: i})
		put(s, settle, id, nil, make([]byte, 1000), false)
	}
	s.Advance(s.Current())
	if w := put(s, message, id, nil, make([]byte, 1000), false); w.Err != nil {
		t.Fatal(w.Err)
	}
	if w := put(s, message, id, nil, make([]byte, s.MaxRecord()+8), false); !errors.Is(w.Err, spool.ErrTooLarge) {
		t.Fatal(w.Err)
	}
	if w := put(s, settle, id, nil, make([]byte, s.MaxRecord()-8), false); w.Err != nil {
		t.Fatal(w.Err)
	}
	mustClose(t, s)
}

// TestCloseWhenStuck releases all segments of a full spool while they are pinned,
// more often than there is room to record it: it still closes, and the next
// opening makes room.
func TestCloseWhenStuck(t *testing.T) {
	o := small(vfs.NewMem())
	o.SegmentBytes, o.Segments = 16<<10, 14
	s := mustOpen(t, o, nil)
	full := func() {
		for put(s, settle, mail.ID{}, nil, make([]byte, 100), false).Err == nil {
		}
	}
	full()
	for gen := s.Low(); gen < s.Current(); gen++ {
		if !s.Pin(gen) {
			t.Fatal("cannot pin")
		}
		s.Advance(gen + 1)
		full()
	}
	if free, _ := s.Usage(); free != 0 || s.Low() == s.Current() {
		t.Fatalf("%d free, low %d, current %d", free, s.Low(), s.Current())
	}
	mustClose(t, s)
	s = mustOpen(t, o, nil)
	s.Advance(s.Current())
	if w := put(s, message, mail.ID{}, nil, nil, false); w.Err != nil {
		t.Fatal(w.Err)
	}
	mustClose(t, s)
}

// TestLazy has a lazy record go out by timer when nothing else does, at once with
// what is not lazy, and at Close; and a release that nothing follows too.
func TestLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var groups []int
		o := small(vfs.NewMem())
		o.LazyDelay = 0
		o.OnGroup = func(g spool.GroupStats) { groups = append(groups, g.Records) }
		s := mustOpen(t, o, nil)
		w := newWaiter()
		lazy := func() {
			s.Append(&spool.Write{Kind: settle, ID: s.NextID(), Lazy: true, Committer: w})
		}
		start := time.Now()
		for range 3 {
			lazy()
			synctest.Wait()
		}
		<-w.done
		if d := time.Since(start); d != 5*time.Millisecond {
			t.Fatalf("a lazy record went out after %v", d)
		}
		lazy()
		start = time.Now()
		put(s, message, s.NextID(), nil, nil, false)
		if d := time.Since(start); d != 0 {
			t.Fatalf("a record waited for %v", d)
		}
		fillGeneration(t, s)
		synctest.Wait()
		n := len(groups)
		s.Advance(s.Current())
		<-time.After(5 * time.Millisecond)
		synctest.Wait()
		if s.Low() != s.Current() || !slices.Equal(groups[n:], []int{0}) {
			t.Fatalf("low %d, current %d, groups %v", s.Low(), s.Current(), groups[n:])
		}
		lazy()
		mustClose(t, s)
		if !slices.Equal(groups[:2], []int{3, 2}) || !slices.Equal(groups[n:], []int{0, 1}) {
			t.Fatalf("groups %v", groups)
		}
		late := put(s, message, mail.ID{}, nil, nil, false)
		if !errors.Is(late.Err, spool.ErrClosed) {
			t.Fatal(late.Err)
		}
	})
}

// TestSyncsPerMessage counts the syncs of 64 writers when one takes 5 ms: at most
// one for ten messages.
//
// Covers Q2.
func TestSyncsPerMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var groups, records int
		o := spool.Options{
			FS: slowSync(vfs.NewMem(), 5*time.Millisecond), Dir: "spool", SegmentBytes: 1 << 20,
			OnGroup: func(g spool.GroupStats) { groups++; records += g.Records },
		}
		s := mustOpen(t, o, nil)
		var wg sync.WaitGroup
		body := make([]byte, 4<<10)
		for range 64 {
			wg.Go(func() {
				p := &sender{done: make(chan struct{}, 1)}
				for range 30 {
					if err := p.send(s, nil, body, frame.Sum(body)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		mustClose(t, s)
		if records != 64*30 || groups*10 > records {
			t.Fatalf("%d syncs for %d messages", groups, records)
		}
	})
}

// TestNothingWaitsForTheDisk lets a sync take an hour: every other call returns at
// once, since no lock is held across it.
//
// Covers C7.
func TestNothingWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small(slowSync(vfs.NewMem(), time.Hour))
		s := mustOpen(t, o, nil)
		w := newWaiter()
		start := time.Now()
		for range 3 {
			s.Append(&spool.Write{Kind: message, Yields: true, ID: s.NextID(), Committer: w})
			synctest.Wait() // the first is being synced now
		}
		gen := s.Current()
		if !s.Pin(gen) || s.Synced().Gen != gen || s.Low() > gen {
			t.Fatal("the current generation is not there")
		}
		if _, err := s.ReadAt(make([]byte, 8), gen, 0); err != nil {
			t.Fatal(err)
		}
		s.Unpin(gen)
		s.SetLogged(s.Synced())
		s.Advance(gen)
		s.Usage()
		if d := time.Since(start); d != 0 || len(w.done) != 0 {
			t.Fatalf("waited %v for the disk, %d records acknowledged early", d, len(w.done))
		}
		mustClose(t, s)
		if d := time.Since(start); d != 2*time.Hour || len(w.done) != 3 {
			t.Fatalf("%d records after %v", len(w.done), d)
		}
	})
}

// TestAppendAllocs pins the path of a record at no allocation.
func TestAppendAllocs(t *testing.T) {
	s := mustOpen(t, spool.Options{FS: vfs.NewMem(), Dir: "spool", SegmentBytes: 1 << 20, Segments: 5, ReserveRecordBytes: -1}, nil)
	p := &sender{done: make(chan struct{}, 1)}
	head, body := make([]byte, 300), make([]byte, 4<<10)
	if n := testing.AllocsPerRun(500, func() {
		if err := p.send(s, head, body, frame.Sum(body)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations a record", n)
	}
	mustClose(t, s)
}

// TestIDsAcrossClockSteps sets the clock back by ten years between openings, with
// and without a clean end, with and without records that would tell the time.
//
// Covers G1.
func TestIDsAcrossClockSteps(t *testing.T) {
	mem := vfs.NewCrashableMem()
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	incarnations := map[uint32]bool{}
	var last time.Time
	for i := range 12 {
		o := small(mem)
		o.Segments = 20
		o.Clock = func() time.Time { return now }
		s := mustOpen(t, o, nil)
		incarnations[s.Incarnation()] = true
		for range 5 {
			id := s.NextID()
			if seen[id.String()] || id.Time().Before(last) {
				t.Fatalf("opening %d: id %v of %v, last was %v", i, id, id.Time(), last)
			}
			seen[id.String()] = true
		}
		if i%2 == 0 {
			put(s, message, s.NextID(), nil, []byte(fmt.Sprint(i)), false)
		}
		if i%2 == 0 || i%3 == 0 { // the disk knows
			last = s.NextID().Time()
		}
		crash := mem.CrashClone(vfs.CrashCloneCfg{})
		mustClose(t, s)
		if i%3 > 0 {
			mem = crash
		}
		now = now.AddDate([]int{-10, 3, 8}[i%3], 0, 0)
	}
	if len(incarnations) != 12 {
		t.Fatalf("%d incarnations in 12 openings", len(incarnations))
	}
}
