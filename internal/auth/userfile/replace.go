package userfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// replace writes a file of mode 0600 beside path, makes it durable, and puts it in
// path's place. The owner stays; when root makes the first one, it is the folder's,
// so that a server which runs as somebody else can read what root wrote.
func replace(path string, write func(*os.File) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays one
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // which is not there when it took its place
			err = fmt.Errorf("users: %w", err)
		}
	}()
	err = write(f)
	if err == nil {
		err = keepOwner(f, path, dir)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func keepOwner(f *os.File, path, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		info, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(sys.Uid), int(sys.Gid))
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
