package spool

import (
	"fmt"

	"postrider/internal/spool/frame"
)

// reserveStep is how many generations are reserved in the epoch file at once: one
// rewriting of it for so many segments, and so large a gap in the numbers after a
// crash.
const reserveStep = 16

// mark makes the asked for low durable without a record. It may fail: the tail of
// the segment is used up by marks, each of a release that freed nothing, and all
// segments are in use. Then the end of a pin frees one, and the header of the next
// generation carries low.
func (c *writer) mark() {
	if c.off+frame.Align <= c.s.o.SegmentBytes {
		c.commit(make([]byte, frame.GroupHeaderLen), 0)
		return
	}
	c.stuck = c.roll() != nil
}

// roll begins the next generation in a free slot. ErrFull when there is none.
func (c *writer) roll() error {
	sl, err := c.s.pool.take()
	if sl == nil && err == nil && c.wantLow > c.low {
		// The release of old generations is asked for but not yet recorded;
		// the tail of this segment has room for a group that says so.
		if c.off+frame.Align <= c.s.o.SegmentBytes {
			c.commit(make([]byte, frame.GroupHeaderLen), 0)
			if c.err != nil {
				return c.err
			}
			sl, err = c.s.pool.take()
		}
	}
	if err != nil {
		c.fail(err)
		return err
	}
	if sl == nil {
		return ErrFull
	}
	return c.begin(sl, c.cur.gen+1, c.cur.gen, c.off)
}

// begin starts generation gen in sl, behind prev, which ended at prevEnd. Its
// header is synced before anything follows it, so that a header that does not
// check is damage and never a torn write.
func (c *writer) begin(sl *slot, gen, prev uint64, prevEnd int64) error {
	s := c.s
	if gen > c.epoch.Reserved {
		c.epoch.Reserved = gen + reserveStep
		if err := c.saveEpoch(false); err != nil {
			c.fail(err)
			return err
		}
	}
	h := frame.SegmentHeader{
		UUID: c.epoch.UUID, Epoch: c.epoch.Boots, Gen: gen, Low: max(c.wantLow, c.low), Prev: prev, PrevEnd: prevEnd,
		Capacity: s.o.SegmentBytes, TimeMS: s.latest(), Logged: c.logged,
	}
	var p [frame.SegmentHeaderLen]byte
	err := writeFull(sl.file, frame.AppendSegmentHeader(p[:0], &h), 0)
	if err == nil {
		err = sl.file.SyncData()
	}
	if err != nil {
		err = fmt.Errorf("begin segment %s: %w", sl.path, err)
		c.fail(err)
		return err
	}
	if c.cur != nil {
		c.cur.end.Store(prevEnd)
	}
	c.cur = newUse(sl, &h, -1)
	c.seed = frame.NewSeed(h.UUID, h.Epoch, gen)
	c.off, c.seq = frame.SegmentHeaderLen, 0
	old := *s.table.Load()
	table := append(append(make([]*use, 0, len(old)+1), old...), c.cur)
	s.table.Store(&table)
	s.current.Store(gen)
	s.in.setSynced(LSN{Gen: gen, Off: c.off})
	c.recorded(h.Low, h.Logged)
	return nil
}

// retire gives back the slots of generations that are below low or removed, and
// that nobody reads.
func (c *writer) retire() {
	old := *c.s.table.Load()
	table := make([]*use, 0, len(old))
	var free []*use
	for _, u := range old {
		if (u.gen < c.low || u.released.Load()) && u.retire() {
			free = append(free, u)
			continue
		}
		table = append(table, u)
	}
	c.s.table.Store(&table)
	if c.s.o.Archive {
		if len(free) > 0 {
			c.s.pool.bury(free)
			c.s.in.advance(table[0].gen)
		}
		return
	}
	for _, u := range free {
		c.s.pool.give(u.slot)
	}
}

// saveEpoch rewrites the epoch file with the present end of the log.
func (c *writer) saveEpoch(clean bool) error {
	c.epoch.Clean = clean
	c.epoch.TimeMS = max(c.epoch.TimeMS, c.s.latest())
	if c.cur != nil {
		c.epoch.End = LSN{Gen: c.cur.gen, Off: c.off}
	}
	if clean {
		c.epoch.Reserved = c.cur.gen
	}
	return ReplaceFile(c.s.o.FS, c.s.o.Dir, epochName, frame.AppendEpoch(nil, &c.epoch))
}

// recorded takes note that low and logged are on disk.
func (c *writer) recorded(low uint64, logged LSN) {
	c.saved = logged
	if low > c.low {
		c.low = low
		c.s.low.Store(low)
		c.retire()
	}
}
