package userfile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"unsafe"

	"postrider/internal/auth"
)

// Error is what is wrong with a file, and where.
type Error struct {
	Line, Column int // from 1
	Err          error
}

func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %v", e.Line, e.Column, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Table is one state of a file: its octets, and where the line of each user begins.
// The index holds digests of names, so that nothing in it is a pointer; of names
// with equal digests the second takes the next free one.
type Table struct {
	data  []byte
	index map[uint64]uint32
	seed  maphash.Seed
	// noScram counts users with a password, of a program or not, without SCRAM keys.
	noScram int
}

// Parse reads a whole file, and keeps data.
func Parse(data []byte) (*Table, error) {
	t := &Table{data: data, seed: maphash.MakeSeed()}
	if len(data) > math.MaxUint32 {
		return nil, &Error{1, 1, errors.New("the file is larger than 4 GiB")}
	}
	t.index = make(map[uint64]uint32, bytes.Count(data, []byte("\n"))+1)
	number := 0
	for at := 0; at < len(data); {
		line := lineAt(data, at)
		if number++; number == 1 && string(bytes.TrimRight(line, " \t\r")) != header {
			return nil, &Error{1, 1, fmt.Errorf("the first line must be %q", header)}
		}
		if isUser(line) {
			if err := t.add(at, line); err != nil {
				column := 1
				if wrong, ok := errors.AsType[*lineError](err); ok {
					column += wrong.at
				}
				return nil, &Error{number, column, err}
			}
		}
		at += len(line) + 1
	}
	return t, nil
}

// lineAt is the line that begins at an octet, without its end.
func lineAt(data []byte, at int) []byte {
	if end := bytes.IndexByte(data[at:], '\n'); end >= 0 {
		return data[at : at+end]
	}
	return data[at:]
}

func isUser(line []byte) bool {
	line = bytes.TrimLeft(line, " \t\r")
	return len(line) > 0 && line[0] != '#'
}

// text views octets that never change as a string.
func text(line []byte) string {
	line = bytes.TrimRight(line, "\r")
	return unsafe.String(unsafe.SliceData(line), len(line))
}

func (t *Table) add(at int, line []byte) error {
	e, err := parseLine(text(line))
	if err != nil {
		return err
	}
	slot, found := t.find(e.Name)
	if found != nil {
		return wrong(0, "there is a line for this user already")
	}
	t.index[slot] = uint32(at)
	if !e.Disabled && !scramReady(e) {
		t.noScram++
	}
	return nil
}

// scramReady reports that every password of a user can be used by SCRAM.
func scramReady(e *auth.Entry) bool {
	for i := range e.AppPasswords {
		if e.AppPasswords[i].Scram == nil {
			return false
		}
	}
	return e.Scram != nil || e.Hash == "" && len(e.AppPasswords) == 0
}

// find returns the entry of a name, or the slot that is free for it.
func (t *Table) find(name string) (slot uint64, e *auth.Entry) {
	for slot = maphash.String(t.seed, name); ; slot++ {
		at, ok := t.index[slot]
		if !ok {
			return slot, nil
		}
		if e := t.at(at); e != nil && e.Name == name {
			return slot, e
		}
	}
}

// at reads the line at an octet, which was valid when the table was made.
func (t *Table) at(at uint32) *auth.Entry {
	e, err := parseLine(text(lineAt(t.data, int(at))))
	if err != nil {
		return nil
	}
	return e
}

// Lookup returns the user of a canonical name, nil when there is none.
func (t *Table) Lookup(name string) *auth.Entry {
	_, e := t.find(name)
	return e
}

// Users is how many there are.
func (t *Table) Users() int { return len(t.index) }

// All yields every user in the order of the file.
func (t *Table) All() iter.Seq[*auth.Entry] {
	return func(yield func(*auth.Entry) bool) {
		for at := 0; at < len(t.data); {
			line := lineAt(t.data, at)
			if isUser(line) {
				if e := t.at(uint32(at)); e != nil && !yield(e) {
					return
				}
			}
			at += len(line) + 1
		}
	}
}

// decoy looks for a user who has what is wanted from a place in the file that only
// the name decides. It gives up after some lines, since a file may hold none.
func (t *Table) decoy(name string, wanted func(*auth.Entry) bool) *auth.Entry {
	const tries = 64
	if len(t.data) == 0 {
		return nil
	}
	at := int(maphash.String(t.seed, name) % uint64(len(t.data)))
	for range tries {
		end := bytes.IndexByte(t.data[at:], '\n')
		if at += end + 1; end < 0 || at >= len(t.data) {
			at = 0
		}
		if line := lineAt(t.data, at); isUser(line) {
			if e := t.at(uint32(at)); e != nil && wanted(e) {
				return e
			}
		}
	}
	return nil
}
