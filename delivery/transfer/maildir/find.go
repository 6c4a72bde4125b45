package maildir

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/delivery/transfer"
)

// boxes are the two folders of messages of a folder, open; nil where there is none.
type boxes struct{ cur, new *dir }

// boxes opens cur and new of d.
func (d *dir) boxes() (b boxes, err error) {
	var errs [2]error
	b.cur, errs[0] = d.dir("cur")
	b.new, errs[1] = d.dir("new")
	for _, err := range errs {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return b, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

func (b boxes) Close() error {
	var errs [2]error
	for i, d := range [...]*dir{b.cur, b.new} {
		if d != nil {
			errs[i] = d.Close()
		}
	}
	return errors.Join(errs[:]...)
}

// list returns the names of the messages in one of them.
func (d *dir) list() ([]string, error) {
	if d == nil {
		return nil, nil
	}
	names, err := d.names()
	return slices.DeleteFunc(names, func(name string) bool { return name[0] == '.' }), err
}

// find opens a message's file. One that was moved since the names were read, by a
// flag or from new to cur, is looked for once more.
func (b boxes) find(f *file) (*os.File, *unix.Stat_t, error) {
	text, stat, err := f.in.file(f.name)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, stat, err
	}
	base := baseOf(f.name)
	for _, d := range [...]*dir{b.cur, b.new} {
		names, listErr := d.list()
		if listErr != nil {
			return nil, nil, listErr
		}
		for _, name := range names {
			if strings.HasPrefix(name, base) && baseOf(name) == base {
				return d.file(name)
			}
		}
	}
	return nil, nil, err
}

// subscriptions returns the folders that are subscribed to, as they are named in
// the Maildir.
func (r *Reader) subscriptions() (map[string]bool, error) {
	text, err := r.root.read("subscriptions")
	if err != nil {
		return nil, err
	}
	folders := make(map[string]bool)
	separator := "."
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "V\t2" { // levels are separated by tabs
			separator = "\t"
			continue
		}
		if line != "" {
			folders["."+strings.ReplaceAll(line, separator, ".")] = true
		}
	}
	return folders, nil
}

var _ transfer.Source = (*Reader)(nil)
