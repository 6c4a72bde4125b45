package maillog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// logFile is the file behind a sink, with its rotation. It is guarded by the
// sink's io lock.
type logFile struct {
	output
	path  string // "" for a stream, which does not rotate
	clock func() time.Time
	bytes int64 // in the current file
	limit int64 // size at which it is renamed; 0: never
	keep  int   // renamed files that stay; 0: any number
	total int64 // bytes of all files together; 0: no bound
}

// openFile opens or creates the log at path, cuts off a line that a crash tore,
// and returns the number of its last event.
func (f *logFile) openFile() (seq uint64, err error) {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return 0, err
	}
	size, seq, err := mend(file)
	if err != nil {
		return 0, errors.Join(err, file.Close())
	}
	f.output, f.bytes = file, size
	if seq > 0 || size > 0 {
		return seq, nil
	}
	if err := syncDir(filepath.Dir(f.path)); err != nil { // its name is new
		return 0, errors.Join(err, file.Close())
	}
	old, err := Files(f.path)
	if err != nil || len(old) < 2 {
		return 0, err
	}
	return lastSeq(old[len(old)-2]), nil
}

// Write implements io.Writer and counts.
func (f *logFile) Write(p []byte) (int, error) {
	n, err := f.output.Write(p)
	f.bytes += int64(n)
	return n, err
}

// rotate renames the file when n more bytes would take it over its limit. It is
// called between lines only. A renaming that fails is no reason to lose events:
// the file then grows on, and the next flush tries again.
func (f *logFile) rotate(n int) error {
	if f.path == "" || f.limit <= 0 || f.bytes == 0 || f.bytes+int64(n) <= f.limit {
		return nil
	}
	if err := f.output.Sync(); err != nil {
		return err
	}
	// One that was moved already is what a reopen that failed has left.
	if err := os.Rename(f.path, f.rotatedName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.reopen()
}

// reopen takes a new file in the place of one that was moved away. When none can
// be made the old one stays in use.
func (f *logFile) reopen() error {
	old := f.output
	if _, err := f.openFile(); err != nil {
		f.output = old
		return err
	}
	// Old files that stay too long are no reason to lose events either.
	_ = f.clear()
	return old.Close()
}

// moved reports whether the path no longer leads to the open file.
func (f *logFile) moved() bool {
	file, ok := f.output.(*os.File)
	if !ok || f.path == "" {
		return false
	}
	open, err := file.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(f.path)
	return err != nil || !os.SameFile(open, named)
}

const rotatedTime = "20060102T150405.000000Z"

func (f *logFile) rotatedName() string {
	dir, base := filepath.Split(f.path)
	ext := filepath.Ext(base)
	stem := dir + strings.TrimSuffix(base, ext) + "-"
	t := f.clock().UTC()
	for {
		name := stem + t.Format(rotatedTime) + ext
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
		t = t.Add(time.Microsecond)
	}
}

// clear removes the oldest files beyond the bounds.
func (f *logFile) clear() error {
	names, err := Files(f.path)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == f.path })
	var total int64
	kept := 0
	for _, name := range slices.Backward(names) {
		info, err := os.Stat(name)
		if err != nil {
			continue // removed by somebody else
		}
		total += info.Size()
		kept++
		// The current file may grow to its limit, so that much is kept free.
		if f.keep > 0 && kept > f.keep || f.total > 0 && total+f.limit > f.total {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Files returns the files of the log at path that exist, oldest first; the
// current one is the last.
func Files(path string) ([]string, error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	ext := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ext) + "-"
	var names []string
	current := false
	for _, e := range entries {
		name := e.Name()
		current = current || name == base
		middle, ok := strings.CutPrefix(name, stem)
		if !ok || !strings.HasSuffix(middle, ext) {
			continue
		}
		if _, err := time.Parse(rotatedTime, strings.TrimSuffix(middle, ext)); err == nil {
			names = append(names, filepath.Join(dir, name))
		}
	}
	slices.Sort(names)
	if current {
		names = append(names, path)
	}
	return names, nil
}

// tailBytes is how much of a file's end is searched for its last line; no event
// is longer.
const tailBytes = 256 << 10

// mend cuts off a last line without its end and returns the size that is left
// and the seq of the line before.
func mend(file *os.File) (size int64, seq uint64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, 0, fmt.Errorf("%s is not a regular file", file.Name())
	}
	size = info.Size()
	tail := make([]byte, min(size, tailBytes))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	if torn := int64(len(tail) - end); torn > 0 && (end > 0 || size == int64(len(tail))) {
		if err := file.Truncate(size - torn); err != nil {
			return 0, 0, err
		}
		size -= torn
	}
	return size, seqOf(tail[:end]), nil
}

func lastSeq(name string) uint64 {
	file, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer file.Close() // only read
	info, err := file.Stat()
	if err != nil {
		return 0
	}
	tail := make([]byte, min(info.Size(), tailBytes))
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	return seqOf(tail)
}

// seqOf returns the number of the last event of text, 0 when it holds none. The
// member stands before any that a stranger has a say in.
func seqOf(text []byte) uint64 {
	text = bytes.TrimRight(text, "\n")
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	_, rest, ok := bytes.Cut(line, []byte(`"seq":`))
	if !ok {
		return 0
	}
	digits, _, _ := bytes.Cut(rest, []byte{','})
	seq, err := strconv.ParseUint(string(bytes.TrimRight(digits, "}")), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
