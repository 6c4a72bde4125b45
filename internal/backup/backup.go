// Package backup keeps copies of everything that a daemon needs in one folder, and
// puts them back. What a running store writes there is the store's; this package
// copies plain files beside it, says what is where, and says it last.
//
// # Guarantees
//
//   - A folder without its list (list.json) is no backup: it is written when all else
//     is there and synced.
//   - Restore changes nothing when something stands in its way, and puts data in its
//     place by one rename.
//
// # Concurrency
//
// A Backup belongs to one goroutine.
//
// # Format
//
// DIR/data holds the data folder, DIR/files the other files, numbered; docs/formats.md,
// "Backups".
package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	listName = "list.json"
	version  = 1
)

var (
	// ErrNotEmpty reports a folder that holds something already.
	ErrNotEmpty = errors.New("the folder is not empty")
	// ErrNotWhole reports a folder that is no backup, or one that was not finished.
	ErrNotWhole = errors.New("not a whole backup")
	// ErrVersion reports a backup of newer software.
	ErrVersion = errors.New("the backup was made by newer software")
)

// list says what a backup holds.
type list struct {
	Version int       `json:"version"`
	Made    time.Time `json:"made"`
	DataDir string    `json:"data_dir"`
	Files   []file    `json:"files"`
}

// file is one that is not in the data folder, and where it belongs.
type file struct {
	Name string `json:"name"` // in the backup
	Path string `json:"path"`
}

// Backup is one that is being made.
type Backup struct {
	dir  string
	list list
}

// Begin makes the folder dir, or takes it when it is empty. dataDir is the data folder
// that is to be backed up; dir cannot be in it.
func Begin(dir, dataDir string) (*Backup, error) {
	data, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%s is not an absolute path", dir)
	}
	if rel, err := filepath.Rel(data, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return nil, fmt.Errorf("%s is in the data folder", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotEmpty, dir)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	return &Backup{dir: dir, list: list{Version: version, Made: time.Now(), DataDir: data}}, nil
}

// Data is the place of a folder or file of the data folder in the backup.
func (b *Backup) Data(name string) string { return filepath.Join(b.dir, "data", name) }

// Rest copies what is in the data folder besides what skip names; sockets and the like
// are left out. skip gets names in the data folder itself.
func (b *Backup) Rest(ctx context.Context, skip func(name string) bool) error {
	entries, err := os.ReadDir(b.list.DataDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if skip(e.Name()) {
			continue
		}
		if err := copyTree(ctx, filepath.Join(b.list.DataDir, e.Name()), b.Data(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// File copies a file, or a folder, that is elsewhere. One that does not exist is left
// out.
func (b *Backup) File(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(b.list.DataDir, path); err == nil && filepath.IsLocal(rel) {
		return nil // with the data folder
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name := filepath.Join("files", fmt.Sprintf("%03d-%s", len(b.list.Files), filepath.Base(path)))
	if err := os.MkdirAll(filepath.Join(b.dir, "files"), 0o700); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		b.list.Files = append(b.list.Files, file{name, path})
		return copyTree(ctx, real, filepath.Join(b.dir, name))
	}
	return fmt.Errorf("%s cannot be followed", path)
}

// Finish makes the backup whole.
func (b *Backup) Finish() error {
	text, err := json.MarshalIndent(&b.list, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(b.dir, listName)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(append(text, '\n')); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(b.dir, "data"), filepath.Join(b.dir, "files"), b.dir} {
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return errors.Join(syncDir(b.dir), syncDir(filepath.Dir(b.dir)))
}

// copyTree copies a regular file or a folder with what is in it, with modes and, when
// it may, owners, and syncs it.
func copyTree(ctx context.Context, from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it went meanwhile
	}
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return copyFile(ctx, from, to, info)
	case !info.IsDir():
		return nil
	}
	if err := os.MkdirAll(to, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(ctx, filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return errors.Join(own(to, info), syncDir(to))
}

func copyFile(ctx context.Context, from, to string, info fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close() // only read
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err = io.Copy(dst, src); err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close(), own(to, info))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
