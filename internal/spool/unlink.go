package spool

import (
	"errors"
	"fmt"
	"slices"

	"postrider/internal/spool/frame"
)

// archive is what the helper knows of an archive; nobody else touches it.
type archive struct {
	s    *Spool
	gone removals
}

// openArchive unlinks the files whose unlinking did not reach the disk.
func (s *Spool) openArchive(r *recovery) error {
	p := &s.pool
	p.archive = &archive{s: s, gone: r.gone.below(r.low)}
	for _, sl := range p.slots {
		p.next = max(p.next, sl.n+1)
	}
	for sl := range r.orphans {
		if err := errors.Join(sl.file.Close(), s.o.FS.Remove(sl.path)); err != nil {
			return fmt.Errorf("unlink segment: %w", err)
		}
		sl.file = nil
	}
	p.slots = slices.DeleteFunc(p.slots, func(sl *slot) bool { return r.orphans[sl] })
	return nil
}

// addSlotLocked makes the next slot of an archive, without its file.
func (p *pool) addSlotLocked() *slot {
	o := &p.archive.s.o
	sl := &slot{n: p.next, path: p.fs.PathJoin(p.dir, o.segmentName(p.next))}
	p.next++
	p.slots = append(p.slots, sl)
	return sl
}

// addLocked has another slot made ready.
func (p *pool) addLocked() { p.todo = append(p.todo, p.addSlotLocked()) }

// bury hands generations that nobody can find any more to the helper.
func (p *pool) bury(dead []*use) {
	p.mu.Lock()
	p.dead = append(p.dead, dead...)
	p.mu.Unlock()
	signal(p.wake)
}

// unlink removes the files of dead, after it is on disk that they may be missing.
func (p *pool) unlink(dead []*use) {
	a := p.archive
	a.gone = a.gone.below(a.s.low.Load())
	for _, u := range dead {
		a.gone = a.gone.add(&u.h)
	}
	err := ReplaceFile(p.fs, p.dir, goneName, frame.AppendRemovals(nil, a.gone))
	if err == nil {
		for _, u := range dead {
			err = errors.Join(err, u.slot.file.Close(), p.fs.Remove(u.slot.path))
			u.slot.file = nil
		}
	}
	p.mu.Lock()
	p.slots = slices.DeleteFunc(p.slots, func(sl *slot) bool {
		return slices.ContainsFunc(dead, func(u *use) bool { return u.slot == sl })
	})
	p.full = false
	if err != nil {
		p.err = fmt.Errorf("remove segments: %w", err)
		err = p.err
	}
	p.mu.Unlock()
	if err != nil {
		for _, u := range dead {
			if u.slot.file != nil {
				_ = u.slot.file.Close() // the spool has failed
			}
		}
		p.fail(err)
	}
}
