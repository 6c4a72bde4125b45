package maillog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// pollEvery is how often Follow looks for new lines.
const pollEvery = 200 * time.Millisecond

// Scan calls yield for every whole line of the log at path, rotated files first,
// until it returns false. A line is valid during the call and has no line end.
func Scan(ctx context.Context, path string, yield func(line []byte) bool) error {
	names, err := Files(path)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	for _, name := range names {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) { // removed since it was listed
			continue
		}
		if err != nil {
			return err
		}
		more, err := scanFile(ctx, f, yield)
		if err = errors.Join(err, f.Close()); err != nil || !more {
			return err
		}
	}
	return nil
}

func scanFile(ctx context.Context, f io.Reader, yield func([]byte) bool) (more bool, err error) {
	lines := bufio.NewReaderSize(f, tailBytes)
	for ctx.Err() == nil {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF): // what is left is a line that is being written
			return true, nil
		case err != nil:
			return false, err
		}
		if !yield(line[:len(line)-1]) {
			return false, nil
		}
	}
	return false, ctx.Err()
}

// Follow calls yield for the last n lines of the log at path and then for every
// new one, across rotations, until it returns false or ctx ends. It waits for a
// log that does not exist yet.
func Follow(ctx context.Context, path string, n int, yield func(line []byte) bool) error {
	t := &tail{path: path, yield: yield}
	defer t.close()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := n
	for {
		err := t.poll(last)
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err == nil:
			last = -1 // files that come later are read from their start
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

var errEnough = errors.New("the reader has seen enough")

// tail reads a growing file.
type tail struct {
	path  string
	yield func([]byte) bool
	file  *os.File
	rest  []byte // a line whose end has not come yet
}

// poll reads what has come. last is how many lines of a file that is opened now
// are wanted; negative: all.
func (t *tail) poll(last int) error {
	if t.file == nil {
		f, err := os.Open(t.path)
		if err != nil {
			return err
		}
		t.file = f
		if last >= 0 {
			if err := seekLast(f, last); err != nil {
				return err
			}
		}
	}
	// The file may be renamed and a new one begun at any moment: asked first, the
	// answer says that nothing more will come behind what is read next.
	moved := t.moved()
	if err := t.drain(); err != nil {
		return err
	}
	if !moved {
		return nil
	}
	t.close()
	return t.poll(-1)
}

func (t *tail) moved() bool {
	named, err := os.Stat(t.path)
	if err != nil {
		return false // the new one is not there yet
	}
	open, err := t.file.Stat()
	return err == nil && !os.SameFile(open, named)
}

func (t *tail) drain() error {
	var buf [32 << 10]byte
	for {
		n, err := t.file.Read(buf[:])
		t.rest = append(t.rest, buf[:n]...)
		for {
			i := bytes.IndexByte(t.rest, '\n')
			if i < 0 {
				break
			}
			if !t.yield(t.rest[:i]) {
				return errEnough
			}
			t.rest = t.rest[i+1:]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // only read
		t.file = nil
	}
	t.rest = nil
}

// seekLast moves f to the start of its n-th last whole line.
func seekLast(f *os.File, n int) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var buf [32 << 10]byte
	for at := end; at > 0; {
		size := min(at, int64(len(buf)))
		at -= size
		if _, err := f.ReadAt(buf[:size], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] != '\n' {
				continue
			}
			if n == 0 {
				_, err := f.Seek(at+i+1, io.SeekStart)
				return err
			}
			n--
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}
