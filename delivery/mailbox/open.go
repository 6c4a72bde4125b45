package mailbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/spool"
)

// Open opens the store in o.Dir, or makes one, and brings in what the log holds.
func Open(o Options) (*Store, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, err
	}
	err = s.open()
	if errors.Is(err, ErrDamaged) && o.Salvage {
		s.alarm("damage", err)
		s.cacheUnref()
		lock := s.lock
		s = newStore(s.o) // nothing of what was read is believed
		s.lock = lock
		if err = s.remake("the store is damaged"); err == nil {
			err = s.openLog()
		}
	}
	if err != nil {
		s.cacheUnref()
		return nil, errors.Join(err, s.lock.Close())
	}
	s.ap.start()
	s.compactor.start(s, o.CompactEvery)
	if err := s.openRestored(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens what the folder holds. An index that is missing is made from the log.
func (s *Store) open() error {
	index := s.fs.PathJoin(s.o.Dir, indexName)
	if err := s.fs.MkdirAll(index, 0o700); err != nil {
		return fmt.Errorf("make folder of the index: %w", err)
	}
	d, err := pebble.Peek(index, s.fs)
	if err != nil {
		return indexError("look for the index", err)
	}
	log, err := spool.ReadFile(s.fs, s.fs.PathJoin(s.o.Dir, "log"), "epoch")
	if err != nil {
		return fmt.Errorf("look for the mail store's log: %w", err)
	}
	if !d.Exists && log != nil {
		if err := s.remake("the index is missing"); err != nil {
			return err
		}
	}
	return s.openLog()
}

// remake makes the index anew and tells the operator.
func (s *Store) remake(why string) error {
	r, err := s.rebuild(context.Background())
	if err != nil {
		return err
	}
	s.alarm("rebuilt", fmt.Errorf("%s: the index was made anew of %d records; it has %d messages", why, r.Records, r.Messages))
	for _, g := range r.Gaps {
		s.alarm("damage", fmt.Errorf("%w: generation %d of the log, bytes %d to %d", ErrDamaged, g.Gen, g.From, g.To))
	}
	for _, f := range r.Lost {
		s.alarm("damage", fmt.Errorf("%w: %v", ErrDamaged, f))
	}
	return nil
}

// indexName is the folder of the index.
const indexName = "index"

func newStore(o Options) *Store {
	s := &Store{o: o, fs: o.FS, largeDir: o.FS.PathJoin(o.Dir, "large"), indexName: indexName, shelf: newShelf(o.ListBytes)}
	s.calls.init()
	s.accounts.init(s, o.Accounts)
	s.ap.init(s)
	s.space.init(s)
	return s
}

// prepare makes and locks the folder.
func prepare(o Options) (*Store, error) {
	o.setDefaults()
	s := newStore(o)
	if err := s.fs.MkdirAll(s.largeDir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of the mail store: %w", err)
	}
	for _, dir := range []string{o.Dir, s.fs.PathDir(o.Dir)} { // the names of the folders
		if err := syncDir(s.fs, dir); err != nil {
			return nil, fmt.Errorf("make folder of the mail store: %w", err)
		}
	}
	var err error
	if s.lock, err = s.fs.Lock(s.fs.PathJoin(o.Dir, "LOCK")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	s.space.init(s) // the folder is there now
	s.space.ask()   // of two first changes one would ask, and the other find no answer
	return s, nil
}
