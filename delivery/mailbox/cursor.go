package mailbox

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/message"
)

// Wanted says what a Cursor reads besides Meta.
type Wanted uint8

// What a Cursor may read.
const (
	WantItems  Wanted = 1 << iota // Cursor.Items, without Prefix
	WantPrefix                    // Items.Prefix
	// WantLater makes Move read Meta alone: Header and Structure read the items, when
	// they are called.
	WantLater
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
	items   seeker
	heads   seeker
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
		return c.failed(err)
	}
	if wanted&WantItems != 0 {
		if c.items.it, err = s.db.NewIter(prefixBounds(rows.PrefixItems)); err != nil {
			return c.failed(err)
		}
	}
	if wanted&WantPrefix != 0 {
		if c.heads.it, err = s.db.NewIter(prefixBounds(rows.PrefixHead)); err != nil {
			return c.failed(err)
		}
	}
	return nil
}

func prefixBounds(prefix byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}}
}

func (c *Cursor) failed(err error) error {
	return indexError("read messages", errors.Join(err, c.Close()))
}

// Close ends the reading.
func (c *Cursor) Close() error {
	if c.v == nil {
		return nil
	}
	err := errors.Join(c.entries.close(), c.items.close(), c.heads.close())
	c.Items.Structure.Parts = c.Items.Structure.Parts[:0]
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
	if c.wanted&WantItems != 0 {
		if there, err := c.readItems(); !there || err != nil {
			return false, err
		}
	}
	return true, c.readPrefix()
}

// Header reads Items.Header and Items.Whole of the message that Move went to, and the
// prefix if that is wanted, but nothing else of Items. It reports false when the text
// has gone meanwhile.
func (c *Cursor) Header() (bool, error) {
	c.key = rows.ItemsKey(c.key[:0], c.row.Blob)
	if c.items.find(c.key) {
		if c.Items.rest = c.Items.parseHeader(c.items.it.Value()); c.Items.rest != nil {
			return true, c.readPrefix()
		}
	}
	if there, err := c.readItems(); !there || err != nil {
		return false, err
	}
	c.Items.rest = nil
	return true, c.readPrefix()
}

// Structure reads what Header left out.
func (c *Cursor) Structure() error {
	if c.Items.rest == nil {
		return nil
	}
	if err := message.ParseStructure(c.Items.rest, &c.Items.Structure); err == nil {
		c.Items.rest = nil
		return nil
	}
	_, err := c.readItems()
	return err
}

// readPrefix reads Items.Prefix, if it is wanted and there is one.
func (c *Cursor) readPrefix() error {
	c.Items.Prefix = nil
	if c.wanted&WantPrefix != 0 && c.Meta.PrefixBytes > 0 {
		m := c.v.m
		c.key = rows.HeadKey(c.key[:0], m.a.id, m.id, c.Meta.UID)
		if c.heads.find(c.key) {
			var err error
			if c.Items.Prefix, _, err = rows.ParseHead(c.heads.it.Value()); err != nil {
				return indexError("read messages", err)
			}
		}
	}
	return nil
}

// readItems reads the items of the text, or makes them; it reports false when the text
// has gone meanwhile.
func (c *Cursor) readItems() (bool, error) {
	s := c.v.m.a.s
	c.key = rows.ItemsKey(c.key[:0], c.row.Blob)
	if c.items.find(c.key) && c.Items.parse(c.items.it.Value()) == nil {
		return true, nil
	}
	err := s.makeItems(c.row.Blob, &c.Items)
	if errors.Is(err, ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}
