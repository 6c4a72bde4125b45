package spool

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pool holds the slots that no generation uses, and the helper that makes new
// ones ready.
type pool struct {
	fs   vfs.FS
	dir  string
	size int64
	fail func(error) // tells the commit goroutine of the helper's error

	archive *archive // nil in a ring

	wake chan struct{} // one place: there is something to do
	made chan struct{} // one place: a slot got ready, or the helper failed
	done chan struct{} // closed when the helper has ended

	mu sync.Mutex
	// guards following
	slots []*slot // all there are, by number
	free  []*slot // ready, in the order in which they became free
	todo  []*slot // to be filled with zeros first
	dead  []*use  // to be unlinked
	next  int     // the number of the next segment file of an archive
	full  bool    // the last preparation of an archive's segment met a full disk
	err   error
	stop  bool
}

var errStopped = errors.New("stopped")

// run is the helper.
func (p *pool) run() {
	defer close(p.done)
	for {
		p.mu.Lock()
		if len(p.dead) > 0 && p.err == nil {
			dead := p.dead
			p.dead = nil
			p.mu.Unlock()
			p.unlink(dead)
			continue
		}
		if p.stop || p.err != nil {
			p.mu.Unlock()
			return
		}
		if len(p.todo) == 0 || p.full {
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
		if p.archive != nil && vfs.IsNoSpaceError(err) {
			// What is appended meanwhile ends with ErrFull, and asks again.
			p.full = true
			p.mu.Unlock()
			signal(p.made)
			continue
		}
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
// returns nil when all are in use, or the disk has no room for another one.
func (p *pool) take() (*slot, error) {
	for asked := false; ; {
		p.mu.Lock()
		if len(p.free) > 0 {
			sl := p.free[0]
			p.free = append(p.free[:0], p.free[1:]...)
			if p.archive != nil && len(p.free)+len(p.todo) == 0 {
				p.addLocked()
				signal(p.wake)
			}
			p.mu.Unlock()
			return sl, nil
		}
		err, wait := p.err, len(p.todo) > 0
		if p.full {
			p.full, wait = false, !asked // once more: there may be room by now
			asked = true
			signal(p.wake)
		}
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
