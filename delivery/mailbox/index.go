package mailbox

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"postrider/delivery/mailbox/internal/rows"
)

// indexBlockBytes is how much of the index is read at once. Searches and fetches go
// through the headers of whole mailboxes, a kilobyte or more each, mostly in the order in
// which they lie: of 100,000 messages in 131 ms, 168 ms with 16 KiB and some 400 ms with
// Pebble's 4 KiB. A single row costs some 10 us more when its block is not in memory.
const indexBlockBytes = 32 << 10

// openIndex opens Pebble. It has no log of its own: what it lost in a crash is
// brought in again from ours, since each of its batches says how far it goes, and
// it writes them in their order.
func (s *Store) openIndex() error {
	dir := s.fs.PathJoin(s.o.Dir, s.indexName)
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of the index: %w", err)
	}
	s.cache = pebble.NewCache(s.o.CacheBytes)
	d, err := pebble.Peek(dir, s.fs)
	if err != nil {
		return indexError("look for the index", err)
	}
	if !d.Exists {
		// The first log of a fresh store keeps an old encoding, which may drop
		// synced records; the log of the second opening has the new one.
		db, err := pebble.Open(dir, s.indexOptions())
		if err != nil {
			return indexError("make the index", err)
		}
		err = db.Set([]byte{rows.PrefixVersion}, []byte{rows.Version}, pebble.NoSync)
		if err = errors.Join(err, db.Flush(), db.Close(), syncDir(s.fs, s.o.Dir)); err != nil {
			return indexError("make the index", err)
		}
	}
	if s.db, err = pebble.Open(dir, s.indexOptions()); err != nil {
		return indexError("open the index", err)
	}
	if err := s.indexVersion(); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

func (s *Store) indexVersion() error {
	v, closer, err := s.db.Get([]byte{rows.PrefixVersion})
	if errors.Is(err, pebble.ErrNotFound) { // its making was cut short
		return s.db.Set([]byte{rows.PrefixVersion}, []byte{rows.Version}, pebble.NoSync)
	}
	if err != nil {
		return indexError("read the index's version", err)
	}
	newer := len(v) != 1 || v[0] > rows.Version
	if err := closer.Close(); err != nil {
		return indexError("read the index's version", err)
	}
	if newer {
		return fmt.Errorf("%w: its index", ErrVersion)
	}
	return nil
}

func (s *Store) cacheUnref() {
	if s.cache != nil {
		s.cache.Unref()
		s.cache = nil
	}
}

func (s *Store) indexOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.fs,
		FormatMajorVersion:          pebble.FormatNewest,
		Cache:                       s.cache,
		DisableWAL:                  true,
		MemTableSize:                uint64(s.o.MemTableBytes),
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                512,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       32,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      (*indexLog)(s),
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = indexBlockBytes
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most keys of deliveries that are looked for are not there
	}
	o.EventListener = &pebble.EventListener{
		DiskSlow: func(i pebble.DiskSlowInfo) { s.alarm("slow", fmt.Errorf("disk is slow: %s", i.String())) },
		BackgroundError: func(err error) {
			if pebble.IsCorruptionError(err) {
				s.alarm("damage", err)
			} else {
				s.space.indexFailed()
				s.alarm("background", err)
			}
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.alarm("damage", fmt.Errorf("%w: index: %w", ErrDamaged, i.Details))
		},
	}
	o.EnsureDefaults()
	return o
}

// indexLog is what Pebble logs to. It speaks only of what is wrong.
type indexLog Store

// Infof implements pebble.Logger.
func (l *indexLog) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (l *indexLog) Errorf(format string, args ...any) {
	(*Store)(l).alarm("index", fmt.Errorf(format, args...))
}

// Fatalf implements pebble.Logger: Pebble cannot go on. The program is told to
// exit; the goroutine that came here never returns to the running index.
func (l *indexLog) Fatalf(format string, args ...any) {
	(*Store)(l).fail(fmt.Errorf("index: "+format, args...))
	runtime.Goexit()
}

// guard runs f, which writes to Pebble, on a goroutine of its own and returns its
// error. Where Pebble cannot go on it does not return: it calls Fatalf, which ends
// the goroutine, or panics with an error.
func (s *Store) guard(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errIndex
		defer func() {
			if r := recover(); r != nil {
				e, ok := r.(error)
				if _, ours := r.(runtime.Error); ours || !ok {
					panic(r)
				}
				err = fmt.Errorf("index: %w", e)
			}
			done <- err
		}()
		err = f()
	}()
	return <-done
}

// errIndex stands for what Pebble has told Fatalf.
var errIndex = errors.New("the index has failed")

func indexError(what string, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// get reads a row and hands its value to parse, which must not keep it; false
// when there is none.
func get(r pebble.Reader, key []byte, parse func([]byte) error) (bool, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, indexError("read the index", err)
	}
	err = parse(v)
	if cerr := closer.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, fmt.Errorf("%w: row %x: %w", ErrDamaged, key, err)
	}
	return true, nil
}

// scan calls f for the rows whose keys begin with from, in order, until f returns
// false.
func scan(r pebble.Reader, from []byte, f func(key, value []byte) (bool, error)) error {
	return scanBetween(r, from, rows.After(append([]byte(nil), from...)), f)
}

func scanBetween(r pebble.Reader, from, to []byte, f func(key, value []byte) (bool, error)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return indexError("read the index", err)
	}
	more := true
	for ok := it.First(); ok && more && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			more, err = f(it.Key(), v)
		}
	}
	if err == nil {
		err = it.Error()
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return indexError("read the index", err)
	}
	return nil
}

func isNotFound(err error) bool { return errors.Is(err, pebble.ErrNotFound) }
