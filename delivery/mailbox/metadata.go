package mailbox

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// Limits of metadata. It does not count as used room, so it has to be little.
const (
	MaxMetadataBytes   = 16 << 10 // of a value
	MaxMetadataEntries = 64       // of a mailbox, or of an account itself
	maxMetadataBox     = 32 << 10 // bytes of all entries of one of them
	maxMetadataAccount = 4 << 20  // of an account with all its mailboxes
	maxMetadataName    = 255
)

// Metadata is an entry that a client keeps with a mailbox, or with its account
// (RFC 5464). Names are octets here: whoever folds their case does it before.
type Metadata struct {
	Name    string
	Value   []byte // nil: there is none
	Version uint64 // given: the higher it is, the later it was changed
}

// notesMark tells whether metadata has changed.
type notesMark struct {
	version uint64
	bytes   int // of all entries
}

// noteKeeper is an account or one of its mailboxes, as a keeper of metadata.
type noteKeeper struct {
	a   *Account
	m   *Mailbox // nil: the account itself
	box record.Box
}

func (a *Account) keeper() noteKeeper { return noteKeeper{a: a, box: record.Box{Account: a.id}} }
func (m *Mailbox) keeper() noteKeeper { return noteKeeper{a: m.a, m: m, box: m.box()} }

// Metadata appends the account's own entries to dst, sorted by name, those that were
// removed lately as well: they have no Value.
func (a *Account) Metadata(dst []Metadata) ([]Metadata, error) { return a.keeper().read(dst) }

// Metadata appends the mailbox's entries; see Account.Metadata.
func (m *Mailbox) Metadata(dst []Metadata) ([]Metadata, error) { return m.keeper().read(dst) }

// SetMetadata changes entries of the account itself, all or none: those that changes
// names get its values.
func (a *Account) SetMetadata(ctx context.Context, changes []Metadata) error {
	return a.keeper().set(ctx, changes)
}

// SetMetadata changes entries of the mailbox; see Account.SetMetadata.
func (m *Mailbox) SetMetadata(ctx context.Context, changes []Metadata) error {
	return m.keeper().set(ctx, changes)
}

// MetadataVersion is the highest Version of the account's own entries.
func (a *Account) MetadataVersion() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.notes.version
}

// MetadataVersion is the highest Version of the mailbox's entries.
func (m *Mailbox) MetadataVersion() uint64 {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	return m.notes.version
}

func (k noteKeeper) read(dst []Metadata) ([]Metadata, error) {
	if err := k.a.s.begin(); err != nil {
		return dst, err
	}
	defer k.a.s.leave()
	_, notes, err := k.notes()
	for _, n := range notes {
		d := Metadata{Name: string(n.Name), Version: n.Version}
		if n.There {
			d.Value = append([]byte{}, n.Value...)
		}
		dst = append(dst, d)
	}
	return dst, err
}

// notes reads the entries from the index.
func (k noteKeeper) notes() (version uint64, notes []record.Note, err error) {
	_, err = get(k.a.s.db, rows.MetadataKey(nil, k.box.Account, k.box.Mailbox), func(v []byte) error {
		var l record.Notes
		if version, l, err = rows.ParseMetadata(bytes.Clone(v)); err != nil {
			return err
		}
		for n := (record.Note{}); l.Next(&n); {
			notes = append(notes, n)
		}
		return nil
	})
	return version, notes, err
}

func (k noteKeeper) set(ctx context.Context, changes []Metadata) error {
	why := frees
	for i := range changes {
		if c := &changes[i]; c.Name == "" || len(c.Name) > maxMetadataName || len(c.Value) > MaxMetadataBytes {
			return fmt.Errorf("%w: %q with %d bytes", ErrMetadata, c.Name, len(c.Value))
		}
		if changes[i].Value != nil {
			why = grows
		}
	}
	return k.a.inTurn(ctx, why, func() error {
		version, notes, err := k.notes()
		if err != nil {
			return err
		}
		if notes, err = noted(notes, changes, version+1); notes == nil || err != nil {
			return err
		}
		return k.a.alterInTurn(ctx, func(o *op) error {
			if k.m != nil && k.m.gone {
				return ErrNoMailbox
			}
			if err := k.fitsLocked(noteBytes(notes)); err != nil && why == grows {
				return err
			}
			o.head = record.AppendMetadata(o.head, k.box, version+1, notes)
			return nil
		})
	})
}

// noted returns notes with the changes; nil when they change nothing.
func noted(notes []record.Note, changes []Metadata, version uint64) ([]record.Note, error) {
	out := slices.Clone(notes)
	any := false
	for i := range changes {
		c := &changes[i]
		at, have := slices.BinarySearchFunc(out, c.Name, func(n record.Note, name string) int { return strings.Compare(string(n.Name), name) })
		there := c.Value != nil
		switch {
		case !have && !there || have && out[at].There == there && bytes.Equal(out[at].Value, c.Value):
			continue
		case !have:
			out = slices.Insert(out, at, record.Note{})
		}
		out[at] = record.Note{Name: []byte(c.Name), Version: version, There: there, Value: c.Value}
		any = true
	}
	there, oldest := 0, -1
	for i := range out {
		switch {
		case out[i].There:
			there++
		case oldest < 0 || out[i].Version < out[oldest].Version:
			oldest = i
		}
	}
	switch {
	case there > MaxMetadataEntries:
		return nil, ErrTooMany
	case !any:
		return nil, nil
	case len(out)-there > MaxMetadataEntries: // few learn of what was removed so long ago
		out = slices.DeleteFunc(out, func(n record.Note) bool { return !n.There && n.Version == out[oldest].Version })
	}
	return out, nil
}

func noteBytes(notes []record.Note) (n int) {
	for i := range notes {
		n += len(notes[i].Name) + len(notes[i].Value)
	}
	return n
}

// fitsLocked says whether the entries may have so many bytes.
func (k noteKeeper) fitsLocked(n int) error {
	if n > maxMetadataBox {
		return ErrTooMany
	}
	all := n + k.a.notes.bytes
	for _, m := range k.a.sorted {
		all += m.notes.bytes
	}
	if k.m != nil {
		all -= k.m.notes.bytes
	} else {
		all -= k.a.notes.bytes
	}
	if all > maxMetadataAccount {
		return ErrTooMany
	}
	return nil
}
