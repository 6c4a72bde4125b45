package mailbox

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/rows"
)

// Wanted says what a Cursor reads besides Meta.
type Wanted uint8

// What a Cursor may read.
const (
	WantHeader    Wanted = 1 << iota // Items.Header and Items.Whole
	WantStructure                    // Items.Structure
	WantPrefix                       // Items.Prefix
	// WantLater makes Move read Meta alone: Header and Structure read the items, when
	// they are called.
	WantLater

	WantItems = WantHeader | WantStructure
)

// Cursor reads the messages of a view one after the other, whichever the caller
// wants: going to a near one with a higher UID costs little. It holds on to the
// index as it was when it began; an old one keeps files of the index from going.
type Cursor struct {
	Meta  Meta  // of the message that Move went to
	Items Items // of its text; valid until the next Move or Close

	v       *View
	wanted  Wanted
	entries seeker
	tops    seeker
	items   seeker
	heads   seeker
	blobs   seeker
	kept    []byte // by Detach
	row     rows.Entry
	key     []byte
}

// seeker is an iterator that is asked for keys that mostly rise.
type seeker struct {
	it    *pebble.Iterator
	valid bool
}

// find goes to a key, and reports whether it is there. The next row is often the one.
func (p *seeker) find(key []byte) bool {
	if p.valid {
		if c := bytes.Compare(p.it.Key(), key); c == 0 {
			return true
		} else if c < 0 {
			if p.valid = p.it.Next(); p.valid && bytes.Equal(p.it.Key(), key) {
				return true
			}
		}
	}
	p.valid = p.it.SeekGE(key)
	return p.valid && bytes.Equal(p.it.Key(), key)
}

func (p *seeker) close() error {
	if p.it == nil {
		return nil
	}
	err := errors.Join(p.it.Error(), p.it.Close())
	p.it, p.valid = nil, false
	return err
}

// Cursor makes c read messages of the view. Close gives it back; its memory is used
// again by the next time.
func (v *View) Cursor(c *Cursor, wanted Wanted) error {
	s := v.m.a.s
	if err := s.begin(); err != nil {
		return err
	}
	c.v, c.wanted = v, wanted
	c.key = rows.EntryKey(c.key[:0], v.m.a.id, v.m.id, 0)
	lower := c.key[:9:9]
	upper := rows.After(bytes.Clone(lower))
	var err error
	if c.entries.it, err = s.db.NewIter(&pebble.IterOptions{LowerBound: bytes.Clone(lower), UpperBound: upper}); err != nil {
		return indexError("read messages", errors.Join(err, c.Close()))
	}
	return nil
}

// look finds the row of c.key, and returns its value, nil when there is none. p goes
// through the rows of a kind, whose keys begin with prefix.
func (c *Cursor) look(p *seeker, prefix byte) (value []byte, err error) {
	if p.it == nil {
		bounds := pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}}
		if p.it, err = c.v.m.a.s.db.NewIter(&bounds); err != nil {
			return nil, indexError("read messages", err)
		}
	}
	if p.find(c.key) {
		return p.it.Value(), nil
	}
	if err := p.it.Error(); err != nil {
		return nil, indexError("read messages", err)
	}
	return nil, nil
}

// Close ends the reading.
func (c *Cursor) Close() error {
	if c.v == nil {
		return nil
	}
	err := errors.Join(c.entries.close(), c.tops.close(), c.items.close(), c.heads.close(), c.blobs.close())
	c.v.m.a.s.leave()
	c.v = nil
	if err != nil {
		return indexError("read messages", err)
	}
	return nil
}

// Move goes to the message with a UID, and reports whether it is there; it may have
// gone meanwhile.
func (c *Cursor) Move(uid uint32) (bool, error) {
	m := c.v.m
	c.key = rows.EntryKey(c.key[:0], m.a.id, m.id, uid)
	if !c.entries.find(c.key) {
		return false, c.entries.it.Error()
	}
	if err := rows.ParseEntry(c.entries.it.Value(), &c.row); err != nil {
		return false, indexError("read messages", err)
	}
	c.Meta.set(uid, &c.row)
	if c.wanted&WantLater != 0 {
		return true, nil
	}
	if c.wanted&WantHeader != 0 {
		if there, err := c.readTop(); !there || err != nil {
			return false, err
		}
	}
	if c.wanted&WantStructure != 0 {
		if there, err := c.Structure(); !there || err != nil {
			return false, err
		}
	}
	return true, c.readPrefix()
}

// Header reads Items.Header and Items.Whole of the message that Move went to, and the
// prefix if that is wanted, but nothing else of Items. It reports false when the text
// has gone meanwhile.
func (c *Cursor) Header() (bool, error) {
	if there, err := c.readTop(); !there || err != nil {
		return false, err
	}
	return true, c.readPrefix()
}

// readTop reads the header of the text, or makes the items.
func (c *Cursor) readTop() (bool, error) {
	c.key = rows.TopKey(c.key[:0], c.row.Blob)
	row, err := c.look(&c.tops, rows.PrefixTop)
	if err != nil || row != nil && c.Items.parseTop(row) {
		return err == nil, err
	}
	return c.makeItems()
}

// Structure reads Items.Structure of the message that Move went to. It reports false
// when the text has gone meanwhile.
func (c *Cursor) Structure() (bool, error) {
	c.key = rows.ItemsKey(c.key[:0], c.row.Blob)
	row, err := c.look(&c.items, rows.PrefixItems)
	if err != nil || row != nil && c.Items.parse(row) {
		return err == nil, err
	}
	return c.makeItems()
}

// makeItems makes the items of a text that has none, all of them.
func (c *Cursor) makeItems() (bool, error) {
	err := c.v.m.a.s.makeItems(c.row.Blob, &c.Items)
	if errors.Is(err, ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// readPrefix reads Items.Prefix, if it is wanted and there is one.
func (c *Cursor) readPrefix() error {
	c.Items.Prefix = nil
	if c.wanted&WantPrefix == 0 || c.Meta.PrefixBytes == 0 {
		return nil
	}
	m := c.v.m
	c.key = rows.HeadKey(c.key[:0], m.a.id, m.id, c.Meta.UID)
	row, err := c.look(&c.heads, rows.PrefixHead)
	if err != nil || row == nil {
		return err
	}
	if c.Items.Prefix, _, err = rows.ParseHead(row); err != nil {
		return indexError("read messages", err)
	}
	return nil
}
