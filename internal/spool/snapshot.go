package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool/frame"
)

// Snapshot writes to dir, which it makes, what a power cut right now would leave of
// the log, as another folder that Open takes, and returns where it ends: at least
// where Synced was when it was called. Segments that nobody writes to any more
// are linked, those of a ring, which are overwritten one day, are copied. Appending
// goes on meanwhile; what is released or removed stays until Snapshot returns.
func (s *Spool) Snapshot(ctx context.Context, dir string) (LSN, error) {
	if err := s.o.FS.MkdirAll(dir, 0o700); err != nil {
		return LSN{}, fmt.Errorf("make folder: %w", err)
	}
	// The epoch file first: the log reaches at least as far as it says.
	for _, name := range [...]string{epochName, gapsName} {
		p, err := ReadFile(s.o.FS, s.o.Dir, name)
		if err == nil && p != nil {
			err = ReplaceFile(s.o.FS, dir, name, p)
		}
		if err != nil {
			return LSN{}, fmt.Errorf("copy %s: %w", name, err)
		}
	}
	pinned, end := s.pinAll()
	defer func() {
		for _, u := range pinned {
			s.Unpin(u.gen)
		}
	}()
	if len(pinned) == 0 {
		return LSN{}, ErrClosed
	}
	for i, u := range pinned {
		if err := s.snapshotOne(ctx, dir, i, u, end); err != nil {
			return LSN{}, fmt.Errorf("copy generation %d: %w", u.gen, err)
		}
	}
	if s.o.Archive {
		p := frame.AppendRemovals(nil, between(pinned))
		if err := ReplaceFile(s.o.FS, dir, goneName, p); err != nil {
			return LSN{}, err
		}
	}
	return end, syncDir(s.o.FS, dir)
}

// pinAll pins every generation, and returns where the log ends. That is read last:
// what says that a generation was released, and is no longer there, is before it.
func (s *Spool) pinAll() (pinned []*use, end LSN) {
	for {
		for _, u := range *s.table.Load() {
			if u.pin() {
				pinned = append(pinned, u)
			}
		}
		end = s.Synced()
		if len(pinned) == 0 || pinned[len(pinned)-1].gen == end.Gen {
			return pinned, end
		}
		for _, u := range pinned { // another one was begun
			s.Unpin(u.gen)
		}
		pinned = pinned[:0]
	}
}

// between names what was removed below and between the generations of list.
func between(list []*use) []frame.Removal {
	var gone []frame.Removal
	prev, end := uint64(0), int64(0)
	for _, u := range list {
		if u.h.Prev != prev {
			gone = append(gone, frame.Removal{First: prev + 1, Last: u.h.Prev, Prev: prev, PrevEnd: end})
		}
		prev, end = u.gen, u.end.Load()
	}
	return gone
}

func (s *Spool) snapshotOne(ctx context.Context, dir string, i int, u *use, end LSN) error {
	o := &s.o
	n := i
	if o.Archive {
		n = u.slot.n
	}
	path := o.FS.PathJoin(dir, o.segmentName(n))
	if u.gen == end.Gen {
		return copyFile(ctx, o.FS, u.slot.file, path, end.Off, u.h.Capacity)
	}
	if o.Archive {
		return vfs.LinkOrCopy(o.FS, u.slot.path, path)
	}
	return copyFile(ctx, o.FS, u.slot.file, path, u.h.Capacity, u.h.Capacity)
}

// copyFile writes the first n bytes of f to a new file of size bytes, and syncs it.
func copyFile(ctx context.Context, fsys vfs.FS, f vfs.File, path string, n, size int64) error {
	to, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	buf := make([]byte, min(n, 1<<20))
	for off := int64(0); off < n && err == nil; off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), n-off)]
		if got, rerr := f.ReadAt(buf, off); got < len(buf) {
			err = errors.Join(rerr, frame.ErrMalformed)
		} else {
			_, err = to.Write(buf)
		}
		if err == nil {
			err = ctx.Err()
		}
	}
	for pad := size - n; pad > 0 && err == nil; pad -= int64(len(buf)) {
		buf = buf[:min(int64(cap(buf)), pad)]
		clear(buf)
		_, err = to.Write(buf)
	}
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}
