package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"postrider/internal/spool/frame"
)

// ErrCurrent reports that a generation is still being written.
var ErrCurrent = errors.New("generation is still being written")

// Generation describes one that is in the spool.
type Generation struct {
	Gen   uint64
	End   int64 // where it ends; -1 while it is being written
	Bytes int64 // size of its file
}

// Generations appends those that are in the spool, oldest first.
func (s *Spool) Generations(dst []Generation) []Generation {
	for _, u := range *s.table.Load() {
		if u.pins.Load() >= 0 && !(s.o.Archive && u.released.Load()) {
			dst = append(dst, Generation{Gen: u.gen, End: u.end.Load(), Bytes: u.h.Capacity})
		}
	}
	return dst
}

// Remove says that gen, of an archive, is no longer needed: its file is unlinked
// once the last pin is gone and it is on disk that it may be missing. It does not
// wait for that. If the process ends before, gen is there again at the next Open.
func (s *Spool) Remove(gen uint64) error {
	u := s.find(gen)
	switch {
	case !s.o.Archive || gen >= s.Current():
		return fmt.Errorf("%w: %d", ErrCurrent, gen)
	case u == nil:
		return fmt.Errorf("%w: %d", ErrReleased, gen)
	}
	u.released.Store(true)
	s.in.askRetire()
	return nil
}

// Walk hands every record of gen, which is not the current one, to fn, checked and
// in order, under the rules of Open's replay function. An error of fn ends it.
// Damage is an error that wraps ErrDamaged, unless over is set: then what still
// checks is handed over, and the gaps are returned.
func (s *Spool) Walk(gen uint64, over bool, fn func(*Recovered) error) ([]Gap, error) {
	if !s.Pin(gen) {
		return nil, fmt.Errorf("%w: %d", ErrReleased, gen)
	}
	defer s.Unpin(gen)
	u := s.find(gen)
	end := u.end.Load()
	if end < 0 {
		return nil, fmt.Errorf("%w: %d", ErrCurrent, gen)
	}
	o := s.o
	o.From, o.Salvage = LSN{}, over
	r := recovery{o: &o}
	err := r.loadGaps()
	if err == nil {
		err = r.replayOne(&generation{slot: u.slot, h: u.h, end: end}, fn)
	}
	return r.gaps, err
}

// removals is what the removed file of an archive holds, rising.
type removals []frame.Removal

// find returns the removal that gen belongs to.
func (l removals) find(gen uint64) (frame.Removal, bool) {
	i, _ := slices.BinarySearchFunc(l, gen, func(r frame.Removal, gen uint64) int { return cmp.Compare(r.Last, gen) })
	if i == len(l) || l[i].First > gen {
		return frame.Removal{}, false
	}
	return l[i], true
}

// add returns l with the generation of h, joined to its neighbours.
func (l removals) add(h *frame.SegmentHeader) removals {
	i, _ := slices.BinarySearchFunc(l, h.Gen, func(r frame.Removal, gen uint64) int { return cmp.Compare(r.Last, gen) })
	l = slices.Insert(l, i, frame.Removal{First: h.Gen, Last: h.Gen, Prev: h.Prev, PrevEnd: h.PrevEnd})
	if i+1 < len(l) && l[i+1].Prev == l[i].Last {
		l[i].Last = l[i+1].Last
		l = slices.Delete(l, i+1, i+2)
	}
	if i > 0 && l[i].Prev == l[i-1].Last {
		l[i-1].Last = l[i].Last
		l = slices.Delete(l, i, i+1)
	}
	return l
}

// below returns l without what is below low.
func (l removals) below(low uint64) removals {
	return slices.DeleteFunc(l, func(r frame.Removal) bool { return r.Last < low })
}

func (r *recovery) loadGone() error {
	p, err := ReadFile(r.o.FS, r.o.Dir, goneName)
	if err != nil || p == nil {
		return err
	}
	if r.gone, err = frame.ParseRemovals(p); err != nil && (!r.o.Salvage || !errors.Is(err, frame.ErrMalformed)) {
		return translate(err, "removed file")
	}
	return nil
}

func (r *recovery) orphan(sl *slot) {
	if r.o.Archive {
		if r.orphans == nil {
			r.orphans = make(map[*slot]bool)
		}
		r.orphans[sl] = true
	}
}

// linkArchive chooses the generations of an archive that are needed, and checks
// that each is there that a header speaks of and that was not removed.
func (r *recovery) linkArchive() error {
	if err := r.loadGone(); err != nil {
		return err
	}
	for _, g := range r.all {
		if _, gone := r.gone.find(g.h.Gen); gone || g.h.Gen < r.low {
			r.orphan(g.slot)
			continue
		}
		r.chain = append(r.chain, g)
	}
	if len(r.chain) == 0 {
		return fmt.Errorf("%w: every generation was removed", ErrDamaged)
	}
	for i, g := range r.chain {
		var before *generation
		if i > 0 {
			before = r.chain[i-1]
		}
		if err := r.linkOne(before, g); err != nil {
			return err
		}
	}
	return nil
}

// linkOne goes from g back to before, over what was removed between them.
func (r *recovery) linkOne(before, g *generation) error {
	prev, end := g.h.Prev, g.h.PrevEnd
	for prev != 0 && prev >= r.low {
		if before != nil && before.h.Gen == prev {
			before.end = end
			return nil
		}
		gone, ok := r.gone.find(prev)
		if !ok {
			return r.missing(prev)
		}
		prev, end = gone.Prev, gone.PrevEnd
	}
	if before != nil {
		return fmt.Errorf("%w: generation %d is in no chain", ErrDamaged, before.h.Gen)
	}
	return nil
}
