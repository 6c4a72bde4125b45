package userfile

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"postrider/internal/auth"
)

// Edit is a change under way.
type Edit struct {
	// Secret is the installation's secret, for app passwords.
	Secret []byte

	table   *Table
	changed map[string]*auth.Entry // nil: removed
	added   []string               // names that have no line yet, in order
}

// Change locks the folder of the file at path, reads the file, calls f, and
// writes what f changed. Nothing is written when f returns an error or changes
// nothing.
func Change(path string, f func(*Edit) error) (err error) {
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	e := &Edit{changed: make(map[string]*auth.Entry)}
	if e.table, err = Load(path); err != nil {
		return err
	}
	if e.Secret, err = makeSecret(path); err != nil {
		return err
	}
	if err := f(e); err != nil || len(e.changed) == 0 {
		return err
	}
	return replace(path, e.write)
}

// Lookup returns a copy of a user, nil when there is none.
func (e *Edit) Lookup(name string) *auth.Entry {
	u, ok := e.changed[name]
	if !ok {
		u = e.table.Lookup(name)
	}
	if u == nil {
		return nil
	}
	c := *u
	c.AppPasswords, c.Senders = slices.Clone(u.AppPasswords), slices.Clone(u.Senders)
	return &c
}

// Put adds a user or changes one.
func (e *Edit) Put(u *auth.Entry) error {
	if line, err := parseLine(string(appendLine(nil, u))); err != nil || line.Name != u.Name {
		return fmt.Errorf("user %s: %w", u.Name, errors.Join(err))
	}
	if _, known := e.changed[u.Name]; !known && e.table.Lookup(u.Name) == nil {
		e.added = append(e.added, u.Name)
	}
	e.changed[u.Name] = u
	return nil
}

// Remove takes a user out. It reports whether there was one.
func (e *Edit) Remove(name string) bool {
	if e.Lookup(name) == nil {
		return false
	}
	e.changed[name] = nil
	return true
}

func (e *Edit) write(f *os.File) error {
	w := bufio.NewWriterSize(f, 1<<20)
	data := e.table.data
	var own []byte
	for at := 0; at < len(data); {
		line := lineAt(data, at)
		at += len(line) + 1
		if isUser(line) {
			name, err := lineName(text(line))
			if err != nil {
				return err
			}
			if u, ok := e.changed[name]; ok {
				if u == nil {
					continue
				}
				own = appendLine(own[:0], u)
				line = own
			}
		}
		_, _ = w.Write(line) // errors stay with w until Flush
		_ = w.WriteByte('\n')
	}
	if len(data) == 0 {
		_, _ = w.WriteString(header + "\n")
	}
	for _, name := range e.added {
		if u := e.changed[name]; u != nil {
			own = append(appendLine(own[:0], u), '\n')
			_, _ = w.Write(own)
		}
	}
	return w.Flush()
}

// lineName is the first word of a user's line.
func lineName(line string) (string, error) {
	start := 0
	for start < len(line) && (line[start] == ' ' || line[start] == '\t') {
		start++
	}
	end := start
	for end < len(line) && line[end] != ' ' && line[end] != '\t' {
		end++
	}
	return unescape(line[start:end])
}

// lock takes the lock of a folder. It leaves no file behind, whatever happens.
func lock(dir string) (unlock func() error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("users: lock %s: %w", dir, err), d.Close())
	}
	return d.Close, nil
}
