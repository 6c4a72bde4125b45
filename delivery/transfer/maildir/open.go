package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Errors of opening what is not to be trusted.
var (
	ErrLink  = errors.New("a symbolic link, which is not followed")
	ErrOwner = errors.New("it belongs to another owner than the Maildir")
	ErrKind  = errors.New("not a regular file or folder")
	ErrTwice = errors.New("another folder stands for the same mailbox")
)

// dir is an open folder, with the owner that everything below it must have.
type dir struct {
	f     *os.File
	path  string
	owner uint32
}

// openRoot opens a folder by its path without following a link in it.
func openRoot(path string) (*dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/", Err: err}
	}
	at := "/"
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		at = filepath.Join(at, name)
		next, err := openAt(fd, name, unix.O_DIRECTORY)
		err = errors.Join(err, unix.Close(fd))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		fd = next
	}
	d := &dir{f: os.NewFile(uintptr(fd), path), path: path}
	stat, err := d.stat()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.owner = stat.Uid
	return d, nil
}

// openAt opens a name in the folder fd, and no link, for reading.
func openAt(fd int, name string, flags int) (int, error) {
	for {
		got, err := unix.Openat(fd, name, flags|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ELOOP):
			err = ErrLink
		case errors.Is(err, unix.ENXIO): // a socket, or a pipe
			err = ErrKind
		case errors.Is(err, unix.ENOTDIR):
			var stat unix.Stat_t
			if unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil && stat.Mode&unix.S_IFMT == unix.S_IFLNK {
				err = ErrLink
			}
		}
		return got, err
	}
}

func (d *dir) stat() (unix.Stat_t, error) {
	var stat unix.Stat_t
	err := unix.Fstat(int(d.f.Fd()), &stat)
	return stat, err
}

// dir opens the folder name in d.
func (d *dir) dir(name string) (*dir, error) {
	fd, err := openAt(int(d.f.Fd()), name, unix.O_DIRECTORY)
	path := filepath.Join(d.path, name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	sub := &dir{f: os.NewFile(uintptr(fd), path), path: path, owner: d.owner}
	stat, err := sub.stat()
	if err == nil && stat.Uid != d.owner {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrOwner}
	}
	if err != nil {
		return nil, errors.Join(err, sub.Close())
	}
	return sub, nil
}

// file opens the regular file name in d.
func (d *dir) file(name string) (*os.File, *unix.Stat_t, error) {
	path := filepath.Join(d.path, name)
	fd, err := openAt(int(d.f.Fd()), name, 0)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	switch {
	case err != nil:
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		err = ErrKind
	case stat.Uid != d.owner:
		err = ErrOwner
	}
	if err != nil {
		return nil, nil, errors.Join(&fs.PathError{Op: "open", Path: path, Err: err}, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), &stat, nil
}

// smallMax bounds the files that are read whole.
const smallMax = 256 << 20

// read returns the content of a file of d, nil when there is none.
func (d *dir) read(name string) ([]byte, error) {
	f, _, err := d.file(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, smallMax+1))
	if err == nil && len(text) > smallMax {
		err = fmt.Errorf("%s: larger than 256 MiB", f.Name())
	}
	return text, errors.Join(err, f.Close())
}

// names returns what is in d.
func (d *dir) names() ([]string, error) {
	if _, err := d.f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return d.f.Readdirnames(-1)
}

func (d *dir) Close() error { return d.f.Close() }
