// Package spool is a log in which a store's truth is kept: records go in at the
// end, are synced in groups, come back in order after a crash, and leave when the
// oldest generation is released as a whole. What a record means is its owner's.
//
// The log is a ring of segment files of one size. One use of one segment is a
// generation; generations are numbered upwards and never twice, and a place in
// the log (LSN) is a generation and an offset. A group (all that was waiting when
// the last sync returned) is one write and one fdatasync; a record is durable
// exactly when its Committer hears of it without an error.
//
// Options.Archive gives it another form, in which the log is kept: each generation
// has a file that is never used again, replay begins at a given place, and any
// generation but the current one can be read through (Walk) and removed (Remove)
// on its own. A new file is filled with zeros ahead of its use here too, although
// that writes every byte twice: with groups of 12 and 64 KiB, syncs took 0.2 to
// 0.3 ms instead of 0.5 to 4 and the whole a third to a half less CPU, the filling
// counted; with groups of 512 KiB it made no difference.
//
// # Guarantees
//
//   - A record whose Write ended without Err is replayed by every later Open until
//     its generation is released, whatever happens to the process or the power.
//   - Records are replayed in the order of their LSN, whole or not at all.
//   - Bytes that were not synced may be dropped at the very end of the log. A hole
//     anywhere else, or one that a later group or the epoch file contradicts, is
//     ErrDamaged; with Options.Salvage it is set aside, named and stepped over.
//   - After the first failed write or sync nothing is written or synced again.
//   - An id of NextID is never issued twice, whatever the clock does.
//
// Known limit: damage to the last synced group looks like a torn write until a
// later group, a clean Close or another Open has recorded that it was synced; and
// a last segment that lost every byte looks as if it had never been begun.
//
// # Concurrency
//
// All methods may be called from any goroutine. Open starts two goroutines, which
// Close ends and waits for: the commit goroutine is the only one that writes to
// the current segment and that calls Committers, the helper zero-fills segments
// ahead of their use. Locks: inbox.mu guards what appenders leave for the commit
// goroutine, pool.mu the unused segments; neither is taken under the other, and
// neither is held across I/O or a callback. Readers take no lock: a generation
// is found in an immutable table and pinned by a counter.
//
// # Format
//
// Package frame and docs/formats.md: the files are Dir/epoch, Dir/gaps,
// Dir/LOCK, Dir/hot-NNNN.seg and, after a salvage, Dir/quarantine-*; in an archive
// Dir/log-NNNNNNNN.seg and Dir/removed.
package spool

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/spool/frame"
)

// Errors of the spool; what Open returns and what a Write ends with wrap them.
var (
	ErrLocked   = errors.New("spool is in use by another process")
	ErrDamaged  = errors.New("spool is damaged")
	ErrVersion  = errors.New("spool was written by newer software")
	ErrFull     = errors.New("spool is full")
	ErrClosed   = errors.New("spool is closed")
	ErrTooLarge = errors.New("record is larger than a segment")
	// ErrGone ends a write whose owner gave it up before its turn.
	ErrGone     = errors.New("given up before its turn")
	ErrReleased = errors.New("generation is no longer in the spool")
)

// Options configure a spool.
type Options struct {
	FS  vfs.FS
	Dir string // created when missing, not its parents' entries

	SegmentBytes int64 // size of a segment file, rounded up to 4096; at least 16 KiB; 0: 64 MiB
	Segments     int   // segments to keep; at least 3; 0: 8. Files that exist beyond are used too.

	// Archive keeps every generation in a file of its own until Remove unlinks it,
	// instead of a ring of Segments files: Segments, ReserveRecordBytes and Advance
	// mean nothing then. A folder is opened in one form always.
	Archive bool
	// From is for an archive: Open replays only records that end behind it. A log
	// that ends before it is damaged.
	From LSN

	Node  uint16           // part of the ids
	Clock func() time.Time // for ids only; nil: time.Now

	LazyDelay    time.Duration // longest wait of a lazy Write and of Advance; 0: 5 ms
	GroupRecords int           // most records in a group; 0: 256
	GroupBytes   int           // most bytes in a group, unless one record is larger; 0: 8 MiB

	// ReserveRecordBytes is the room in the segments that yielding writes leave
	// to the others: one that would leave less ends with ErrFull.
	// 0: two segments; negative: none.
	ReserveRecordBytes int64

	// OnGroup is called on the commit goroutine after each synced group; it must
	// be quick. May be nil.
	OnGroup func(GroupStats)
	// Fatal is called once, on the commit goroutine or by Close, with the first
	// error of a write or a sync, before any Write ends because of it. It must
	// not call Close. May be nil.
	Fatal func(error)

	// Salvage makes Open go on over damage; Recovery names what was lost.
	Salvage bool
}

// GroupStats describe one synced group.
type GroupStats struct {
	Records     int
	Bytes       int           // written, headers and padding included
	Write, Sync time.Duration // of the two system calls
}

// LSN is a place in the log.
type LSN = frame.LSN

// Recovered is one record, as handed to the replay function of Open. It and its
// slices are valid during the call.
type Recovered struct {
	LSN, End LSN
	Kind     frame.Kind
	ID       mail.ID
	Payload  []byte // head and body
	Body     []byte // the last part of Payload
	BodyAt   int64  // offset of Body within the generation, for ReadAt
	BodyCRC  uint32 // frame.Sum of Body
	// AfterLogged says that the record lies behind the last SetLogged that
	// reached the disk, so that its event may be missing from the event log.
	AfterLogged bool
}

// Recovery says what Open found.
type Recovery struct {
	Clean bool   // the last owner closed the spool, or it is new
	Boots uint64 // how often it was opened, this time included

	// Only with Options.Salvage: what was given up, and the files in Options.Dir
	// to which segments with an unreadable header were renamed.
	Gaps     []Gap
	SetAside []string
}

// Gap is a part of the log that could not be read. From and To are offsets; both
// are 0 when the whole generation is missing.
type Gap struct {
	Gen      uint64
	From, To int64
	IDs      []mail.ID // of records inside whose header was still readable
}

// Write is a record on its way into the log. Its memory belongs to the caller,
// who must not touch it between Append and Committed.
type Write struct {
	Kind       frame.Kind
	ID         mail.ID
	Head, Body []byte // the payload is Head followed by Body; read until Committed
	// BodyCRC is frame.Sum(Body) when BodySummed is set; otherwise Append
	// computes it. A wrong one makes the record unreadable.
	BodyCRC    uint32
	BodySummed bool
	// Yields leaves Options.ReserveRecordBytes to the writes that do not.
	Yields bool
	// Lazy lets the record wait for the next group, at most Options.LazyDelay.
	Lazy      bool
	Committer Committer
	// Gone, when not nil, is looked at as the write's turn comes: if it is set the
	// record is left out, and the write ends with ErrGone. It may be set at any time.
	Gone *atomic.Bool

	// Set when Committed is called; the places are of use only without Err.
	LSN, End LSN
	BodyAt   int64 // offset of Body within LSN.Gen, for ReadAt
	Err      error // nil: the record is durable

	next *Write
}

// Committer is told how a Write ended: on the commit goroutine, in the order of
// LSN, after the sync; after Close or from an Append that comes too late, on the
// goroutine that calls Append. It must be quick, may call Append, and must not
// wait for another Write.
type Committer interface {
	Committed(w *Write)
}

// Spool is an open log.
type Spool struct {
	o        Options
	lock     io.Closer
	recovery Recovery

	incarnation uint32
	highest     atomic.Int64  // latest time there was, Unix milliseconds
	lastMS      int64         // the one on record at Open, Unix milliseconds; 0: none
	counter     atomic.Uint32 // of ids

	table   atomic.Pointer[[]*use] // generations that may be read, rising; replaced by the commit goroutine
	low     atomic.Uint64          // oldest generation needed, as recorded on disk
	current atomic.Uint64

	in   inbox
	pool pool
	w    writer // the commit goroutine's own

	closeOnce sync.Once
	closeErr  error
}

// Recovery returns what Open found.
func (s *Spool) Recovery() Recovery { return s.recovery }

// Incarnation is the random part of the ids of this opening.
func (s *Spool) Incarnation() uint32 { return s.incarnation }

// LastTime returns the latest time on record at Open; zero in a new spool.
func (s *Spool) LastTime() time.Time {
	if s.lastMS == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.lastMS)
}

// latest is the latest time there was, now included, in Unix milliseconds: what
// headers keep, so that the next opening knows of a clock that leapt.
func (s *Spool) latest() int64 {
	now := s.o.Clock().UnixMilli()
	for {
		high := s.highest.Load()
		if now <= high {
			return high
		}
		if s.highest.CompareAndSwap(high, now) {
			return now
		}
	}
}

// NextID returns an id that was never issued before and never will be again. Its
// time is that of the clock, or the highest in any earlier id if that is later.
func (s *Spool) NextID() mail.ID {
	return mail.MakeID(s.latest(), s.o.Node, s.incarnation, s.counter.Add(1))
}

// MaxRecord is the greatest length of Head and Body together that a Write may
// have; above it, it ends with ErrTooLarge.
func (s *Spool) MaxRecord() int64 {
	return maxRecord(s.o.SegmentBytes) - frame.RecordHeaderLen
}

// Append hands w to the commit goroutine. It does not wait. The number of waiting
// writes is bounded only by their owners, since each brings its own memory.
func (s *Spool) Append(w *Write) {
	if !w.BodySummed {
		w.BodyCRC = frame.Sum(w.Body)
	}
	w.next, w.Err = nil, nil
	w.LSN, w.End = LSN{}, LSN{}
	if !s.in.put(w) {
		w.Err = ErrClosed
		w.Committer.Committed(w)
	}
}

// ReadAt reads from the segment of gen at offset off, as io.ReaderAt does. The
// caller holds a pin or knows that gen is not released. The bytes are not checked.
func (s *Spool) ReadAt(p []byte, gen uint64, off int64) (int, error) {
	u := s.find(gen)
	if u == nil {
		return 0, fmt.Errorf("%w: %d", ErrReleased, gen)
	}
	return u.slot.file.ReadAt(p, off)
}

// Pin keeps the segment of gen from being reused until Unpin. It reports false
// when that has already happened.
func (s *Spool) Pin(gen uint64) bool {
	u := s.find(gen)
	return u != nil && u.pin()
}

// Unpin takes back one Pin.
func (s *Spool) Unpin(gen uint64) {
	if u := s.find(gen); u != nil && u.unpin() {
		s.in.askRetire()
	}
}

// Low is the oldest generation still needed, as it is recorded on disk.
func (s *Spool) Low() uint64 { return s.low.Load() }

// Current is the generation being written.
func (s *Spool) Current() uint64 { return s.current.Load() }

// Synced is the end of what is durable.
func (s *Spool) Synced() LSN {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.synced
}

// Usage counts segments: those free or still being made, and all.
func (s *Spool) Usage() (free, total int) { return s.pool.usage() }

// Advance says that generations below low are no longer needed; one above
// Current counts as Current. That is recorded in the next group, at most
// Options.LazyDelay later, and only then are their segments free for reuse, a
// pinned one when its last pin is gone.
func (s *Spool) Advance(low uint64) { s.in.advance(min(low, s.Current())) }

// SetLogged says that the events of all records that end at or before l are
// durable in the event log. The next group carries it.
func (s *Spool) SetLogged(l LSN) { s.in.setLogged(l) }

// Close writes and syncs what waits, lazy writes included, marks the epoch file
// clean and gives the lock back. No reader may be active. It returns the error
// that ended the spool, if there was one, and the same again when repeated.
func (s *Spool) Close() error {
	s.closeOnce.Do(func() {
		s.in.close()
		<-s.w.done
		s.pool.close()
		if s.closeErr = s.w.err; s.closeErr == nil {
			if err := s.w.saveEpoch(true); err != nil {
				s.closeErr = fmt.Errorf("write epoch file: %w", err)
			}
		}
		s.closeFiles()
		s.closeErr = errors.Join(s.closeErr, s.lock.Close())
	})
	return s.closeErr
}

func (s *Spool) closeFiles() {
	empty := []*use(nil)
	s.table.Store(&empty)
	for _, sl := range s.pool.slots {
		if sl.file != nil {
			// Nothing unsynced is behind it, or the spool has failed already.
			_ = sl.file.Close()
		}
	}
}
