package spool

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool/frame"
)

func (o *Options) setDefaults() {
	o.SegmentBytes = cmp.Or(o.SegmentBytes, 64<<20)
	o.SegmentBytes = (max(o.SegmentBytes, 16<<10) + 4095) &^ 4095
	o.Segments = max(cmp.Or(o.Segments, 8), 3)
	o.LazyDelay = cmp.Or(o.LazyDelay, 5*time.Millisecond)
	o.GroupRecords = cmp.Or(o.GroupRecords, 256)
	o.GroupBytes = cmp.Or(o.GroupBytes, 8<<20)
	o.ReserveRecordBytes = cmp.Or(o.ReserveRecordBytes, 2*o.SegmentBytes)
	if o.Archive {
		o.ReserveRecordBytes = -1
	} else {
		o.From = LSN{}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
}

// Open locks the folder, recovers the log, hands every record that is not
// released to replay, in order, and begins a new generation behind them. replay
// may be nil; an error of it is returned. The record and its slices are valid
// during the call of replay, which must not use the Spool.
//
// Errors wrap ErrLocked, ErrDamaged (with the place of the damage) or ErrVersion;
// any other is of the file system.
func Open(o Options, replay func(*Recovered) error) (*Spool, error) {
	o.setDefaults()
	if err := makeDir(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("make spool folder: %w", err)
	}
	lock, err := o.FS.Lock(o.FS.PathJoin(o.Dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	s := &Spool{o: o, lock: lock}
	r := &recovery{o: &s.o, end: -1}
	if err := s.open(r, replay); err != nil {
		for _, sl := range r.slots {
			if sl.file != nil {
				_ = sl.file.Close() // the first error is the one to tell
			}
		}
		return nil, errors.Join(err, lock.Close())
	}
	go s.w.run()
	go s.pool.run()
	return s, nil
}

func makeDir(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fsys, fsys.PathDir(dir))
}

func (s *Spool) open(r *recovery, replay func(*Recovered) error) error {
	var err error
	if r.slots, err = openSlots(&s.o); err != nil {
		return err
	}
	if err := r.load(); err != nil {
		return err
	}
	s.lastMS = r.timeMS // before this opening adds its own
	s.recovery = Recovery{Clean: r.epoch.Clean || r.epoch.Boots == 0, Boots: r.epoch.Boots + 1}
	gen, err := s.newEpoch(r)
	if err != nil {
		return err
	}
	if replay == nil {
		replay = func(*Recovered) error { return nil }
	}
	if err := r.replay(replay); err != nil {
		return err
	}
	if err := r.saveGaps(); err != nil {
		return err
	}
	s.recovery.Gaps, s.recovery.SetAside = r.gaps, r.aside
	s.highest.Store(r.timeMS)
	return s.start(r, gen)
}

// openSlots opens the segment files there are. Those of a ring are made one after
// the other and stay, so a missing number is a lost file.
func openSlots(o *Options) ([]*slot, error) {
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("list spool folder: %w", err)
	}
	var slots []*slot
	for _, name := range names {
		_, digits, ok := strings.Cut(name, "-")
		digits, ok2 := strings.CutSuffix(digits, ".seg")
		n, err := strconv.Atoi(digits)
		if ok && ok2 && err == nil && o.segmentName(n) == name {
			slots = append(slots, &slot{n: n, path: o.FS.PathJoin(o.Dir, name)})
		}
	}
	slices.SortFunc(slots, func(a, b *slot) int { return cmp.Compare(a.n, b.n) })
	for i, sl := range slots {
		if sl.n != i && !o.Salvage && !o.Archive {
			return slots, fmt.Errorf("%w: %s is missing", ErrDamaged, o.segmentName(i))
		}
		if sl.file, err = o.FS.OpenReadWrite(sl.path, vfs.WriteCategoryUnspecified); err != nil {
			return slots, fmt.Errorf("open segment: %w", err)
		}
		info, err := sl.file.Stat()
		if err != nil {
			return slots, fmt.Errorf("open segment: %w", err)
		}
		sl.size = info.Size()
	}
	return slots, nil
}

// newEpoch writes the epoch file of this opening, before anything is appended,
// and returns the first generation of it.
func (s *Spool) newEpoch(r *recovery) (uint64, error) {
	e := r.epoch
	last := uint64(0)
	if len(r.all) > 0 {
		last = r.all[len(r.all)-1].h.Gen
	}
	gen := max(last, e.Reserved) + 1
	if e.Boots == 0 && len(r.all) == 0 {
		if _, err := io.ReadFull(rand.Reader, e.UUID[:]); err != nil {
			return 0, fmt.Errorf("draw a uuid: %w", err)
		}
	}
	var b [4]byte
	for e.Incarnation == r.epoch.Incarnation {
		if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
			return 0, fmt.Errorf("draw an incarnation: %w", err)
		}
		e.Incarnation = binary.BigEndian.Uint32(b[:])
	}
	e.Clean, e.Node = false, s.o.Node
	e.Boots++
	e.Reserved = gen + reserveStep - 1
	e.TimeMS = max(r.timeMS, s.o.Clock().UnixMilli())
	r.timeMS = e.TimeMS
	if len(r.chain) > 0 {
		e.End = LSN{Gen: r.chain[len(r.chain)-1].h.Gen, Off: r.end}
	}
	if err := ReplaceFile(s.o.FS, s.o.Dir, epochName, frame.AppendEpoch(nil, &e)); err != nil {
		return 0, fmt.Errorf("write epoch file: %w", err)
	}
	s.incarnation = e.Incarnation
	s.w.epoch = e
	return gen, nil
}

// start sorts the slots into used and free ones and begins generation gen.
func (s *Spool) start(r *recovery, gen uint64) error {
	prev, prevEnd := uint64(0), int64(0)
	chain := r.chain
	var empty *slot
	if n := len(chain); n > 0 {
		last := chain[n-1]
		if r.end == frame.SegmentHeaderLen {
			// Nothing was ever appended to it: the new generation takes its
			// place, so that a row of crashes does not use up the segments.
			prev, prevEnd = last.h.Prev, last.h.PrevEnd
			chain = chain[:n-1]
			empty = last.slot
		} else {
			prev, prevEnd = last.h.Gen, r.end
		}
	}
	if len(chain) == 0 {
		r.low = gen
	}
	first, err := s.fillPool(r, chain, empty)
	if err != nil {
		return err
	}
	table := make([]*use, 0, len(chain)+1)
	for i, g := range chain {
		end := g.end
		if i == len(chain)-1 && empty == nil {
			end = r.end
		}
		table = append(table, newUse(g.slot, &g.h, end))
	}
	s.table.Store(&table)
	s.low.Store(r.low)
	s.in.wake = make(chan struct{}, 1)
	s.in.low, s.in.logged = r.low, r.logged
	c := &s.w
	c.s, c.done = s, make(chan struct{})
	c.low, c.wantLow, c.logged = r.low, r.low, r.logged
	c.timer = time.NewTimer(time.Hour)
	c.timer.Stop()
	return c.begin(first, gen, prev, prevEnd)
}

// fillPool makes the pool of all slots that are not in the chain, oldest
// generation first, and takes one out of it for the new generation: the empty
// one, when there is one, since no other may keep a header that is in no chain.
func (s *Spool) fillPool(r *recovery, chain []*generation, empty *slot) (*slot, error) {
	p := &s.pool
	p.fs, p.dir, p.size, p.fail = s.o.FS, s.o.Dir, s.o.SegmentBytes, s.in.fail
	p.wake, p.made = make(chan struct{}, 1), make(chan struct{}, 1)
	p.done = make(chan struct{})

	used := make(map[*slot]bool)
	for _, g := range chain {
		used[g.slot] = true
	}
	var order []*slot
	if empty != nil {
		used[empty] = true
		order = append(order, empty)
	}
	for _, g := range r.all {
		if !used[g.slot] {
			used[g.slot] = true
			order = append(order, g.slot)
		}
	}
	for _, sl := range r.slots {
		if !used[sl] {
			order = append(order, sl)
		}
	}
	p.slots = r.slots
	if s.o.Archive {
		if err := s.openArchive(r); err != nil {
			return nil, err
		}
		order = slices.DeleteFunc(order, func(sl *slot) bool { return r.orphans[sl] })
		for len(order) < 2 { // the first, and one ahead
			order = append(order, p.addSlotLocked())
		}
	}
	for !s.o.Archive && (len(p.slots) < s.o.Segments || len(order) == 0) {
		n := len(p.slots)
		sl := &slot{n: n, path: s.o.FS.PathJoin(s.o.Dir, s.o.segmentName(n))}
		p.slots = append(p.slots, sl)
		order = append(order, sl)
	}
	first := order[0]
	if first.file == nil || first.size < p.size {
		if err := p.prepare(first); err != nil {
			return nil, fmt.Errorf("prepare segment %s: %w", first.path, err)
		}
	}
	for _, sl := range order[1:] {
		if sl.file == nil || sl.size < p.size {
			p.todo = append(p.todo, sl)
		} else {
			p.free = append(p.free, sl)
		}
	}
	return first, nil
}
