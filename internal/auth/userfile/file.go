package userfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"postrider/internal/auth"
)

// Interval is how often Watch looks at the file.
const Interval = 500 * time.Millisecond

// File is a users file that is read again when it changes. It is a database for
// package auth. A file that is not there has no users.
type File struct {
	path   string
	table  atomic.Pointer[Table]
	secret atomic.Pointer[[]byte]

	mu   sync.Mutex // guards following
	read stamp      // of what was read last, good or bad
	seen stamp      // at the last Refresh
}

// stamp tells one state of a file from another.
type stamp struct {
	inode    uint64
	size     int64
	modified time.Time
}

// Open reads a file for the first time.
func Open(path string) (*File, error) {
	f := &File{path: path}
	s, err := f.look()
	if err == nil {
		err = f.load()
	}
	if err != nil {
		return nil, err
	}
	f.read, f.seen = s, s
	return f, nil
}

// Path is where the file lies.
func (f *File) Path() string { return f.path }

// Table is the last good state.
func (f *File) Table() *Table { return f.table.Load() }

// Secret is the installation's secret, nil when there is none yet. It is made with
// the file.
func (f *File) Secret() []byte {
	if s := f.secret.Load(); s != nil {
		return *s
	}
	return nil
}

// Lookup implements auth.Database.
func (f *File) Lookup(_ context.Context, name string) (*auth.Entry, error) {
	if e := f.Table().Lookup(name); e != nil {
		return e, nil
	}
	return nil, auth.ErrUnknown
}

// ScramReady implements auth.ScramReady.
func (f *File) ScramReady() bool { return f.Table().noScram == 0 }

// Refresh is called now and then. It reads the file when another has taken its
// place, or when it was changed where it is and then stayed the same from one call
// to the next, so that one which is being written is let alone. An error, which
// comes once for each state of the file, says that the old users stay, as they do
// when the file has vanished.
func (f *File) Refresh() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.look()
	if err != nil {
		return false, err
	}
	settled := s == f.seen || s.inode != f.seen.inode
	f.seen = s
	if s == f.read || !settled {
		return false, nil
	}
	f.read = s
	if s == (stamp{}) && f.Table().Users() > 0 {
		return false, errGone
	}
	if err := f.load(); err != nil {
		return false, err
	}
	return true, nil
}

// errGone is said of a file that had users: that it is moved away is more likely a
// mistake, or one half of how somebody replaces it, than the wish to have none, and
// mail for all of them would be refused for good.
var errGone = errors.New("users: the file is gone; one without users must hold its first line")

// Reload reads the file now, whatever Refresh has seen.
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.look()
	if err != nil {
		return err
	}
	f.read, f.seen = s, s
	return f.load()
}

// Watch calls Refresh until ctx ends, and report with what it says whenever that is
// not nothing.
func (f *File) Watch(ctx context.Context, report func(users int, err error)) {
	t := time.NewTicker(Interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if changed, err := f.Refresh(); changed || err != nil {
			report(f.Table().Users(), err)
		}
	}
}

func (f *File) load() error {
	t, err := Load(f.path)
	if err != nil {
		return err
	}
	secret, err := readSecret(f.path)
	if err != nil {
		return err
	}
	f.secret.Store(&secret)
	f.table.Store(t)
	return nil
}

func (f *File) look() (stamp, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, fmt.Errorf("users: %w", err)
	}
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s, nil
}

// Load reads the file at path; one that is not there has no users.
func Load(path string) (*Table, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data = []byte(header + "\n")
	case err != nil:
		return nil, fmt.Errorf("users: %w", err)
	}
	t, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return t, nil
}

// Decoy implements auth.Decoys: the stored form of some user, the same as long as
// the file is, so that an unknown name takes as long to check as a known one also
// where forms of several kinds are in use.
func (f *File) Decoy(name string) string {
	if e := f.Table().decoy(name, func(e *auth.Entry) bool { return e.Hash != "" }); e != nil {
		return e.Hash
	}
	return ""
}

// ScramDecoy implements auth.ScramDecoys.
func (f *File) ScramDecoy(name string) (rounds, saltBytes int) {
	if e := f.Table().decoy(name, func(e *auth.Entry) bool { return e.Scram != nil }); e != nil {
		return e.Scram.Iterations, len(e.Scram.Salt)
	}
	return 0, 0
}
