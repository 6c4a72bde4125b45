package mailbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/spool"
)

const (
	// compactEvery is how often the compactor looks for a segment that is mostly dead.
	compactEvery = 15 * time.Second
	// copyWindow bounds the bytes that are being copied at a time.
	copyWindow = 4 << 20
	// keptShare: a segment that was found too alive is looked at again when an eighth
	// of it has died since.
	keptShare = 8
)

// compactor gives back the segments of the log that hold little that is needed: what
// is needed is logged again, as it is now, and the file goes. It does that on a
// goroutine of its own, which Open starts and Close ends.
//
// What is needed is: a text that messages share, at its place; a message, with its
// present flags; the marks of every mailbox that the segment speaks of, so that no
// number is given twice; names, keywords, accounts, subscriptions, when it holds one
// of them; the keys of deliveries that may be repeated; and, while there are older
// segments that may hold what they end, expunges and deletions. Keys that were
// forgotten are not: an index that is made anew from the log may know some again,
// which costs their room and nothing else.
type compactor struct {
	s    *Store
	stop context.CancelFunc
	done chan struct{}

	// mu is held while a segment is compacted, and by Backup. It is held across I/O,
	// and taken before everything else but an account's turn.
	mu   sync.Mutex
	kept map[uint64]int64 // bytes that lived in a segment when it was found too alive; guarded by mu
}

// start begins the work in the background; every is the pause between two looks.
func (c *compactor) start(s *Store, every time.Duration) {
	c.s, c.kept, c.done = s, make(map[uint64]int64), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	if every < 0 {
		close(c.done)
		return
	}
	if every == 0 {
		every = compactEvery
	}
	go func() {
		defer close(c.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := s.Compact(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
				s.alarm("compact", err)
			}
		}
	}()
}

// end stops it, in the middle of a segment if need be.
func (c *compactor) end() {
	c.stop()
	<-c.done
}

// Compact gives back the segments of the log of which less than a half is needed, and
// returns how many that were. It is done in the background all the time.
func (s *Store) Compact(ctx context.Context) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	c := &s.compactor
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for {
		g, ok, err := c.choose()
		if !ok || err != nil {
			return n, err
		}
		gone, err := c.one(ctx, g)
		if err != nil {
			return n, fmt.Errorf("compact segment %d: %w", g.Gen, err)
		}
		if gone {
			n++
		}
	}
}

// choose returns a segment that may be worth it: the one with the least alive.
func (c *compactor) choose() (best spool.Generation, ok bool, err error) {
	least := int64(0)
	for _, g := range c.s.log.Generations(nil) {
		if g.End < 0 {
			continue
		}
		live, err := c.s.liveBytes(nil, g.Gen)
		if err != nil {
			return best, false, err
		}
		if was, kept := c.kept[g.Gen]; kept && live > was-g.Bytes/keptShare {
			continue
		}
		if 2*live < g.Bytes && (!ok || live < least) {
			best, least, ok = g, live, true
		}
	}
	return best, ok, nil
}

// one compacts a segment; false when it holds too much that is needed.
func (c *compactor) one(ctx context.Context, g spool.Generation) (bool, error) {
	s := c.s
	// What the segment holds must be in the index, which is asked what is needed.
	if err := s.applyAll(ctx); err != nil {
		return false, err
	}
	live, err := s.liveBytes(nil, g.Gen)
	if err != nil {
		return false, err
	}
	k := newCopier(ctx, s, g.Gen)
	err = k.look()
	if errors.Is(err, spool.ErrDamaged) {
		s.alarm("damage", fmt.Errorf("%w: %w", ErrDamaged, err))
		c.kept[g.Gen] = -1 // for a salvage
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if 2*(live+k.cost) >= g.Bytes {
		c.kept[g.Gen] = live
		return false, nil
	}
	if err := s.space.admit(live+k.cost, frees); err != nil {
		return false, err
	}
	if err = k.copyRecords(); err == nil {
		err = k.logBoxes()
	}
	if err = errors.Join(err, k.wait()); err != nil {
		return false, err
	}
	if err := s.applyAll(ctx); err != nil {
		return false, err
	}
	if left, err := s.liveBytes(nil, g.Gen); err != nil || left != 0 {
		c.kept[g.Gen] = -1
		return false, errors.Join(err, fmt.Errorf("%w: %d bytes of it live that no record names", ErrDamaged, left))
	}
	// The index must not need the segment after a crash either.
	err = s.guard(func() error {
		return errors.Join(s.db.Delete(rows.LiveKey(nil, g.Gen), pebble.NoSync), s.db.Flush())
	})
	if err != nil {
		s.fail(err)
		return false, err
	}
	delete(c.kept, g.Gen)
	return true, s.log.Remove(g.Gen)
}

// applyAll returns when everything that was appended before the call is applied.
func (s *Store) applyAll(ctx context.Context) error {
	o := s.newOp(true)
	o.append(nil, 0)
	return o.end(ctx)
}
