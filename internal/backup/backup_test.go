package backup_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"postrider/internal/backup"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestBackupRestore backs up a data folder and files elsewhere, and puts them back
// where nothing is in the way.
func TestBackupRestore(t *testing.T) {
	root := t.TempDir()
	data, conf, dir := filepath.Join(root, "data"), filepath.Join(root, "conf"), filepath.Join(root, "backup")
	write(t, filepath.Join(data, "state", "a.json"), "learned")
	write(t, filepath.Join(data, "events.jsonl"), "events")
	write(t, filepath.Join(conf, "postrider.toml"), "version = 1")
	write(t, filepath.Join(conf, "users"), "u")
	b, err := backup.Begin(dir, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Rest(t.Context(), func(name string) bool { return name == "events.jsonl" }); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.Data("queue"), "epoch"), "a store's own copy")
	for _, name := range []string{"postrider.toml", "users", "not there"} {
		if err := b.File(t.Context(), filepath.Join(conf, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := backup.Restore(t.Context(), dir, backup.RestoreOptions{}); !errors.Is(err, backup.ErrNotWhole) {
		t.Fatal(err)
	}
	if err := b.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Begin(dir, data); !errors.Is(err, backup.ErrNotEmpty) {
		t.Fatal(err)
	}
	if _, err := backup.Begin(filepath.Join(data, "x"), data); err == nil {
		t.Fatal("a backup in the data folder")
	}
	if _, err := backup.Restore(t.Context(), dir, backup.RestoreOptions{}); !errors.Is(err, backup.ErrNotEmpty) {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(data), os.Remove(filepath.Join(conf, "users"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(conf, "postrider.toml"), "edited")
	if _, err := backup.Restore(t.Context(), dir, backup.RestoreOptions{}); err == nil {
		t.Fatal("an edited file was in nobody's way")
	}
	if _, err := os.Stat(data); err == nil {
		t.Fatal("a restore that was refused has written something")
	}
	r, err := backup.Restore(t.Context(), dir, backup.RestoreOptions{Keep: true})
	if err != nil || len(r.Files) != 1 || len(r.Kept) != 1 {
		t.Fatal(r, err)
	}
	if read(t, filepath.Join(data, "state", "a.json")) != "learned" || read(t, filepath.Join(data, "queue", "epoch")) != "a store's own copy" ||
		read(t, filepath.Join(conf, "users")) != "u" || read(t, filepath.Join(conf, "postrider.toml")) != "edited" {
		t.Fatal("not what was backed up")
	}
	if info, err := os.Stat(filepath.Join(conf, "users")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	if _, err := os.Stat(filepath.Join(data, "events.jsonl")); err == nil {
		t.Fatal("what was skipped is there")
	}
}

// TestRestoreElsewhere puts the data folder at another place.
func TestRestoreElsewhere(t *testing.T) {
	root := t.TempDir()
	data, dir, other := filepath.Join(root, "data"), filepath.Join(root, "backup"), filepath.Join(root, "there", "data")
	write(t, filepath.Join(data, "x"), "x")
	b, err := backup.Begin(dir, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Rest(t.Context(), func(string) bool { return false }), b.Finish()); err != nil {
		t.Fatal(err)
	}
	if r, err := backup.Restore(t.Context(), dir, backup.RestoreOptions{DataDir: other}); err != nil || r.DataDir != other || read(t, filepath.Join(other, "x")) != "x" {
		t.Fatal(r, err)
	}
}
