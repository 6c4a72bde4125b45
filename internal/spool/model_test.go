package spool_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/internal/spool/frame"
)

// world is what a caller of the spool knows and may expect, over many openings,
// crashes and steps of the clock.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	clock atomic.Int64 // Unix milliseconds

	mu sync.Mutex
	// guards following
	boot   int                   // the opening whose news count
	sent   map[mail.ID]entry     // everything ever appended
	issued map[mail.ID]bool      // ids of NextID
	acked  map[mail.ID]spool.LSN // acknowledged, and by what is known still in the log
	ends   map[mail.ID]spool.LSN
	want   uint64    // Advance was called with it
	logged spool.LSN // SetLogged was
	low    uint64    // seen in Low: nothing below may ever come back
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)),
		sent: map[mail.ID]entry{}, issued: map[mail.ID]bool{},
		acked: map[mail.ID]spool.LSN{}, ends: map[mail.ID]spool.LSN{},
	}
	w.clock.Store(1_800_000_000_000)
	return w
}

// cut is a power cut: the disk afterwards, and what was promised before.
type cut struct {
	fs        *vfs.MemFS
	acked     map[mail.ID]spool.LSN
	want, low uint64
	logged    spool.LSN
}

// after takes a power cut at this moment. unsynced is the chance in percent that
// a block which was written and not synced has reached the disk.
func (w *world) after(fs *vfs.MemFS, s *spool.Spool, unsynced int, rng *rand.Rand) *cut {
	w.mu.Lock()
	if s != nil {
		w.low = max(w.low, s.Low())
	}
	c := &cut{acked: maps.Clone(w.acked), want: w.want, low: w.low, logged: w.logged}
	w.mu.Unlock()
	c.fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
	return c
}

// ender is the Committer of one opening.
type ender struct {
	w    *world
	boot int
	wg   sync.WaitGroup
}

func (e *ender) Committed(wr *spool.Write) {
	defer e.wg.Done()
	w := e.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.boot != e.boot {
		return
	}
	if wr.Err == nil {
		w.acked[wr.ID], w.ends[wr.ID] = wr.LSN, wr.End
	} else if !errors.Is(wr.Err, spool.ErrFull) && !errors.Is(wr.Err, spool.ErrClosed) {
		w.t.Errorf("append: %v", wr.Err)
	}
}

// open opens the spool on the disk of c and compares what comes back.
func (w *world) open(fs vfs.FS, c *cut, o spool.Options) (*spool.Spool, *ender) {
	w.t.Helper()
	w.mu.Lock()
	w.boot++
	e := &ender{w: w, boot: w.boot}
	w.acked, w.ends = map[mail.ID]spool.LSN{}, map[mail.ID]spool.LSN{}
	w.mu.Unlock()
	o.FS = fs
	o.Clock = func() time.Time { return time.UnixMilli(w.clock.Load()) }
	var last spool.LSN
	highest := int64(0)
	s, err := spool.Open(o, func(r *spool.Recovered) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		known, ok := w.sent[r.ID]
		switch {
		case !ok || known.kind != r.Kind || known.text != string(r.Payload):
			return fmt.Errorf("wrong record %v at %v", r.ID, r.LSN)
		case r.LSN.Compare(last) < 0 || r.End.Compare(r.LSN) <= 0:
			return fmt.Errorf("record at %v after one that ends at %v", r.LSN, last)
		case r.LSN.Gen < c.low:
			return fmt.Errorf("record at %v came back though all below %d is released", r.LSN, c.low)
		case !r.AfterLogged && r.End.Compare(c.logged) > 0:
			return fmt.Errorf("record at %v counts as logged", r.LSN)
		}
		if at, ok := c.acked[r.ID]; ok && at != r.LSN {
			return fmt.Errorf("record %v moved from %v to %v", r.ID, at, r.LSN)
		}
		last = r.End
		highest = max(highest, r.ID.Time().UnixMilli())
		w.acked[r.ID], w.ends[r.ID] = r.LSN, r.End
		delete(c.acked, r.ID)
		return nil
	})
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	for id, at := range c.acked {
		if at.Gen >= c.want {
			w.t.Fatalf("acknowledged record %v at %v is lost", id, at)
		}
	}
	if id := s.NextID(); id.Time().UnixMilli() < highest {
		w.t.Fatalf("id %v is older than a record", id)
	}
	return s, e
}

// id draws an id and makes sure that it is new.
func (w *world) id(s *spool.Spool) mail.ID {
	id := s.NextID()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.issued[id] {
		w.t.Fatalf("id %v was issued twice", id)
	}
	w.issued[id] = true
	return id
}

// append appends one record without waiting.
func (w *world) append(s *spool.Spool, e *ender, size int, lazy bool) {
	id := w.id(s)
	text := content(id, size)
	cut := w.rng.IntN(size + 1)
	kind := frame.Kind(1 + w.rng.IntN(3))
	w.mu.Lock()
	w.sent[id] = entry{kind, id, string(text)}
	w.mu.Unlock()
	e.wg.Add(1)
	s.Append(&spool.Write{Kind: kind, Yields: kind == message, ID: id, Head: text[:cut], Body: text[cut:], Lazy: lazy, Committer: e})
}

// step does one random thing.
func (w *world) step(s *spool.Spool, e *ender) {
	switch n := w.rng.IntN(20); {
	case n < 12:
		for range 1 + w.rng.IntN(6) {
			size := w.rng.IntN(1200)
			if w.rng.IntN(30) == 0 {
				size = w.rng.IntN(int(s.MaxRecord()) + 1)
			}
			w.append(s, e, size, w.rng.IntN(3) == 0)
		}
		if w.rng.IntN(2) == 0 {
			e.wg.Wait()
		}
	case n < 16:
		w.advance(s, s.Current()-uint64(w.rng.IntN(2)))
	case n < 18:
		w.setLogged(s)
	case n < 19:
		if gen := s.Low(); s.Pin(gen) {
			w.advance(s, s.Current())
			w.append(s, e, 100, false)
			s.Unpin(gen)
		}
	default:
		w.clock.Add(int64(w.rng.IntN(1000)) * 86_400_000 * int64(w.rng.IntN(3)-1))
	}
}

func (w *world) setLogged(s *spool.Spool) {
	l := s.Synced()
	w.mu.Lock()
	w.logged = l
	w.mu.Unlock()
	s.SetLogged(l)
}

func (w *world) advance(s *spool.Spool, low uint64) {
	w.mu.Lock()
	w.want = max(w.want, low)
	w.mu.Unlock()
	s.Advance(low)
}

// TestPowerCuts runs the spool through thousands of power cuts, at a random
// moment of a random life each, during recovery too. Nothing acknowledged is
// lost, nothing released returns, nothing is replayed that was not written, and
// no id is issued twice, while the clock steps back and forth by years.
//
// Covers Q1, G1.
func TestPowerCuts(t *testing.T) {
	worlds, cuts := 40, 60
	if raceEnabled {
		worlds = 8
	}
	for seed := range uint64(worlds) {
		w := newWorld(t, seed)
		o := small(nil)
		o.SegmentBytes = 16 << 10
		o.Segments = 3 + w.rng.IntN(3)
		o.GroupRecords = 1 + w.rng.IntN(8)
		o.LazyDelay = 100 * time.Microsecond
		c := w.after(vfs.NewCrashableMem(), nil, 0, nil)
		for range cuts {
			c = w.live(c, o)
		}
		c = &cut{fs: c.fs, acked: c.acked, want: c.want, low: c.low, logged: c.logged}
		s, _ := w.open(c.fs, c, o)
		mustClose(t, s)
	}
}

// live opens the spool, does random things, and ends in a power cut or cleanly.
func (w *world) live(c *cut, o spool.Options) *cut {
	at := int64(w.rng.IntN(150))
	unsynced := []int{0, 0, 30, 70, 100}[w.rng.IntN(5)]
	n, _ := w.run(c, o, at, unsynced, func(s *spool.Spool, e *ender, more func() bool) {
		for more() && w.rng.IntN(40) > 0 {
			w.step(s, e)
		}
	})
	return n
}

// run opens the spool on the disk of c, lets act use it, and closes it. The power
// is cut before the at-th operation that changes the disk, wherever that is. It
// returns the disk and whether there was a cut.
func (w *world) run(
	c *cut, o spool.Options, at int64, unsynced int,
	act func(s *spool.Spool, e *ender, more func() bool),
) (*cut, bool) {
	mem := c.fs
	rng := rand.New(rand.NewPCG(w.rng.Uint64(), 2))
	before := maps.Clone(c.acked)
	var ops atomic.Int64
	var s atomic.Pointer[spool.Spool]
	var taken atomic.Pointer[cut]
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && ops.Add(1) == at {
			n := w.after(mem, s.Load(), unsynced, rng)
			if s.Load() == nil { // still recovering: what was promised before holds
				n.acked = before
			}
			taken.Store(n)
		}
		return nil
	}))
	opened, e := w.open(fs, c, o)
	s.Store(opened)
	act(opened, e, func() bool { return taken.Load() == nil })
	mustClose(w.t, opened)
	e.wg.Wait()
	if n := taken.Load(); n != nil {
		return n, true
	}
	return w.after(mem, opened, 0, nil), false
}

// TestPowerCutAtEveryOperation cuts the power before each single operation of a
// life that fills segments, releases generations and uses their files again, and
// then of the opening after it.
//
// Covers Q1, G1.
func TestPowerCutAtEveryOperation(t *testing.T) {
	o := small(nil)
	o.SegmentBytes, o.Segments, o.LazyDelay = 16<<10, 3, 50*time.Microsecond
	act := func(w *world, s *spool.Spool, e *ender) {
		for i := range 14 {
			w.append(s, e, 1900+100*(i%3), i%4 == 0)
			e.wg.Wait()
			if i%5 == 4 {
				w.setLogged(s)
				w.advance(s, s.Current())
			}
		}
	}
	survives := []int{0, 50, 100} // percent of what is not synced
	if raceEnabled {
		survives = survives[1:2]
	}
	for _, unsynced := range survives {
		cut := true
		for n := int64(1); cut; n++ {
			w := newWorld(t, uint64(n))
			c := w.after(vfs.NewCrashableMem(), nil, 0, nil)
			c, cut = w.run(c, o, n, unsynced, func(s *spool.Spool, e *ender, _ func() bool) { act(w, s, e) })
			// The opening after it is cut off too, each time one operation later.
			c, _ = w.run(c, o, n%30+1, unsynced, func(s *spool.Spool, e *ender, _ func() bool) {
				w.append(s, e, 10, false)
			})
			s, _ := w.open(c.fs, c, o)
			mustClose(t, s)
			if !cut && n < 40 {
				t.Fatalf("the life has only %d operations", n)
			}
		}
	}
}
