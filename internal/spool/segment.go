package spool

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool/frame"
)

// tailBytes at the end of a segment are kept for groups without records, so that
// a spool that is full of records can still write down that some are released.
const tailBytes = 8 * frame.Align

// maxRecord is the longest record, header and padding included, for a segment.
func maxRecord(segment int64) int64 {
	return segment - frame.SegmentHeaderLen - frame.GroupHeaderLen - tailBytes - frame.Align
}

// align rounds up to where the next group may begin.
func align(n int64) int64 { return (n + frame.Align - 1) &^ (frame.Align - 1) }

// slot is one segment file, whatever generation it holds.
type slot struct {
	n    int
	path string
	file vfs.File // nil until the helper has made it
	size int64    // bytes known to be in the file
}

// use is a generation: one use of a slot.
type use struct {
	gen      uint64
	slot     *slot
	pins     atomic.Int64 // readers; negative when the slot was given back
	released atomic.Bool  // below low: the slot is given back when pins is 0
}

const retired = -1 << 62

func (u *use) pin() bool {
	for {
		n := u.pins.Load()
		if n < 0 {
			return false
		}
		if u.pins.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unpin reports whether the commit goroutine has to look at u. No wake-up is lost:
// retire sets released before it looks at pins, and unpin does the reverse.
func (u *use) unpin() bool { return u.pins.Add(-1) == 0 && u.released.Load() }

// retire reports whether the slot of u is free from now on.
func (u *use) retire() bool {
	u.released.Store(true)
	return u.pins.CompareAndSwap(0, retired)
}

// find returns the live generation gen, nil if there is none.
func (s *Spool) find(gen uint64) *use {
	table := *s.table.Load()
	// Mostly the newest is asked for, and there are few.
	for i := len(table) - 1; i >= 0; i-- {
		if table[i].gen <= gen {
			if table[i].gen == gen {
				return table[i]
			}
			break
		}
	}
	return nil
}

// pool holds the slots that no generation uses, and the helper that makes new
// ones ready.
type pool struct {
	fs   vfs.FS
	dir  string
	size int64
	fail func(error) // tells the commit goroutine of the helper's error

	wake chan struct{} // one place: there is something to do
	made chan struct{} // one place: a slot got ready, or the helper failed
	done chan struct{} // closed when the helper has ended

	mu sync.Mutex
	// guards following
	slots []*slot // all there are, by number
	free  []*slot // ready, in the order in which they became free
	todo  []*slot // to be filled with zeros first
	err   error
	stop  bool
}

var errStopped = errors.New("stopped")

// run is the helper.
func (p *pool) run() {
	defer close(p.done)
	for {
		p.mu.Lock()
		if p.stop || p.err != nil {
			p.mu.Unlock()
			return
		}
		if len(p.todo) == 0 {
			p.mu.Unlock()
			<-p.wake
			continue
		}
		sl := p.todo[0]
		p.mu.Unlock()

		err := p.prepare(sl)
		if errors.Is(err, errStopped) {
			return
		}
		p.mu.Lock()
		p.todo = append(p.todo[:0], p.todo[1:]...)
		if err != nil {
			p.err = fmt.Errorf("prepare segment %s: %w", sl.path, err)
			err = p.err
		} else {
			p.free = append(p.free, sl)
		}
		p.mu.Unlock()
		if err != nil {
			p.fail(err)
		}
		signal(p.made)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// prepare makes the file of sl full size and durable: overwriting written blocks
// syncs about three times faster than extending a file. What the file holds
// stays as it is.
func (p *pool) prepare(sl *slot) error {
	if sl.file == nil {
		f, err := p.fs.OpenReadWrite(sl.path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		sl.file = f
	}
	zeros := make([]byte, min(p.size, 1<<20))
	for sl.size < p.size {
		if p.stopping() {
			return errStopped
		}
		n := min(int64(len(zeros)), p.size-sl.size)
		if err := writeFull(sl.file, zeros[:n], sl.size); err != nil {
			return err
		}
		sl.size += n
	}
	if err := sl.file.Sync(); err != nil {
		return err
	}
	return syncDir(p.fs, p.dir)
}

func (p *pool) stopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop
}

// take returns a ready slot. While one is being made it waits for that; it
// returns nil when all are in use.
func (p *pool) take() (*slot, error) {
	for {
		p.mu.Lock()
		if len(p.free) > 0 {
			sl := p.free[0]
			p.free = append(p.free[:0], p.free[1:]...)
			p.mu.Unlock()
			return sl, nil
		}
		err, wait := p.err, len(p.todo) > 0
		p.mu.Unlock()
		if err != nil || !wait {
			return nil, err
		}
		<-p.made
	}
}

// give returns a slot that no generation uses any more.
func (p *pool) give(sl *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sl.size < p.size {
		p.todo = append(p.todo, sl)
		signal(p.wake)
		return
	}
	p.free = append(p.free, sl)
}

func (p *pool) usage() (free, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.free) + len(p.todo), len(p.slots)
}

func (p *pool) close() {
	p.mu.Lock()
	p.stop = true
	p.mu.Unlock()
	signal(p.wake)
	<-p.done
}
