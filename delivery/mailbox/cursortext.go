package mailbox

import (
	"errors"

	"postrider/delivery/mailbox/internal/rows"
)

// Detach is Close, but Meta and Items stay valid until the next Move: for who waits
// longer than an old cursor should last.
func (c *Cursor) Detach() error {
	if c.v == nil {
		return nil
	}
	it := &c.Items
	kept := c.kept[:0]
	for _, p := range [...]*[]byte{
		&it.Prefix, &it.Header, &it.Envelope, &it.Body, &it.BodyStructure, &it.Preview, &it.MessageID, &it.InReplyTo, &it.References,
	} {
		if *p != nil {
			at := len(kept)
			kept = append(kept, *p...)
			*p = kept[at:len(kept):len(kept)]
		}
	}
	if c.kept = kept; cap(kept) > maxKeptHead {
		c.kept = nil
	}
	return c.Close()
}

// Message opens the message that Move went to, as View.Message does. It may be used, and
// must be released, whatever the cursor does then.
func (c *Cursor) Message(m *Message) error {
	s := c.v.m.a.s
	if err := s.begin(); err != nil {
		return err
	}
	m.s, m.Meta = s, c.Meta
	err := c.openMessage(m)
	if err != nil {
		m.s = nil
		s.leave()
	}
	return err
}

func (c *Cursor) openMessage(m *Message) error {
	box := c.v.m
	if m.prefix = m.prefix[:0]; c.Meta.PrefixBytes > 0 {
		c.key = rows.HeadKey(c.key[:0], box.a.id, box.id, c.Meta.UID)
		v, err := c.look(&c.heads, rows.PrefixHead)
		if err != nil {
			return err
		}
		p, _, err := rows.ParseHead(v)
		if err != nil {
			return indexError("read message", err)
		}
		m.prefix = append(m.prefix, p...)
	}
	c.key = rows.BlobKey(c.key[:0], c.row.Blob)
	v, err := c.look(&c.blobs, rows.PrefixBlob)
	if err != nil {
		return err
	}
	if v != nil && rows.ParseBlob(v, &m.blob) == nil {
		if held, err := m.hold(c.row.Blob); held || err != nil && !errors.Is(err, ErrNoMessage) {
			return err
		}
	}
	return m.openBlob(c.row.Blob) // it has moved, or gone, since the cursor began
}
