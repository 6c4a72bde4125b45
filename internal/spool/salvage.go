package spool

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool/frame"
)

// setAside renames segment i, whose header cannot be read, for the operator to
// look at, and puts a new one in its place.
func (r *recovery) setAside(i int) error {
	sl := r.slots[i]
	fsys := r.o.FS
	if err := sl.file.Close(); err != nil {
		return err
	}
	sl.file = nil
	name := fmt.Sprintf("quarantine-%d-%s", r.epoch.Boots, r.o.segmentName(sl.n))
	if err := fsys.Rename(sl.path, fsys.PathJoin(r.o.Dir, name)); err != nil {
		return err
	}
	r.aside = append(r.aside, name)
	f, err := fsys.Create(sl.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), syncDir(fsys, r.o.Dir)); err != nil {
		return err
	}
	sl.size = 0
	sl.file, err = fsys.OpenReadWrite(sl.path, vfs.WriteCategoryUnspecified)
	return err
}

// keepCopy writes the bytes of a gap to a file of their own, since the segment
// will be overwritten one day.
func (r *recovery) keepCopy(w *walker, g Gap) error {
	p := make([]byte, g.To-g.From)
	if err := w.readAt(p, g.From); err != nil && !errors.Is(err, frame.ErrMalformed) {
		return fmt.Errorf("read damaged part: %w", err)
	}
	return ReplaceFile(r.o.FS, r.o.Dir, fmt.Sprintf("quarantine-%d-%d.bin", g.Gen, g.From), p)
}

// rebuildEpoch makes up for a lost epoch file from the segment headers. The boot
// counter goes up far enough to pass boots that left no segment.
func (r *recovery) rebuildEpoch() {
	for _, g := range r.all {
		r.epoch.UUID = g.h.UUID
		r.epoch.Boots = max(r.epoch.Boots, g.h.Epoch)
		r.epoch.Reserved = max(r.epoch.Reserved, g.h.Gen)
	}
	if len(r.all) > 0 {
		r.epoch.Boots += 1 << 10
		r.epoch.Reserved += reserveStep
	}
}

// saveGaps records what was given up, so that the next Open steps over it without
// being told to. Gaps below low have left the log.
func (r *recovery) saveGaps() error {
	if len(r.gaps) == 0 {
		return nil
	}
	var all []frame.Gap
	for g := range r.known {
		if g.Gen >= r.low {
			all = append(all, g)
		}
	}
	for _, g := range r.gaps {
		all = append(all, frame.Gap{Gen: g.Gen, Off: g.From})
	}
	slices.SortFunc(all, frame.Gap.Compare)
	all = slices.Compact(all)
	if len(all) > maxSmallFile/32 {
		return fmt.Errorf("%w: more than %d gaps", ErrDamaged, maxSmallFile/32)
	}
	return ReplaceFile(r.o.FS, r.o.Dir, gapsName, frame.AppendGaps(nil, all))
}
