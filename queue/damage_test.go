package queue

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/mail"
	"postrider/queue/internal/rows"
)

// flip inverts the first place where mark stands in a file below dir.
func flip(t *testing.T, fs vfs.FS, dir, suffix, mark string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		f, err := fs.OpenReadWrite(path, "test")
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, info.Size())
		if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		at := bytes.Index(b, []byte(mark))
		if at >= 0 {
			if _, err := f.WriteAt([]byte{mark[0] ^ 1}, int64(at)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if at >= 0 {
			return
		}
	}
	t.Fatalf("%q is in no file", mark)
}

// A text that is damaged in the hot spool, in a cold segment or in its own file
// is reported by the reader before its end, the message can be quarantined, and
// the others go on.
//
// Covers G5.
func TestDamagedTextIsQuarantined(t *testing.T) {
	for _, where := range []string{"hot", "cold", "large"} {
		t.Run(where, func(t *testing.T) {
			fs := vfs.NewMem()
			q := open(t, fs, func(o *Options) { o.MemoryBytes, o.HotMessages = 120<<10, 1; o.SegmentBytes = 512 << 10 })
			pad := strings.Repeat("p", 1000)
			dir, suffix, state := "q", ".seg", Ready
			if where == "large" {
				pad = strings.Repeat("p", 40_000)
				dir, suffix = "q/large", ""
			}
			bad := put(t, q, "BADBADBAD"+pad, "u@a.example")
			good := put(t, q, "GOODGOOD"+pad, "u@a.example")
			if where == "cold" {
				dir, suffix, state = "q/cold", ".cold", Deferred
				settleAll(t, q, Deferred, time.Now().Add(time.Second))
				for range 2 {
					put(t, q, "more", "u@b.example")
					settleAll(t, q, Deferred, time.Now().Add(time.Hour))
				}
				until(t, "both are moved", func() bool { return q.Counts().HotMessages <= 1 })
			}
			for n := 0; q.kept.n > 0; n++ { // push texts out of memory
				if err := q.room(120 << 10); err != nil {
					t.Fatal(err)
				}
			}
			flip(t, fs, dir, suffix, "BADBADBAD")
			seen := 0
			l := q.Lane("lane-a.example")
			for range 2 {
				j := l.Next(t.Context(), 10*time.Second, Lease{MaxRecipients: 1}, nil)
				_, err := io.Copy(io.Discard, j.Body.Reader())
				switch {
				case j.Envelope.ID == bad && errors.Is(err, mail.ErrCorrupt):
					seen++
					j.Settle(all(j, Quarantined, time.Time{}))
				case j.Envelope.ID == good && err == nil:
					seen++
					j.Settle(all(j, Delivered, time.Time{}))
				default:
					t.Fatalf("%v: %v", j.Envelope.ID, err)
				}
			}
			if seen != 2 || q.Counts().States[Quarantined].Recipients != 1 {
				t.Errorf("saw %d, counts %+v; wanted %v", seen, q.Counts().States, state)
			}
			if err := q.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func openOnce(t *testing.T, fs vfs.FS) error {
	t.Helper()
	q, err := Open(Options{FS: fs, Dir: "q", SegmentBytes: 256 << 10, Segments: 4})
	if err == nil {
		_ = q.Close(t.Context())
	}
	return err
}

// A store that lacks what its log says it has, or that a newer program wrote, is
// refused; so is a second opening.
//
// Covers G5, G7.
func TestOpenRefuses(t *testing.T) {
	fs := vfs.NewMem()
	q := open(t, fs, func(o *Options) { o.HotMessages = 1 })
	if err := openOnce(t, fs); !errors.Is(err, ErrLocked) {
		t.Errorf("second opening: %v", err)
	}
	old := vfs.NewMem()
	if _, err := vfs.Clone(fs, old, "q/rows", "q/rows"); err != nil {
		t.Fatal(err)
	}
	// Enough for generations to be recycled past the copied rows.
	for range 60 {
		put(t, q, strings.Repeat("x", 20_000), "u@a.example")
		settleAll(t, q, Deferred, time.Now().Add(time.Hour))
		q.Logged(q.LogMark())
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("cold segment missing", func(t *testing.T) {
		c := clone(t, fs)
		names, _ := c.List("q/cold")
		if err := c.Remove("q/cold/" + names[0]); err != nil {
			t.Fatal(err)
		}
		if err := openOnce(t, c); !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
	t.Run("rows of an earlier day", func(t *testing.T) {
		c := clone(t, fs)
		if err := c.RemoveAll("q/rows"); err != nil {
			t.Fatal(err)
		}
		if _, err := vfs.Clone(old, c, "q/rows", "q/rows"); err != nil {
			t.Fatal(err)
		}
		if err := openOnce(t, c); !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
	t.Run("newer rows", func(t *testing.T) {
		c := clone(t, fs)
		db, err := pebble.Open("q/rows", &pebble.Options{FS: c, FormatMajorVersion: pebble.FormatNewest})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Set([]byte{rows.PrefixStoreVersion}, []byte{rows.Version + 1}, pebble.Sync), db.Close()); err != nil {
			t.Fatal(err)
		}
		if err := openOnce(t, c); !errors.Is(err, ErrVersion) {
			t.Error(err)
		}
	})
	if err := openOnce(t, clone(t, fs)); err != nil {
		t.Errorf("an untouched copy: %v", err)
	}
}

func clone(t *testing.T, fs vfs.FS) vfs.FS {
	t.Helper()
	c := vfs.NewMem()
	if _, err := vfs.Clone(fs, c, "q", "q"); err != nil {
		t.Fatal(err)
	}
	return c
}

// The log of rows is written in the encoding that notices a flipped byte, from
// the first record of a new store on.
//
// Covers G5.
func TestRowsLogNoticesDamage(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs, func(o *Options) { o.HotMessages = 1 })
	low := q.sp.Low()
	for n := 0; n < 400 || q.sp.Low() == low; n++ { // until a generation was recycled, which syncs the rows
		put(t, q, strings.Repeat("x", 2000), "u@a.example")
		settleAll(t, q, Deferred, time.Now().Add(time.Hour))
		q.Logged(q.LogMark())
	}
	for range 100 { // the log says only later what was synced
		put(t, q, "x", "u@a.example")
		settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	}
	until(t, "messages are moved", func() bool { return q.Counts().HotMessages <= 1 })
	after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	flip(t, after, "q/rows", ".log", "a.example")
	if err := openOnce(t, after); !errors.Is(err, ErrDamaged) {
		t.Errorf("opened with a flipped byte in the rows' log: %v", err)
	}
}

// After a failed sync nothing is promised, nothing handed out, and the program
// is told once; what was acknowledged before is there after the restart.
//
// Covers G1, Q1.
func TestSyncFails(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.Contains(op.Path, ".seg") && op.Kind == errorfs.OpFileSyncData {
			return errorfs.ErrInjected
		}
		return nil
	}))
	var fatal atomic.Int32
	q := open(t, fs, func(o *Options) { o.Fatal = func(error) { fatal.Add(1) } })
	kept := put(t, q, "kept", "u@a.example")
	broken.Store(true)
	for range 3 {
		d, err := q.NewDraft(0)
		if err != nil {
			if !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			continue
		}
		d.Envelope().AddRecipient([]byte("u@b.example"), 0, nil)
		if err := d.Commit(t.Context()); err == nil {
			t.Error("promised without a sync")
		}
	}
	if j := q.Lane("lane-a.example").Next(t.Context(), 0, Lease{}, nil); j != nil {
		t.Error("leased after the failure")
	}
	_ = q.Close(t.Context())
	if n := fatal.Load(); n != 1 {
		t.Errorf("told %d times", n)
	}
	q = open(t, mem.CrashClone(vfs.CrashCloneCfg{}))
	if j := q.Lane("lane-a.example").Next(t.Context(), 0, Lease{}, nil); j == nil || j.Envelope.ID != kept {
		t.Errorf("leased %+v", j)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// An error on the log of rows is fatal, too; messages are safe in the spool.
//
// Covers G1.
func TestRowsLogFails(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.Contains(op.Path, "q/rows") && strings.HasSuffix(op.Path, ".log") {
			return errorfs.ErrInjected
		}
		return nil
	}))
	fatal := make(chan error, 10)
	q := open(t, fs, func(o *Options) {
		o.Fatal = func(err error) { fatal <- err }
		o.HotMessages = 1
		o.SegmentBytes = 1 << 20
	})
	broken.Store(true)
	ids := map[mail.ID]bool{}
	for len(fatal) == 0 && len(ids) < 2000 {
		d, err := q.NewDraft(0)
		if err != nil {
			break
		}
		id := d.Envelope().ID
		d.Envelope().AddRecipient([]byte("u@a.example"), 0, nil)
		if d.Commit(t.Context()) == nil {
			ids[id] = true
		}
		settleAll(t, q, Deferred, time.Now())
		q.Logged(q.LogMark())
		if q.Counts().SegmentsFree == 0 {
			break
		}
	}
	if err := <-fatal; !strings.Contains(err.Error(), "injected") {
		t.Error(err)
	}
	_ = q.Close(t.Context())
	if len(fatal) != 0 {
		t.Error("told twice")
	}
	q = open(t, mem.CrashClone(vfs.CrashCloneCfg{}))
	err := q.List(t.Context(), Filter{}, func(it *Item) bool { delete(ids, it.Envelope.ID); return true })
	if err != nil || len(ids) != 0 {
		t.Errorf("%d are lost: %v", len(ids), err)
	}
	if err := q.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// A damaged block of rows costs the messages in it, with an alarm; the others are
// loaded and delivered, and fresh mail moves.
//
// Covers G5.
func TestDamagedRowsSpareTheOthers(t *testing.T) {
	fs := vfs.NewMem()
	small := func(o *Options) { o.HotMessages, o.SegmentBytes = 1, 1<<20 }
	q := open(t, fs, small)
	n, step := int64(2000), int64(40)
	if raceEnabled {
		n, step = 1000, 300
	}
	for range n {
		put(t, q, "x", "u@a.example")
	}
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	until(t, "moved", func() bool { return q.Counts().HotMessages <= 1 })
	if err := q.st.db.Flush(); err != nil { // so that the rows are in tables
		t.Fatal(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	hits, refusals := 0, 0
	for part := int64(100); part < 960; part += step {
		c := clone(t, fs)
		flipAt(t, c, "q/rows", ".sst", part)
		alarms := atomic.Int64{}
		q, err := Open(Options{
			FS: c, Dir: "q", SegmentBytes: 1 << 20, Segments: 4, HotMessages: 1, Bind: func(d, _ []byte) string { return string(d) },
			Metrics: &Metrics{Alarm: func(string, error) { alarms.Add(1) }},
		})
		if err != nil { // the damage is where it says what there is: refused
			refusals++
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("part %d: %v", part, err)
			}
			salvageRows(t, c, n, small)
			continue
		}
		<-q.Loaded()
		got := q.Counts().States[Deferred].Recipients
		if got < n*8/10 || got < n && alarms.Load() == 0 {
			t.Errorf("part %d: %d of %d loaded, %d alarms", part, got, n, alarms.Load())
		}
		if got < n {
			hits++
		}
		put(t, q, "fresh", "u@b.example")
		j := q.Lane("b.example").Next(t.Context(), time.Second, Lease{}, nil)
		j.Settle(all(j, Delivered, time.Time{}))
		// Ending all of them meets the damage again, in whatever rows it is.
		if _, err := q.Drop(t.Context(), Filter{}, "", nil); err != nil {
			t.Error(err)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if hits == 0 || refusals == 0 {
		t.Errorf("%d times recipients' rows were hit, %d times what tells of the others", hits, refusals)
	}
}

// salvageRows opens rows of which the queue could not be opened: with a salvage,
// and then without one again, unless a row that the log asks for cannot be read
// still. No text is taken for unused.
func salvageRows(t *testing.T, fs vfs.FS, n int64, small func(*Options)) {
	t.Helper()
	before, err := fs.List("q/cold")
	if err != nil {
		t.Fatal(err)
	}
	for _, salvage := range []bool{true, false} {
		if !salvage && refusedForARow(t, fs) {
			return // each start needs a salvage then
		}
		q := open(t, fs, small, func(o *Options) { o.Salvage = salvage })
		<-q.Loaded()
		after, err := fs.List("q/cold")
		if err != nil || len(after) < len(before) {
			t.Errorf("%d of %d cold segments are left: %v", len(after), len(before), err)
		}
		if got := q.Counts().States[Deferred].Recipients; got < n*8/10 {
			t.Errorf("salvage %v: %d of %d loaded", salvage, got, n)
		}
		put(t, q, "fresh", "u@b.example")
		j := q.Lane("lane-b.example").Next(t.Context(), time.Second, Lease{}, nil)
		j.Settle(all(j, Delivered, time.Time{}))
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Damage of the row that recovery looks at last is as good as any other: a salvage
// opens the queue.
//
// Covers G5.
func TestSalvageWithTheLastRowDamaged(t *testing.T) {
	fs := vfs.NewMem()
	small := func(o *Options) { o.HotMessages, o.SegmentBytes = 1, 256<<10 }
	q := open(t, fs, small)
	const n = 500
	var last mail.ID
	for range n {
		last = put(t, q, "x", "u@a.example")
	}
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	until(t, "moved", func() bool { return q.Counts().HotMessages <= 1 })
	if err := q.st.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := 0
	for part := int64(2); part < 1000 && found < 2; part += 3 {
		flipAt(t, fs, "q/rows", ".sst", part)
		hit := damagedRow(fs, last)
		var c vfs.FS
		if hit {
			c = clone(t, fs)
		}
		flipAt(t, fs, "q/rows", ".sst", part) // as it was
		if !hit {
			continue
		}
		found++
		if _, err := Open(Options{
			FS: c, Dir: "q", SegmentBytes: 256 << 10, Segments: 4, HotMessages: 1, Bind: func(d, _ []byte) string { return string(d) },
		}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("part %d: %v", part, err)
		}
		salvageRows(t, c, n, small)
	}
	if found == 0 {
		t.Error("the last row was not hit")
	}
}

// refusedForARow reports that the queue cannot be opened without a salvage, for no
// other reason than a damaged message's row.
func refusedForARow(t *testing.T, fs vfs.FS) bool {
	t.Helper()
	q, err := Open(Options{
		FS: fs, Dir: "q", SegmentBytes: 256 << 10, Segments: 4, HotMessages: 1, Bind: func(d, _ []byte) string { return "lane-" + string(d) },
	})
	if err == nil {
		<-q.Loaded()
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
		return false
	}
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "row of message") {
		t.Error(err)
	}
	return true
}

// damagedRow reports that a message's row cannot be read.
func damagedRow(fs vfs.FS, id mail.ID) bool {
	db, err := pebble.Open("q/rows", &pebble.Options{FS: fs, ReadOnly: true, Logger: silent{}})
	if err != nil {
		return false
	}
	defer db.Close() // only read
	_, closer, err := db.Get(rows.Message(nil, id))
	if err == nil {
		_ = closer.Close()
	}
	return pebble.IsCorruptionError(err)
}

// silent is a log that nobody reads.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// flipAt inverts a byte in the middle of the largest file with the suffix: at
// part thousandths of it.
func flipAt(t *testing.T, fs vfs.FS, dir, suffix string, part int64) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	best, size := "", int64(0)
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err == nil && strings.HasSuffix(name, suffix) && info.Size() > size {
			best, size = name, info.Size()
		}
	}
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, best), "test")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, size*part/1000); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x55
	_, err = f.WriteAt(b, size*part/1000)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A log that is damaged in its middle is refused; a salvage opens it, brings what
// can be read, and holds the messages whose records were hit.
//
// Covers G5.
func TestSalvage(t *testing.T) {
	fs := vfs.NewMem()
	q := open(t, fs)
	ids := map[mail.ID]bool{}
	for n := range 30 {
		text := strings.Repeat("x", 500)
		if n == 10 {
			text = "HEREHERE" + text
		}
		ids[put(t, q, text, "someone@a.example")] = true
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	flip(t, fs, "q", ".seg", "someone@a.example")
	if err := openOnce(t, fs); !errors.Is(err, ErrDamaged) {
		t.Fatalf("opened a damaged log: %v", err)
	}
	q = open(t, fs, func(o *Options) { o.Salvage = true })
	n := 0
	err := q.List(t.Context(), Filter{}, func(it *Item) bool {
		n++
		return ids[it.Envelope.ID]
	})
	if err != nil || n < 29 {
		t.Errorf("%d of 30 are left: %v", n, err)
	}
	put(t, q, "fresh", "u@b.example")
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := openOnce(t, fs); err != nil {
		t.Errorf("after the salvage: %v", err)
	}
}
