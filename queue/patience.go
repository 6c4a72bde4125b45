package queue

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patientFS is a file system whose writers meet a full disk by waiting: what
// found no room is tried again for as long as more says so. Without it Pebble
// ends the process when its log has no room, and tries a flush again hundreds of
// times a second. A sync that fails for want of room fails as any other: what it
// has written is not known.
type patientFS struct {
	vfs.FS
	more func() bool // false: the error stands
	over func()      // called when what had found no room has found some; nil: nobody is
}

// Unwrap lets Pebble find the file system below.
func (p *patientFS) Unwrap() vfs.FS { return p.FS }

// try repeats op while it finds no room.
func (p *patientFS) try(op func() error) error {
	for waited := false; ; waited = true {
		err := op()
		if err == nil && waited && p.over != nil {
			p.over()
		}
		if !noRoom(err) || !p.more() {
			return err
		}
	}
}

// file is try for what returns a file.
func (p *patientFS) file(open func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	err := p.try(func() (err error) {
		f, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &patientFile{File: f, fs: p}, nil
}

func (p *patientFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(func() (vfs.File, error) { return p.FS.Create(name, c) })
}

func (p *patientFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return p.file(func() (vfs.File, error) { return p.FS.OpenReadWrite(name, c, o...) })
}

func (p *patientFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(func() (vfs.File, error) { return p.FS.ReuseForWrite(old, name, c) })
}

func (p *patientFS) Link(old, name string) error {
	return p.try(func() error { return p.FS.Link(old, name) })
}

func (p *patientFS) Rename(old, name string) error {
	return p.try(func() error { return p.FS.Rename(old, name) })
}

func (p *patientFS) MkdirAll(dir string, perm os.FileMode) error {
	return p.try(func() error { return p.FS.MkdirAll(dir, perm) })
}

// patientFile is an open file of a patientFS. A write that was cut short goes on
// where it ended. One that finds room allocates nothing.
type patientFile struct {
	vfs.File
	fs *patientFS
}

func (f *patientFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if !noRoom(err) {
		return n, err
	}
	return f.rest(b, n, err, f.File.Write)
}

func (f *patientFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	if !noRoom(err) {
		return n, err
	}
	at := off + int64(n)
	return f.rest(b, n, err, func(p []byte) (int, error) {
		w, err := f.File.WriteAt(p, at)
		at += int64(w)
		return w, err
	})
}

// rest writes what is left of b, of which n bytes were written before the disk was
// full.
func (f *patientFile) rest(b []byte, n int, full error, write func([]byte) (int, error)) (int, error) {
	err := f.fs.try(func() error {
		if full != nil { // what the caller has met
			err := full
			full = nil
			return err
		}
		w, err := write(b[n:])
		n += w
		return err
	})
	return n, err
}

func (f *patientFile) Preallocate(off, length int64) error {
	return f.fs.try(func() error { return f.File.Preallocate(off, length) })
}

// noRoom reports whether err says that the disk, or the share of it that we may
// use, is full.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// fullDisk is what the queue does about a disk without room.
type fullDisk struct {
	q       *Queue
	failing *failure
	once    sync.Once
	cut     chan struct{} // closed when a queue that closes has given up a write
}

// wait is the patience of the rows and the cold segments: the ballast goes first,
// then they wait for room, and mail is refused meanwhile. Neither a queue that
// opens nor one that closes waits: the spool has everything.
func (d *fullDisk) wait() bool {
	q := d.q
	if d.failing.note(q.o.Clock()) {
		q.alarm("disk", errors.New("disk is full"))
	}
	if d.dropBallast() {
		return true
	}
	if !q.opened.Load() {
		return false
	}
	select {
	case <-q.stop:
		d.once.Do(func() { close(d.cut) })
		return false
	case <-time.After(housekeeping):
		return true
	}
}

// dropBallast gives the ballast's room away; false when it is gone already. It is
// made again when there is room (see space.go). It is all the patience that the
// spool has: a message is refused rather than waited for.
func (d *fullDisk) dropBallast() bool {
	q := d.q
	path := q.fs.PathJoin(q.o.Dir, ballastName)
	if _, err := q.fs.Stat(path); err != nil {
		return false
	}
	return q.fs.Remove(path) == nil
}

// gaveUp reports whether a write was given up while the queue closed.
func (d *fullDisk) gaveUp() bool {
	select {
	case <-d.cut:
		return true
	default:
		return false
	}
}
