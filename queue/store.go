package queue

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/queue/internal/cold"
	"postrider/queue/internal/rows"
)

const (
	// cacheBytes and memtableBytes keep Pebble small: it holds what waits for
	// hours, and nothing on the way of a fresh message reads it.
	cacheBytes    = 8 << 20
	memtableBytes = 4 << 20
	// ballastBytes are given back when Pebble meets a full disk.
	ballastBytes = 16 << 20
	ballastName  = "ballast"
)

// store is where messages rest that have left the hot spool. Only the worker
// writes to it.
type store struct {
	q    *Queue
	fs   vfs.FS
	dir  string
	db   *pebble.DB
	cold *cold.Store

	stalled    atomic.Int64 // since when Pebble takes no writes, Unix nanoseconds; 0: it does
	stallNanos atomic.Int64 // of all stalls that have ended
	failing    failure      // its background work fails, or finds no room
	full       fullDisk
}

// failure remembers when Pebble's background work has failed last. On a full
// disk it is tried again hundreds of times a second; when that stops, so has the
// trouble.
type failure struct {
	last atomic.Int64 // Unix nanoseconds; 0: never
	now  func() time.Time
}

// failurePatience is how long after its last failure Pebble counts as failing.
const failurePatience = 5 * time.Second

// note remembers a failure; it reports whether it is worth an alarm: the first
// in a second.
func (f *failure) note(now time.Time) bool {
	last := f.last.Swap(now.UnixNano())
	return last/int64(time.Second) != now.Unix()
}

// Load reports whether Pebble is failing.
func (f *failure) Load() bool {
	last := f.last.Load()
	return last != 0 && f.now().UnixNano()-last < int64(failurePatience)
}

// openStore opens Pebble and the cold segments below the queue's folder.
func (q *Queue) openStore() (*store, error) {
	s := &store{q: q, dir: q.fs.PathJoin(q.o.Dir, "rows")}
	s.failing.now = q.o.Clock
	s.full = fullDisk{q: q, failing: &s.failing, cut: make(chan struct{})}
	s.fs = &patientFS{FS: q.fs, more: s.full.wait, over: func() { s.failing.last.Store(0) }}
	if err := q.fs.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of rows: %w", err)
	}
	if err := s.create(); err != nil {
		return nil, err
	}
	var err error
	if s.db, err = pebble.Open(s.dir, s.options()); err != nil {
		return nil, openError(err)
	}
	if err = s.version(); err == nil {
		s.cold, err = cold.Open(s.fs, q.fs.PathJoin(q.o.Dir, "cold"), q.o.ColdBytes)
	}
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

func openError(err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: open rows: %w", ErrDamaged, err)
	}
	return fmt.Errorf("open rows: %w", err)
}

// create makes a new store and closes it again: the first log of a fresh store
// keeps the old encoding, which silently drops synced records behind a flipped
// byte; the log of the second opening has the new one.
func (s *store) create() error {
	d, err := pebble.Peek(s.dir, s.fs)
	if err != nil {
		return openError(err)
	}
	if d.Exists {
		return nil
	}
	db, err := pebble.Open(s.dir, s.options())
	if err != nil {
		return openError(err)
	}
	err = db.Set([]byte{rows.PrefixStoreVersion}, []byte{rows.Version}, pebble.Sync)
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("create rows: %w", err)
	}
	return nil
}

// version refuses rows that a newer program wrote. A store whose making was cut
// short before its version was written holds nothing yet. A salvage takes a version
// that cannot be read for ours, and writes it again.
func (s *store) version() error {
	v, closer, err := s.db.Get([]byte{rows.PrefixStoreVersion})
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Set([]byte{rows.PrefixStoreVersion}, []byte{rows.Version}, pebble.Sync)
	}
	if pebble.IsCorruptionError(err) && s.q.o.Salvage {
		s.q.alarm("damage", fmt.Errorf("%w: read version of rows: %w", ErrDamaged, err))
		return s.db.Set([]byte{rows.PrefixStoreVersion}, []byte{rows.Version}, pebble.Sync)
	}
	if err != nil {
		return readError("version of rows", err)
	}
	newer := len(v) != 1 || v[0] > rows.Version
	older := !newer && v[0] < rows.Version
	if err := closer.Close(); err != nil {
		return fmt.Errorf("read version of rows: %w", err)
	}
	if newer {
		return fmt.Errorf("%w: rows", ErrVersion)
	}
	if older { // from now on there may be rows that older software cannot read
		return s.db.Set([]byte{rows.PrefixStoreVersion}, []byte{rows.Version}, pebble.Sync)
	}
	return nil
}

// readError tells damage from what may pass.
func readError(what string, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: read %s: %w", ErrDamaged, what, err)
	}
	return fmt.Errorf("read %s: %w", what, err)
}

func (s *store) options() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.fs,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   cacheBytes,
		MemTableSize:                memtableBytes,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
		L0StopWritesThreshold:       32, // the worker may run ahead of compaction for a while
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      (*pebbleLog)(s.q),
	}
	events := pebble.EventListener{
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { s.stallBegins(s.q.o.Clock()) },
		WriteStallEnd:   func() { s.stallEnds(s.q.o.Clock()) },
		DiskSlow: func(i pebble.DiskSlowInfo) {
			s.q.alarm("slow", fmt.Errorf("disk is slow: %s", i.String()))
		},
		LowDiskSpace: func(i pebble.LowDiskSpaceInfo) {
			s.q.alarm("disk", fmt.Errorf("disk is nearly full: %s", i.String()))
		},
		BackgroundError: func(err error) {
			// Damage does not pass, and does not keep others from being written.
			if pebble.IsCorruptionError(err) {
				s.q.alarm("damage", err)
			} else if s.failing.note(s.q.o.Clock()) {
				s.q.alarm("background", err)
			}
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.q.alarm("damage", fmt.Errorf("%w: rows: %w", ErrDamaged, i.Details))
		},
	}
	o.EventListener = &events
	o.EnsureDefaults()
	return o
}

// pebbleLog is what Pebble logs to. It speaks only of what is wrong.
type pebbleLog Queue

// Infof implements pebble.Logger.
func (l *pebbleLog) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (l *pebbleLog) Errorf(format string, args ...any) {
	(*Queue)(l).alarm("rows", fmt.Errorf(format, args...))
}

// Fatalf implements pebble.Logger: Pebble cannot go on, and must not. The
// program is told to exit; the goroutine that came here never returns to the
// running store (see guard).
func (l *pebbleLog) Fatalf(format string, args ...any) {
	(*Queue)(l).failRows(fmt.Errorf("rows: "+format, args...))
	runtime.Goexit()
}

// failRows ends the queue after an error of the rows, unless it is what a queue
// that closes has given up for want of room.
func (q *Queue) failRows(err error) {
	if q.st != nil && q.st.full.gaveUp() {
		q.alarm("disk", err)
		return
	}
	q.fail(err)
}

// guard runs f, which writes to Pebble, on a goroutine of its own and returns
// its error. Where Pebble sees its log fail it does not return: it calls Fatalf,
// which ends the goroutine, or panics. Either is an error here, after which the
// store is not used again; our own broken invariants still panic.
func (q *Queue) guard(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errPebble
		defer func() {
			switch r := recover().(type) {
			case nil:
			case runtime.Error:
				panic(r)
			case error:
				err = fmt.Errorf("rows: %w", r)
			default:
				panic(r)
			}
			done <- err
		}()
		err = f()
	}()
	return <-done
}

// errPebble stands for what Pebble has told Fatalf.
var errPebble = errors.New("rows: the store has failed")

// rowOf reads a recipient's row into r, whose slices alias *buf; false when
// there is none.
func rowOf(g pebble.Reader, key []byte, buf *[]byte, r *rows.Recipient) (bool, error) {
	v, closer, err := g.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read recipient row: %w", err)
	}
	*buf = append((*buf)[:0], v...)
	if err := closer.Close(); err != nil {
		return false, fmt.Errorf("read recipient row: %w", err)
	}
	if err := rows.ParseRecipient(*buf, r); err != nil {
		return false, fmt.Errorf("parse recipient row: %w", err)
	}
	return true, nil
}

// has reports whether a message has a row; an error counts as yes.
func (s *store) has(id mail.ID) bool {
	_, closer, err := s.db.Get(rows.Message(nil, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return false
	}
	if err == nil {
		_ = closer.Close() // nothing was kept of it
	}
	return true
}

// newest reports whether there is such a row. Other than an iterator it does not
// look at older versions of it, which may be damaged.
func (s *store) newest(key []byte) (bool, error) {
	_, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// applied reads how far the spool has taken effect in Pebble. For a salvage that
// cannot read it, nothing has: what is done again changes nothing, since of two
// versions the higher wins.
func (s *store) applied() (spool.LSN, error) {
	v, closer, err := s.db.Get([]byte{rows.PrefixApplied})
	if errors.Is(err, pebble.ErrNotFound) {
		return spool.LSN{}, nil
	}
	if pebble.IsCorruptionError(err) && s.q.o.Salvage {
		s.q.alarm("damage", fmt.Errorf("%w: read applied place: %w", ErrDamaged, err))
		return spool.LSN{}, nil
	}
	if err != nil {
		return spool.LSN{}, readError("applied place", err)
	}
	gen, off, err := rows.ParseApplied(v)
	if cerr := closer.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return spool.LSN{}, fmt.Errorf("read applied place: %w", err)
	}
	return spool.LSN{Gen: gen, Off: off}, nil
}

// largePath is the file of a large message: named by its id, so that nothing a
// stranger sends selects a file name.
func (q *Queue) largePath(id mail.ID) string {
	return q.fs.PathJoin(q.largeDir, id.String())
}
