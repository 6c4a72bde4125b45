package spool_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
)

// kept is what a test knows of an archive: the acknowledged records, with where
// they are, and the generations that it has removed.
type kept struct {
	o       spool.Options
	at      map[mail.ID]*spool.Write
	removed map[uint64]bool
	end     spool.LSN
}

func newKept(fs vfs.FS) *kept {
	o := small(fs)
	o.Archive, o.SegmentBytes = true, 16<<10
	return &kept{o: o, at: make(map[mail.ID]*spool.Write), removed: make(map[uint64]bool)}
}

func (k *kept) put(t *testing.T, s *spool.Spool, n int) *spool.Write {
	t.Helper()
	id := s.NextID()
	w := put(s, message, id, content(id, 20), content(id, n), false)
	if w.Err != nil {
		t.Fatal(w.Err)
	}
	k.at[id], k.end = w, w.End
	return w
}

// open opens the archive from the given place and checks the replay and a walk
// through every sealed generation.
func (k *kept) open(t *testing.T, from spool.LSN) *spool.Spool {
	t.Helper()
	o := k.o
	o.From = from
	got := make(map[mail.ID]bool)
	seen := spool.LSN{}
	s := mustOpen(t, o, func(r *spool.Recovered) error {
		if r.End.Compare(from) <= 0 || r.LSN.Compare(seen) < 0 {
			t.Fatalf("replayed %v after %v from %v", r.LSN, seen, from)
		}
		seen, got[r.ID] = r.End, true
		return nil
	})
	present := make(map[uint64]bool)
	for _, g := range s.Generations(nil) {
		present[g.Gen] = true
		if g.Gen == s.Current() {
			if _, err := s.Walk(g.Gen, false, nil); !errors.Is(err, spool.ErrCurrent) {
				t.Fatal(err)
			}
			continue
		}
		if _, err := s.Walk(g.Gen, false, func(r *spool.Recovered) error {
			if w := k.at[r.ID]; w != nil && (w.LSN != r.LSN || w.BodyAt != r.BodyAt || string(w.Body) != string(r.Body)) {
				t.Fatalf("generation %d: a record changed", g.Gen)
			}
			got[r.ID] = got[r.ID] || r.End.Compare(from) <= 0
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for id, w := range k.at {
		if !got[id] && !k.removed[w.LSN.Gen] {
			t.Fatalf("the record at %v is lost, from %v", w.LSN, from)
		}
		if k.removed[w.LSN.Gen] && !present[w.LSN.Gen] {
			delete(k.at, id)
		}
	}
	for gen := range present {
		delete(k.removed, gen) // it came back: the power went before it was on disk
	}
	return s
}

// TestArchiveModel appends, removes generations out of order, loses power and opens
// again from some place: what was acknowledged is there unless it was removed.
//
// Covers G5.
func TestArchiveModel(t *testing.T) {
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewCrashableMem()
		k := newKept(fs)
		s := k.open(t, spool.LSN{})
		var applied spool.LSN
		for range 120 {
			switch rng.IntN(12) {
			case 0:
				gens := s.Generations(nil)
				if g := gens[rng.IntN(len(gens))].Gen; g < s.Current() && g < applied.Gen {
					k.removed[g] = true
					if err := s.Remove(g); err != nil {
						t.Fatal(err)
					}
				}
			case 1:
				applied = k.end
			case 2:
				if rng.IntN(2) == 0 {
					mustClose(t, s)
				} else {
					old := s
					fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
					mustClose(t, old)
					k.o.FS = fs
				}
				s = k.open(t, applied)
			default:
				k.put(t, s, rng.IntN(6000))
			}
		}
		mustClose(t, s)
		names, err := fs.List("spool")
		if err != nil {
			t.Fatal(err)
		}
		segments := 0
		for _, name := range names {
			if strings.HasPrefix(name, "log-") {
				segments++
			}
		}
		s = k.open(t, applied)
		gens := s.Generations(nil)
		for _, g := range gens {
			if k.removed[g.Gen] {
				t.Fatalf("generation %d is back after a clean end", g.Gen)
			}
		}
		if segments > len(gens)+1 {
			t.Fatalf("%d files for %d generations", segments, len(gens))
		}
		mustClose(t, s)
	}
}

// TestArchivePin removes a generation that is being read: it stays readable until
// the last pin is gone.
func TestArchivePin(t *testing.T) {
	fs := vfs.NewMem()
	k := newKept(fs)
	s := k.open(t, spool.LSN{})
	first := k.put(t, s, 9000)
	for range 4 {
		k.put(t, s, 9000)
	}
	if err := s.Remove(s.Current()); !errors.Is(err, spool.ErrCurrent) {
		t.Fatal(err)
	}
	if !s.Pin(first.LSN.Gen) {
		t.Fatal("not there")
	}
	if err := s.Remove(first.LSN.Gen); err != nil {
		t.Fatal(err)
	}
	k.put(t, s, 100)
	p := make([]byte, 9000)
	if _, err := s.ReadAt(p, first.LSN.Gen, first.BodyAt); err != nil || string(p) != string(first.Body) {
		t.Fatal("a pinned generation cannot be read", err)
	}
	s.Unpin(first.LSN.Gen)
	k.put(t, s, 100)
	mustClose(t, s)
	k.removed[first.LSN.Gen] = true
	s = k.open(t, spool.LSN{})
	if s.Pin(first.LSN.Gen) {
		t.Fatal("still there")
	}
	if err := s.Remove(first.LSN.Gen); !errors.Is(err, spool.ErrReleased) {
		t.Fatal(err)
	}
	mustClose(t, s)
}

// TestArchiveLoss takes a file away that was not removed, and then the log's end:
// both are damage, and named when salvaged.
func TestArchiveLoss(t *testing.T) {
	build := func() (*vfs.MemFS, *kept) {
		fs := vfs.NewCrashableMem()
		k := newKept(fs)
		s := k.open(t, spool.LSN{})
		for range 12 {
			k.put(t, s, 5000)
		}
		for _, g := range []uint64{2, 3} {
			k.removed[g] = true
			if err := s.Remove(g); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, s)
		mustClose(t, k.open(t, spool.LSN{}))
		return fs, k
	}
	for n := range 6 {
		if n == 1 || n == 2 {
			continue // the removed ones
		}
		fs, k := build()
		name := fmt.Sprintf("spool/log-%08d.seg", n)
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
		if _, err := spool.Open(k.o, nil); !errors.Is(err, spool.ErrDamaged) {
			t.Fatalf("without %s: %v", name, err)
		}
		k.o.Salvage = true
		s := mustOpen(t, k.o, nil)
		if gaps := s.Recovery().Gaps; len(gaps) != 1 || gaps[0].Gen != uint64(n+1) {
			t.Fatalf("without %s: gaps %v", name, gaps)
		}
		mustClose(t, s)
		k.o.Salvage = false
		mustClose(t, mustOpen(t, k.o, nil))
	}
	_, k := build()
	k.o.From = spool.LSN{Gen: k.end.Gen + 50, Off: 512}
	if _, err := spool.Open(k.o, nil); !errors.Is(err, spool.ErrDamaged) {
		t.Fatal(err)
	}
}

// TestArchiveWalkDamage flips a byte of a sealed generation: a walk says so, and one
// that goes over it hands out the rest.
func TestArchiveWalkDamage(t *testing.T) {
	fs := vfs.NewMem()
	k := newKept(fs)
	s := k.open(t, spool.LSN{})
	first := k.put(t, s, 1000)
	for range 12 {
		k.put(t, s, 3000)
	}
	change(t, fs, "log-00000000.seg", first.BodyAt+5, 1, func(p []byte) { p[0] ^= 1 })
	if _, err := s.Walk(first.LSN.Gen, false, func(*spool.Recovered) error { return nil }); !errors.Is(err, spool.ErrDamaged) {
		t.Fatal(err)
	}
	n := 0
	gaps, err := s.Walk(first.LSN.Gen, true, func(*spool.Recovered) error { n++; return nil })
	if err != nil || len(gaps) != 1 || len(gaps[0].IDs) != 1 || gaps[0].IDs[0] != first.ID || n < 2 {
		t.Fatal(err, gaps, n)
	}
	mustClose(t, s)
}

// TestArchiveFullDisk lets no segment be made for a while: appends end with
// ErrFull, and go on when there is room again.
func TestArchiveFullDisk(t *testing.T) {
	var full atomic.Bool
	mem := vfs.NewMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		// Only a file that is being made grows.
		if full.Load() && op.Kind == errorfs.OpFileWriteAt && strings.HasSuffix(op.Path, ".seg") && op.Offset > 0 {
			if info, err := mem.Stat(op.Path); err == nil && op.Offset >= info.Size() {
				return syscall.ENOSPC
			}
		}
		return nil
	}))
	k := newKept(fs)
	k.o.SegmentBytes = 2 << 20 // more than is written at once
	s := k.open(t, spool.LSN{})
	full.Store(true)
	id := s.NextID()
	failed := 0
	for i := 0; i < 200 && failed < 3; i++ {
		if w := put(s, message, id, nil, make([]byte, 100_000), false); errors.Is(w.Err, spool.ErrFull) {
			failed++
		} else if w.Err != nil {
			t.Fatal(w.Err)
		}
	}
	if failed < 3 {
		t.Fatal("the disk is never full")
	}
	full.Store(false)
	k.put(t, s, 100_000)
	mustClose(t, s)
	mustClose(t, k.open(t, spool.LSN{}))
}
