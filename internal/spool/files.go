package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool/frame"
)

// Names of the files in Options.Dir.
const (
	lockName  = "LOCK"
	epochName = "epoch"
	gapsName  = "gaps"
	goneName  = "removed" // of an archive
)

// segmentName returns the name of the n-th segment file. Those of an archive come
// and go, so that their numbers grow.
func (o *Options) segmentName(n int) string {
	if o.Archive {
		return fmt.Sprintf("log-%08d.seg", n)
	}
	return fmt.Sprintf("hot-%04d.seg", n)
}

// writeFull writes all of p at off, finishing short writes.
func writeFull(f vfs.File, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := f.WriteAt(p, off)
		if err != nil {
			return err
		}
		if n <= 0 {
			return io.ErrShortWrite
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReplaceFile writes a small file so that after a crash it is there whole, in the
// old form or the new.
func ReplaceFile(fsys vfs.FS, dir, name string, data []byte) error {
	path := fsys.PathJoin(dir, name)
	f, err := fsys.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := fsys.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// maxSmallFile bounds what is read of a file that is read whole.
const maxSmallFile = 1 << 20

// ReadFile reads a small file; nil when there is none.
func ReadFile(fsys vfs.FS, dir, name string) ([]byte, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(io.LimitReader(f, maxSmallFile))
	if p == nil {
		p = []byte{} // there, but empty
	}
	return p, errors.Join(err, f.Close())
}

// translate turns an error of package record about the named thing into one of
// this package.
func translate(err error, what string) error {
	switch {
	case errors.Is(err, frame.ErrVersion):
		return fmt.Errorf("%w: %s", ErrVersion, what)
	case errors.Is(err, frame.ErrMalformed):
		return fmt.Errorf("%w: %s", ErrDamaged, what)
	}
	return fmt.Errorf("%s: %w", what, err)
}
