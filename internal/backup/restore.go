package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RestoreOptions say how a backup is put back.
type RestoreOptions struct {
	// DataDir takes the data folder; empty: where it was.
	DataDir string
	// Keep leaves files alone that are there with another content; otherwise they are
	// in the way.
	Keep bool
}

// Restored says what Restore has done.
type Restored struct {
	DataDir string
	Files   []string // put in their place
	Kept    []string // that were there with another content
}

// Restore puts back what is in the backup dir. The data folder must be empty or not
// exist.
func Restore(ctx context.Context, dir string, o RestoreOptions) (*Restored, error) {
	text, err := os.ReadFile(filepath.Join(dir, listName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s", ErrNotWhole, dir, listName)
	}
	if err != nil {
		return nil, err
	}
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotWhole, listName, err)
	}
	if l.Version != version {
		return nil, fmt.Errorf("%w: version %d", ErrVersion, l.Version)
	}
	r := &Restored{DataDir: l.DataDir}
	if o.DataDir != "" {
		if r.DataDir, err = filepath.Abs(o.DataDir); err != nil {
			return nil, err
		}
	}
	todo, err := r.look(dir, &l, o.Keep)
	if err != nil {
		return nil, err
	}
	for _, f := range todo {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return r, err
		}
		if err := copyTree(ctx, filepath.Join(dir, f.Name), f.Path); err != nil {
			return r, err
		}
		if err := syncDir(filepath.Dir(f.Path)); err != nil {
			return r, err
		}
		r.Files = append(r.Files, f.Path)
	}
	return r, r.data(ctx, filepath.Join(dir, "data"))
}

// look finds what is in the way, and returns what is to be put back.
func (r *Restored) look(dir string, l *list, keep bool) ([]file, error) {
	entries, err := os.ReadDir(r.DataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotEmpty, r.DataDir)
	}
	var todo []file
	for _, f := range l.Files {
		if !filepath.IsLocal(f.Name) || !filepath.IsAbs(f.Path) {
			return nil, fmt.Errorf("%w: it names %s for %s", ErrNotWhole, f.Name, f.Path)
		}
		have, err := os.Stat(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			todo = append(todo, f)
			continue
		}
		if err != nil {
			return nil, err
		}
		if !have.IsDir() && sameContent(filepath.Join(dir, f.Name), f.Path) {
			continue
		}
		if !keep {
			return nil, fmt.Errorf("%s is there with another content", f.Path)
		}
		r.Kept = append(r.Kept, f.Path)
	}
	return todo, nil
}

func sameContent(a, b string) bool {
	x, err := os.ReadFile(a)
	y, err2 := os.ReadFile(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

// data copies the data folder beside its place, and puts it there in one step.
func (r *Restored) data(ctx context.Context, from string) error {
	part := r.DataDir + ".restoring"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
		return err
	}
	if err := copyTree(ctx, from, part); err != nil {
		return err
	}
	if _, err := os.Stat(part); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWhole, err)
	}
	if err := os.Remove(r.DataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(part, r.DataDir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(r.DataDir))
}
