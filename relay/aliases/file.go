package aliases

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// File is a file of aliases that is read again when it changes.
type File struct {
	path  string
	o     Options
	table atomic.Pointer[Table]

	mu   sync.Mutex // guards following
	read stamp      // of what was read last, good or bad
	seen stamp      // at the last Refresh
}

// stamp tells one state of a file from another.
type stamp struct {
	size     int64
	modified time.Time
}

// Open reads a file for the first time.
func Open(path string, o Options) (*File, error) {
	f := &File{path: path, o: o}
	s, err := f.look()
	if err != nil {
		return nil, err
	}
	t, err := Load(path, o)
	if err != nil {
		return nil, err
	}
	f.read, f.seen = s, s
	f.table.Store(t)
	return f, nil
}

// Table is the last good state. The nil File has none.
func (f *File) Table() *Table {
	if f == nil {
		return nil
	}
	return f.table.Load()
}

// Refresh is called now and then. It reads the file when that has changed and then
// stayed the same from one call to the next, so that one which is being written is
// let alone. An error, which comes once for each state of the file, says that the
// old table stays.
func (f *File) Refresh() (changed bool, err error) {
	if f == nil {
		return false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.look()
	if err != nil {
		known := f.read == stamp{}
		f.read, f.seen = stamp{}, stamp{}
		if known {
			err = nil
		}
		return false, err
	}
	settled := s == f.seen
	f.seen = s
	if s == f.read || !settled {
		return false, nil
	}
	f.read = s
	t, err := Load(f.path, f.o)
	if err != nil {
		return false, err
	}
	f.table.Store(t)
	return true, nil
}

func (f *File) look() (stamp, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return stamp{}, fmt.Errorf("aliases: %w", err)
	}
	return stamp{size: info.Size(), modified: info.ModTime()}, nil
}
