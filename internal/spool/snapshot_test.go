package spool_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
)

// TestSnapshot takes snapshots of both forms while records are appended and
// generations leave: each opens, holds what was acknowledged before it began, and
// is not touched by what happens to the original.
//
// Covers G5.
func TestSnapshot(t *testing.T) {
	for _, archive := range []bool{false, true} {
		fs := vfs.NewMem()
		o := small(fs)
		o.Archive, o.SegmentBytes, o.Segments = archive, 16<<10, 24
		s := mustOpen(t, o, nil)
		rng := rand.New(rand.NewPCG(3, 4))
		want := make(map[mail.ID]uint64)
		leave := func() {
			gens := s.Generations(nil)
			if len(gens) < 4 {
				return
			}
			g := gens[0].Gen
			if archive {
				g = gens[rng.IntN(len(gens)-1)].Gen
				if err := s.Remove(g); err != nil {
					t.Fatal(err)
				}
			} else {
				s.Advance(g + 1)
			}
			for id, gen := range want {
				if gen == g {
					delete(want, id)
				}
			}
		}
		append1 := func(in map[mail.ID]uint64) {
			id := s.NextID()
			w := put(s, settle, id, nil, content(id, rng.IntN(3000)), false)
			if w.Err != nil {
				t.Error(w.Err)
			}
			in[id] = w.LSN.Gen
		}
		for round := range 20 {
			for range 10 {
				append1(want)
			}
			leave()
			dir := "copy" + string(rune('a'+round))
			late := make(map[mail.ID]uint64)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 8 {
					append1(late)
				}
			}()
			_, err := s.Snapshot(t.Context(), dir)
			<-done
			if err != nil {
				t.Fatal(err)
			}
			must := maps.Clone(want)
			maps.Copy(want, late)
			for range 6 {
				leave() // the original is overwritten and unlinked
				append1(want)
			}
			c := o
			c.Dir = dir
			got := make(map[mail.ID]bool)
			copied := mustOpen(t, c, func(r *spool.Recovered) error { got[r.ID] = true; return nil })
			for id, gen := range must {
				if !got[id] {
					t.Fatalf("archive %v, round %d: a record of generation %d is not in the snapshot", archive, round, gen)
				}
			}
			mustClose(t, copied)
		}
		mustClose(t, s)
	}
}
