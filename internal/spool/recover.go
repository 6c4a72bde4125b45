package spool

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"postrider/internal/mail"
	"postrider/internal/spool/frame"
)

// generation is one that was found on disk.
type generation struct {
	slot *slot
	h    frame.SegmentHeader
	end  int64 // where its successor says that it ended; -1: nothing follows it
}

// recovery is the work of one Open, from the folder to the end of the log.
type recovery struct {
	o     *Options
	had   bool // there was an epoch file
	epoch frame.Epoch
	slots []*slot

	all   []*generation // every slot with a valid header, rising
	chain []*generation // those still needed, rising; the last one is the end of the log
	end   int64         // where the last one ends

	// The highest that any header says.
	low    uint64
	timeMS int64
	logged LSN

	gone    removals       // what was removed from an archive
	orphans map[*slot]bool // files of an archive whose unlinking did not reach the disk

	known map[frame.Gap]bool // what an operator has given up before
	gaps  []Gap              // what this one gives up
	aside []string           // names of the files set aside
	buf   []byte             // the walkers'
}

// load reads the epoch file and all segment headers and finds the end of the log.
// Nothing is replayed and nothing is changed but what Salvage sets aside.
func (r *recovery) load() error {
	if err := r.loadEpoch(); err != nil {
		return err
	}
	if err := r.loadGaps(); err != nil {
		return err
	}
	if err := r.loadHeaders(); err != nil {
		return err
	}
	if !r.had {
		r.rebuildEpoch()
	}
	return r.findEnd()
}

func (r *recovery) loadEpoch() error {
	p, err := ReadFile(r.o.FS, r.o.Dir, epochName)
	if err != nil {
		return fmt.Errorf("read epoch file: %w", err)
	}
	if p != nil {
		err := frame.ParseEpoch(p, &r.epoch)
		r.had = err == nil
		if err != nil && (!r.o.Salvage || !errors.Is(err, frame.ErrMalformed)) {
			return translate(err, "epoch file")
		}
	} else if len(r.slots) > 0 && !r.o.Salvage {
		// It is written before the first segment is made.
		return fmt.Errorf("%w: no epoch file beside %d segments", ErrDamaged, len(r.slots))
	}
	return nil
}

func (r *recovery) loadGaps() error {
	p, err := ReadFile(r.o.FS, r.o.Dir, gapsName)
	if err != nil {
		return fmt.Errorf("read gaps file: %w", err)
	}
	r.known = make(map[frame.Gap]bool)
	if p == nil {
		return nil
	}
	gaps, err := frame.ParseGaps(p)
	if err != nil && (!r.o.Salvage || !errors.Is(err, frame.ErrMalformed)) {
		return translate(err, "gaps file")
	}
	for _, g := range gaps {
		r.known[g] = true
	}
	return nil
}

// blankBytes of a segment without a header must be zero for it to count as new:
// more than the file system's block, so that one lost block is noticed.
const blankBytes = 64 << 10

// loadHeaders syncs every segment, since pages that were never synced may be read
// from memory once and be gone after the next power cut, and reads its header.
func (r *recovery) loadHeaders() error {
	p := make([]byte, blankBytes)
	for i, sl := range r.slots {
		if err := sl.file.Sync(); err != nil {
			return fmt.Errorf("sync segment %s: %w", sl.path, err)
		}
		n := min(sl.size, frame.SegmentHeaderLen)
		w := walker{file: sl.file}
		err := w.readAt(p[:n], 0)
		if err == nil && isZero(p[:n]) {
			n = min(sl.size, blankBytes)
			err = w.readAt(p[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("read segment %s: %w", sl.path, err)
		}
		if isZero(p[:n]) {
			continue
		}
		g := &generation{slot: sl, end: -1}
		err = frame.ParseSegmentHeader(p[:n], &g.h)
		if err == nil && (g.h.Capacity > sl.size || (r.had && g.h.UUID != r.epoch.UUID)) {
			err = frame.ErrMalformed
		}
		if err == nil {
			r.all = append(r.all, g)
			continue
		}
		if !r.o.Salvage || !errors.Is(err, frame.ErrMalformed) {
			return translate(err, "header of segment "+sl.path)
		}
		if err := r.setAside(i); err != nil {
			return err
		}
	}
	slices.SortFunc(r.all, func(a, b *generation) int {
		return LSN{Gen: a.h.Gen}.Compare(LSN{Gen: b.h.Gen})
	})
	for i := 1; i < len(r.all); i++ {
		if r.all[i].h.Gen == r.all[i-1].h.Gen {
			return fmt.Errorf("%w: generation %d is in two segments", ErrDamaged, r.all[i].h.Gen)
		}
	}
	return nil
}

func isZero(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }

// findEnd chooses the generations that are needed and walks the last one to its
// end.
func (r *recovery) findEnd() error {
	for _, g := range r.all {
		r.note(g.h.Low, g.h.TimeMS, g.h.Logged)
	}
	r.timeMS = max(r.timeMS, r.epoch.TimeMS)
	if len(r.all) == 0 {
		if r.epoch.End.Gen > 0 {
			return r.missing(r.epoch.End.Gen)
		}
		return nil
	}
	last := r.all[len(r.all)-1]
	end, err := r.walk(last, nil) // which also says what was released in it
	if err != nil {
		return err
	}
	link := r.link
	if r.o.Archive {
		link = r.linkArchive
	}
	if err := link(); err != nil {
		return err
	}
	r.end = end
	have := LSN{Gen: last.h.Gen, Off: end}
	want := r.epoch.End
	if have.Compare(want) < 0 || (r.epoch.Clean && have != want) {
		if !r.o.Salvage {
			return fmt.Errorf("%w: the log ends at %d/%d, the epoch file says %d/%d",
				ErrDamaged, have.Gen, have.Off, want.Gen, want.Off)
		}
		if want.Gen > have.Gen {
			return r.missing(want.Gen)
		}
	}
	return nil
}

func (r *recovery) note(low uint64, timeMS int64, logged LSN) {
	r.low = max(r.low, low)
	r.timeMS = max(r.timeMS, timeMS)
	if logged.Compare(r.logged) > 0 {
		r.logged = logged
	}
}

// link follows the headers from the last generation back to low, which the header
// that overwrote any older generation has recorded.
func (r *recovery) link() error {
	i := len(r.all) - 1
	r.chain = append(r.chain, r.all[i])
	for {
		g := r.all[i]
		if g.h.Gen <= r.low || g.h.Prev < r.low || g.h.Prev == 0 {
			break
		}
		if i == 0 || r.all[i-1].h.Gen < g.h.Prev {
			if err := r.missing(g.h.Prev); err != nil {
				return err
			}
			if i == 0 || r.all[i-1].h.Gen < r.low {
				break
			}
		} else if r.all[i-1].h.Gen == g.h.Prev {
			r.all[i-1].end = g.h.PrevEnd
		} else {
			return fmt.Errorf("%w: generation %d is in no chain", ErrDamaged, r.all[i-1].h.Gen)
		}
		i--
		r.chain = append(r.chain, r.all[i])
	}
	if i > 0 && r.all[i-1].h.Gen >= r.low {
		return fmt.Errorf("%w: generation %d is in no chain", ErrDamaged, r.all[i-1].h.Gen)
	}
	slices.Reverse(r.chain)
	return nil
}

// missing is called for a generation that should be there and is not.
func (r *recovery) missing(gen uint64) error {
	if r.known[frame.Gap{Gen: gen}] {
		return nil
	}
	if !r.o.Salvage {
		return fmt.Errorf("%w: generation %d is missing", ErrDamaged, gen)
	}
	r.gaps = append(r.gaps, Gap{Gen: gen})
	return nil
}

// walk goes through the groups of g and returns where it ends. Without visit it
// takes note of what the headers say, with visit it visits every record.
func (r *recovery) walk(g *generation, visit visitor) (int64, error) {
	w := walker{
		file: g.slot.file, gen: g.h.Gen, capacity: g.h.Capacity,
		seed: frame.NewSeed(g.h.UUID, g.h.Epoch, g.h.Gen), buf: r.buf,
	}
	defer func() { r.buf = w.buf }()
	off := int64(frame.SegmentHeaderLen)
	for g.end < 0 || off < g.end {
		var h frame.GroupHeader
		group, err := w.group(off, &h)
		if err == nil && g.end >= 0 && off+align(int64(h.Length)) > g.end {
			err = frame.ErrMalformed
		}
		if err == nil {
			// First without visiting: a torn group is dropped as a whole.
			err = w.records(group, off, &h, nil)
		}
		if err == nil {
			r.note(h.Low, h.TimeMS, h.Logged)
			if visit != nil {
				if err := w.records(group, off, &h, visit); err != nil {
					return 0, err
				}
			}
			off += align(int64(h.Length))
			continue
		}
		if !errors.Is(err, frame.ErrMalformed) {
			return 0, translate(err, fmt.Sprintf("group at %d/%d", g.h.Gen, off))
		}
		next, err := r.hole(&w, g, off, visit)
		if err != nil || next == off {
			return off, err
		}
		off = next
	}
	return off, nil
}

// hole decides what a group that does not check means. It returns off when it is
// the torn tail, and with Salvage the place to go on from.
func (r *recovery) hole(w *walker, g *generation, off int64, visit visitor) (int64, error) {
	to := g.end
	if to < 0 {
		to = w.capacity
	}
	next, err := w.later(off+frame.Align, to)
	if err != nil {
		return 0, fmt.Errorf("read segment %s: %w", g.slot.path, err)
	}
	if next == 0 {
		switch {
		case g.end >= 0:
			next = g.end
		case r.epoch.End.Gen == g.h.Gen && off < r.epoch.End.Off:
			next = r.epoch.End.Off
		default:
			return off, nil
		}
	}
	if !r.o.Salvage && !r.known[frame.Gap{Gen: g.h.Gen, Off: off}] {
		return 0, fmt.Errorf("%w: generation %d from %d to %d (%s)", ErrDamaged, g.h.Gen, off, next, g.slot.path)
	}
	if visit == nil {
		return next, nil // it is named when the records are visited
	}
	gap := Gap{Gen: g.h.Gen, From: off, To: next}
	var h frame.GroupHeader
	if group, err := w.group(off, &h); err == nil {
		// What still checks is not lost.
		var refused error
		_ = w.records(group, off, &h, func(rh *frame.Header, at int64, payload []byte) error {
			if payload == nil {
				gap.IDs = append(gap.IDs, rh.ID)
				return nil
			}
			refused = visit(rh, at, payload)
			return refused
		})
		if refused != nil {
			return 0, refused
		}
	}
	if !r.o.Salvage {
		return next, nil
	}
	r.gaps = append(r.gaps, gap)
	return next, r.keepCopy(w, gap)
}

// replay hands every record from low on to fn, in the order of the log.
func (r *recovery) replay(fn func(*Recovered) error) error {
	var end LSN
	if len(r.chain) > 0 {
		last := r.chain[len(r.chain)-1]
		if r.end >= 0 {
			last.end = r.end
		}
		end = LSN{Gen: last.h.Gen, Off: last.end}
	}
	if from := r.o.From; from.Compare(end) > 0 && !r.o.Salvage {
		return fmt.Errorf("%w: the log ends at %d/%d, before %d/%d", ErrDamaged, end.Gen, end.Off, from.Gen, from.Off)
	}
	for _, g := range r.chain {
		if g.h.Gen < max(r.low, r.o.From.Gen) {
			continue
		}
		if err := r.replayOne(g, fn); err != nil {
			return err
		}
	}
	return nil
}

// replayOne hands the records of g that end behind Options.From to fn.
func (r *recovery) replayOne(g *generation, fn func(*Recovered) error) error {
	gen := g.h.Gen
	_, err := r.walk(g, func(h *frame.Header, off int64, payload []byte) error {
		rec := Recovered{
			LSN: LSN{Gen: gen, Off: off}, End: LSN{Gen: gen, Off: off + h.Len()},
			Kind: h.Kind, ID: h.ID, Payload: payload, Body: payload[h.HeadLen:],
			BodyAt: off + frame.RecordHeaderLen + int64(h.HeadLen), BodyCRC: h.BodyCRC,
		}
		if rec.End.Compare(r.o.From) <= 0 {
			return nil
		}
		rec.AfterLogged = rec.End.Compare(r.logged) > 0
		r.noteID(h.ID)
		return fn(&rec)
	})
	return err
}

func (r *recovery) noteID(id mail.ID) { r.timeMS = max(r.timeMS, id.Time().UnixMilli()) }
