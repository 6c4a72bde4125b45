package mailbox

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/mail"
	"postrider/internal/spool"
)

// Store is an open mail store.
type Store struct {
	o         Options
	fs        vfs.FS
	largeDir  string
	indexName string
	lock      io.Closer
	db        *pebble.DB
	cache     *pebble.Cache
	log       *spool.Spool

	calls    calls
	accounts accounts
	ap       applier
	keys     claims[mail.ID] // deliveries under way
	names    claims[string]  // accounts being made or removed
	forget   forgetter
	filed    filed
	space    space
	shelf    *shelf

	compactor compactor
	keep      keeper

	nextAccount atomic.Uint32
	series      uint64        // upper half of the blob ids of this opening
	blobs       atomic.Uint32 // lower half of the last one given

	dead      atomic.Bool
	fatalOnce sync.Once
	closeOnce sync.Once
	closeErr  error
}

// Defaults of Options.
const (
	defaultLargeBytes    = 256 << 10
	defaultSegmentBytes  = 64 << 20
	defaultCacheBytes    = 128 << 20
	defaultMemTableBytes = 32 << 20
	defaultAccounts      = 4096
	defaultVanished      = 2000
	defaultListBytes     = 32 << 20
)

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.LargeBytes == 0 {
		o.LargeBytes = defaultLargeBytes
	}
	// A record must take an inline text and many targets.
	o.LargeBytes = min(o.LargeBytes, int(o.SegmentBytes/4))
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = defaultMemTableBytes
	}
	if o.Accounts == 0 {
		o.Accounts = defaultAccounts
	}
	if o.ListBytes == 0 {
		o.ListBytes = defaultListBytes
	}
	if o.Vanished == 0 {
		o.Vanished = defaultVanished
	}
}

// openLog opens the index and the log and brings the one up to the other.
func (s *Store) openLog() error {
	err := s.openIndex()
	if err != nil {
		return err
	}
	if err := errors.Join(s.ap.readMarks(), s.filed.load(s.db)); err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.log, err = spool.Open(s.spoolOptions(), s.ap.replay)
	if err != nil {
		return errors.Join(openError(err), s.db.Close())
	}
	err = s.ap.replayed()
	if err == nil {
		err = s.drawSeries()
	}
	if err == nil {
		err = s.sweepLarge()
	}
	if err != nil {
		return errors.Join(err, s.log.Close(), s.db.Close())
	}
	return nil
}

func (s *Store) spoolOptions() spool.Options {
	o := spool.Options{
		FS: s.fs, Dir: s.fs.PathJoin(s.o.Dir, "log"), SegmentBytes: s.o.SegmentBytes, Clock: s.o.Clock,
		ReserveRecordBytes: -1, Fatal: s.fail, Salvage: s.o.Salvage && s.ap.rebuilds, Archive: true, From: s.ap.applied,
	}
	if m := s.o.Metrics; m != nil && m.Group != nil {
		o.OnGroup = func(g spool.GroupStats) { m.Group(g.Records, g.Bytes, g.Write, g.Sync) }
	}
	return o
}

func openError(err error) error {
	switch {
	case errors.Is(err, spool.ErrLocked):
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case errors.Is(err, spool.ErrDamaged):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case errors.Is(err, spool.ErrVersion):
		return fmt.Errorf("%w: %w", ErrVersion, err)
	}
	return fmt.Errorf("open the mail store's log: %w", err)
}

// drawSeries draws the upper half of this opening's blob ids: one that no blob
// has, nor probably one that was forgotten or lost with a backup's restore.
func (s *Store) drawSeries() error {
	for {
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			return fmt.Errorf("draw a series: %w", err)
		}
		s.series = uint64(binary.BigEndian.Uint32(b[:])) << 32
		from, to := rows.BlobKey(nil, s.series), rows.BlobKey(nil, s.series|0xffffffff)
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		if err != nil {
			return fmt.Errorf("draw a series: %w", err)
		}
		taken := it.First()
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return fmt.Errorf("draw a series: %w", err)
		}
		if !taken && s.series != 0 {
			return nil
		}
	}
}

// nextBlob returns an id that no blob had or will have.
func (s *Store) nextBlob() uint64 { return s.series | uint64(s.blobs.Add(1)) }

// Close ends the store, after all calls, views' reads and opened messages have
// ended. It is the last thing that waits for them.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.compactor.end()
		s.calls.close()
		s.closeErr = s.log.Close() // ends all writes, so that the applier has them all
		s.ap.stop()
		if s.dead.Load() {
			// What is in memory may be ahead of nothing, but nothing more is promised.
			s.closeErr = errors.Join(s.closeErr, ErrClosed)
			_ = s.db.Close()
		} else {
			s.closeErr = errors.Join(s.closeErr, s.guard(func() error { return errors.Join(s.db.Flush(), s.db.Close()) }))
		}
		s.cacheUnref()
		s.closeErr = errors.Join(s.closeErr, s.lock.Close())
	})
	return s.closeErr
}

// fail ends the store after an error of a write or a sync.
func (s *Store) fail(err error) {
	s.dead.Store(true)
	s.fatalOnce.Do(func() {
		if s.o.Fatal != nil {
			s.o.Fatal(err)
		}
	})
}

// alarm tells the operator.
func (s *Store) alarm(kind string, err error) {
	if m := s.o.Metrics; m != nil && m.Alarm != nil {
		m.Alarm(kind, err)
	}
}

// enter begins a call that changes something; leave ends it.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.begin()
}

// begin begins a call; leave ends it.
func (s *Store) begin() error {
	if s.dead.Load() || !s.calls.enter() {
		return ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.calls.leave() }
