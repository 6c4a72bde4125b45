package mailbox

import (
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// diskFresh is how long what the disk said last is believed.
	diskFresh = 100 * time.Millisecond
	// failurePatience is how long after its last failure the index counts as failing.
	failurePatience = 5 * time.Second
	// reserveBytes and reservePart: the default reserve is the smaller of the two,
	// and two segments.
	reserveBytes = 256 << 20
	reservePart  = 50 // a fiftieth of the disk
)

// purpose says what a change does to the room on the disk.
type purpose int

const (
	grows purpose = iota // refused at the reserve
	frees                // refused at half of it
)

// space decides about a full disk before the disk does.
type space struct {
	s       *Store
	reserve int64
	asked   atomic.Int64  // when, Unix nanoseconds
	free    atomic.Uint64 // as the disk said
	spent   atomic.Int64  // since then
	failed  atomic.Int64  // when the index failed last, Unix nanoseconds
}

func (p *space) init(s *Store) {
	p.s = s
	p.reserve = s.o.ReserveBytes
	if p.reserve != 0 {
		p.reserve = max(p.reserve, 0)
		return
	}
	p.reserve = reserveBytes
	if u, err := s.fs.GetDiskUsage(s.o.Dir); err == nil {
		total := int64(u.TotalBytes)
		p.reserve = min(min(reserveBytes, total/reservePart)+2*s.o.SegmentBytes, total/4)
	}
}

// indexFailed notes that the index could not write.
func (p *space) indexFailed() { p.failed.Store(p.s.o.Clock().UnixNano()) }

// admit decides whether a change that writes so many bytes may begin.
func (p *space) admit(bytes int64, why purpose) error {
	if p.reserve == 0 {
		return nil
	}
	now := p.s.o.Clock().UnixNano()
	if last := p.asked.Load(); (now-last > int64(diskFresh) || now < last) && p.asked.CompareAndSwap(last, now) {
		p.ask()
	}
	need := p.reserve
	if why == frees {
		need /= 2
	}
	if p.free.Load() < uint64(need+bytes+p.spent.Load()) {
		return fmt.Errorf("%w: disk space is short", ErrFull)
	}
	if at := p.failed.Load(); at != 0 && now-at < int64(failurePatience) && why == grows {
		return fmt.Errorf("%w: the index cannot be written", ErrFull)
	}
	p.spent.Add(bytes)
	return nil
}

func (p *space) ask() {
	p.spent.Store(0) // before the disk answers: a byte may count twice, never not at all
	if p.s.o.DiskFree != nil {
		free, err := p.s.o.DiskFree()
		p.answer(free, err)
		return
	}
	u, err := p.s.fs.GetDiskUsage(p.s.o.Dir)
	p.answer(u.AvailBytes, err)
}

func (p *space) answer(free uint64, err error) {
	if err != nil {
		p.s.alarm("disk", fmt.Errorf("ask for free space: %w", err))
		return // what it said last stands
	}
	p.free.Store(free)
}

// Healthy says why the store refuses mail now; nil when it does not.
func (s *Store) Healthy() error {
	if s.dead.Load() {
		return ErrClosed
	}
	return s.space.admit(0, grows)
}
