package spool

import (
	"fmt"
	"runtime"
	"time"

	"postrider/internal/spool/frame"
)

// zeros is what padding is made of.
var zeros [frame.Align]byte

// writer is the commit goroutine and all that belongs to it alone. There is no
// linger: whatever came while the last group was being synced is the next group.
type writer struct {
	s    *Spool
	done chan struct{} // closed when run has ended
	err  error         // the first error of a write or a sync

	cur   *use
	seed  frame.Seed
	off   int64  // where the next group goes; all before it is synced
	seq   uint64 // groups written to cur
	low   uint64 // as recorded on disk
	epoch frame.Epoch

	wantLow uint64 // as asked for
	logged  LSN    // as told to SetLogged
	saved   LSN    // logged, as recorded on disk or given up

	first, last *Write // taken from the inbox, not yet in a group
	buf         []byte // the group being built

	closing bool
	stuck   bool // the last mark found no room

	timer   *time.Timer // for lazy writes
	armed   bool
	expired bool
}

// run is the commit goroutine.
func (c *writer) run() {
	defer close(c.done)
	for c.collect() {
		if c.err != nil {
			c.refuse()
			continue
		}
		c.group()
	}
	c.timer.Stop()
}

// collect waits for something to write and takes it over. It returns false when
// the spool is closing and nothing is left.
func (c *writer) collect() bool {
	in := &c.s.in
	for {
		in.mu.Lock()
		lowDue := c.err == nil && in.low > c.low && !(in.closing && c.stuck)
		if c.first == nil && !in.urgent && !in.closing && !in.retire && !c.expired && in.err == nil {
			lazy := in.first != nil || lowDue
			in.asleep = true
			in.mu.Unlock()
			c.sleep(lazy)
			continue
		}
		if c.first == nil {
			c.first = in.first
		} else {
			c.last.next = in.first
		}
		if in.last != nil {
			c.last = in.last
		}
		in.first, in.last = nil, nil
		in.urgent, in.asleep = false, false
		c.wantLow, c.logged = in.low, in.logged
		retire, helper := in.retire, in.err
		in.retire, in.err = false, nil
		idle := c.first == nil && !lowDue
		c.closing = in.closing
		if c.closing && idle && c.err == nil && c.logged.Compare(c.saved) > 0 {
			idle = false // so that the next Open does not repeat events
		}
		in.mu.Unlock()

		c.expired = false
		if c.armed {
			c.timer.Stop()
			c.armed = false
		}
		if helper != nil {
			c.fail(helper)
		}
		if retire {
			c.retire()
		}
		if !idle {
			return true
		}
		if c.closing {
			return false
		}
	}
}

// sleep waits to be woken, or until the lazy writes have waited long enough.
func (c *writer) sleep(lazy bool) {
	if lazy && !c.armed {
		c.timer.Reset(c.s.o.LazyDelay)
		c.armed = true
	}
	select {
	case <-c.s.in.wake:
	case <-c.timer.C:
		c.armed, c.expired = false, true
	}
}

// batch is a list of writes that end together.
type batch struct {
	first, last *Write
	records     int // those without an error
}

func (b *batch) add(w *Write) {
	w.next = nil
	if b.first == nil {
		b.first = w
	} else {
		b.last.next = w
	}
	b.last = w
}

// group builds one group from the front of what was taken, makes it durable, and
// tells the writers.
func (c *writer) group() {
	var b batch
	c.fill(&b)
	switch {
	case c.err != nil:
	case b.records > 0:
		c.buf = c.commit(c.buf, b.records)
	case c.wantLow > c.low:
		c.mark()
	case c.closing:
		if c.off+frame.Align <= c.s.o.SegmentBytes-tailBytes {
			c.commit(make([]byte, frame.GroupHeaderLen), 0)
		}
		c.saved = c.logged
	}
	if cap(c.buf) > 2*c.s.o.GroupBytes {
		c.buf = nil // one large record; do not keep so much
	}
	c.deliver(&b)
	// The writers that were just released run first: those that append again at
	// once make one group together instead of two half ones.
	runtime.Gosched()
}

// fill moves writes from the front into the batch and encodes them into c.buf,
// behind the room for a group header, as far as group and segment allow.
func (c *writer) fill(b *batch) {
	o := &c.s.o
	free, _ := c.s.pool.usage()
	c.buf = append(c.buf[:0], zeros[:frame.GroupHeaderLen]...)
	for c.first != nil {
		w := c.first
		size := frame.Len(len(w.Head), len(w.Body))
		if c.err != nil {
			w.Err = c.err
		} else {
			w.Err = c.admit(w, size, free)
		}
		if w.Err == ErrFull && c.wantLow > c.low {
			// A release that is not yet recorded may make room.
			if b.records > 0 {
				return
			}
			if c.mark(); c.wantLow == c.low || c.err != nil {
				free, _ = c.s.pool.usage()
				continue
			}
		}
		if w.Err == nil {
			if b.records > 0 && (b.records >= o.GroupRecords || int64(len(c.buf))+size > int64(o.GroupBytes)) {
				return
			}
			if c.off+align(int64(len(c.buf))+size) > o.SegmentBytes-tailBytes {
				if b.records > 0 {
					return
				}
				if w.Err = c.roll(); w.Err == nil {
					free, _ = c.s.pool.usage()
					continue // look at the reserve again
				}
			}
		}
		if c.first = w.next; c.first == nil {
			c.last = nil
		}
		b.add(w)
		if w.Err == nil {
			b.records++
			c.encode(w)
		}
	}
}

// admit decides whether there is room for w in the spool at all.
func (c *writer) admit(w *Write, size int64, free int) error {
	o := &c.s.o
	if w.Gone != nil && w.Gone.Load() {
		return ErrGone
	}
	if size > maxRecord(o.SegmentBytes) {
		return ErrTooLarge
	}
	if w.Yields && o.ReserveRecordBytes > 0 {
		usable := o.SegmentBytes - tailBytes
		room := max(usable-c.off-int64(len(c.buf)), 0) + int64(free)*(usable-frame.SegmentHeaderLen)
		if room-size < o.ReserveRecordBytes {
			return ErrFull
		}
	}
	return nil
}

// encode appends the record of w to the group.
func (c *writer) encode(w *Write) {
	at := c.off + int64(len(c.buf))
	h := frame.Header{Kind: w.Kind, ID: w.ID, BodyCRC: w.BodyCRC}
	c.buf = frame.Append(c.buf, c.seed, at, &h, w.Head, w.Body)
	w.LSN = LSN{Gen: c.cur.gen, Off: at}
	w.End = LSN{Gen: c.cur.gen, Off: c.off + int64(len(c.buf))}
	w.BodyAt = at + frame.RecordHeaderLen + int64(len(w.Head))
}

// commit completes the group in buf, writes it and syncs it. It returns buf,
// which may have been moved. On an error c.err is set.
func (c *writer) commit(buf []byte, records int) []byte {
	s := c.s
	h := frame.GroupHeader{
		Gen: c.cur.gen, Sequence: c.seq + 1, Synced: c.off, Low: max(c.wantLow, c.low),
		TimeMS: s.latest(), Logged: c.logged,
		Length: uint32(len(buf)), Count: uint32(records),
	}
	frame.PutGroupHeader(buf, c.seed, c.off, &h)
	buf = append(buf, zeros[:align(int64(len(buf)))-int64(len(buf))]...)
	start := time.Now()
	if err := writeFull(c.cur.slot.file, buf, c.off); err != nil {
		c.fail(fmt.Errorf("write segment %s: %w", c.cur.slot.path, err))
		return buf
	}
	written := time.Now()
	if err := c.cur.slot.file.SyncData(); err != nil {
		c.fail(fmt.Errorf("sync segment %s: %w", c.cur.slot.path, err))
		return buf
	}
	stats := GroupStats{Records: records, Bytes: len(buf), Write: written.Sub(start), Sync: time.Since(written)}
	c.seq++
	c.off += int64(len(buf))
	s.in.setSynced(LSN{Gen: c.cur.gen, Off: c.off})
	c.recorded(h.Low, h.Logged)
	if s.o.OnGroup != nil {
		s.o.OnGroup(stats)
	}
	return buf
}

// deliver tells every writer of the batch how it ended.
func (c *writer) deliver(b *batch) {
	for w := b.first; w != nil; {
		next := w.next // w is the caller's again after the call
		w.next = nil
		if w.Err == nil {
			w.Err = c.err
		}
		w.Committer.Committed(w)
		w = next
	}
}

// refuse ends all that waits, after the spool has failed.
func (c *writer) refuse() {
	for w := c.first; w != nil; {
		next := w.next
		w.next, w.Err = nil, ErrClosed
		w.Committer.Committed(w)
		w = next
	}
	c.first, c.last = nil, nil
}

// fail records the first error. Nothing is written or synced after it, since a
// failed sync may have dropped pages that a second one would not miss.
func (c *writer) fail(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	if c.s.o.Fatal != nil {
		c.s.o.Fatal(err)
	}
}
