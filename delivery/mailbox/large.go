package mailbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/bufpool"
	"postrider/internal/spool/frame"
)

// largeName is the file of a large text: named by its blob, so that nothing that a
// stranger sends selects a file name.
func largeName(blob uint64) string { return fmt.Sprintf("%016x", blob) }

func (s *Store) largePath(blob uint64) string { return s.fs.PathJoin(s.largeDir, largeName(blob)) }

// largeFile is a text being written to a file of its own.
type largeFile struct {
	s    *Store
	blob uint64
	file vfs.File
	size int64
	crc  uint32
}

// newLarge begins a file that is not there yet: blob ids are never given twice.
func (s *Store) newLarge() (*largeFile, error) {
	l := &largeFile{s: s, blob: s.nextBlob()}
	var err error
	if l.file, err = s.fs.Create(s.largePath(l.blob), vfs.WriteCategoryUnspecified); err != nil {
		return nil, fmt.Errorf("make file of a large text: %w", err)
	}
	return l, nil
}

func (l *largeFile) write(p []byte) error {
	l.crc = frame.UpdateSum(l.crc, p) // before the file has p: under the invariants tag a file in memory spoils it
	if _, err := l.file.Write(p); err != nil {
		return fmt.Errorf("write large text: %w", err)
	}
	l.size += int64(len(p))
	return nil
}

// finish makes the file durable, with its name.
func (l *largeFile) finish() error {
	err := errors.Join(l.file.Sync(), l.file.Close())
	l.file = nil
	if err == nil {
		err = syncDir(l.s.fs, l.s.largeDir)
	}
	if err != nil {
		// A failed sync may have lost what a second one would not miss.
		l.s.fail(fmt.Errorf("sync large text: %w", err))
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// abandon removes the file.
func (l *largeFile) abandon() {
	if l.file != nil {
		_ = l.file.Close() // nothing of it is kept
		l.file = nil
	}
	l.s.removeLarge(l.blob)
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// copyLarge writes a text to a file of its own.
func (s *Store) copyLarge(r io.Reader) (*largeFile, error) {
	l, err := s.newLarge()
	if err != nil {
		return nil, err
	}
	buf := bufpool.Get(64 << 10)
	defer bufpool.Put(buf)
	p := buf.B[:cap(buf.B)]
	for {
		n, err := r.Read(p)
		if n > 0 {
			if werr := l.write(p[:n]); werr != nil {
				l.abandon()
				return nil, werr
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.abandon()
			return nil, fmt.Errorf("read text: %w", err)
		}
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	return l, nil
}

// removeLarge removes the file of a text. What fails is done at the next Open.
func (s *Store) removeLarge(blob uint64) {
	if s.keep.keeps(blob) {
		return // a backup is being made
	}
	if err := s.fs.Remove(s.largePath(blob)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.alarm("large", fmt.Errorf("remove large text: %w", err))
	}
}

// sweepLarge removes the files that no message refers to.
func (s *Store) sweepLarge() error {
	names, err := s.fs.List(s.largeDir)
	if err != nil {
		return fmt.Errorf("list large texts: %w", err)
	}
	for _, name := range names {
		blob, err := strconv.ParseUint(name, 16, 64)
		if err != nil || name != largeName(blob) {
			continue // not ours
		}
		found, err := get(s.db, rows.BlobKey(nil, blob), func([]byte) error { return nil })
		if err != nil {
			return err
		}
		if !found {
			s.removeLarge(blob)
		}
	}
	return nil
}
