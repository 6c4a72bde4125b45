package mailbox

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/bufpool"
	"postrider/internal/message"
)

// maxHeaderCopy bounds the header block that is kept beside the structure.
const maxHeaderCopy = 64 << 10

// Items are what IMAP asks of messages without their texts. They are made once for
// each text, and shared by all that share the text: everything but Prefix is of the
// text alone, and where a message has a prefix, its octets come before all offsets.
type Items struct {
	message.Structure
	Prefix []byte // when it was asked for
	// Header is the header block with its empty line. Whole says that it is all of
	// it; the rest of a very long one is in the text.
	Header []byte
	Whole  bool

	raw []byte
}

// itemizer makes items.
type itemizer struct {
	s message.Structurer
	d message.Structure
}

var itemizers = sync.Pool{New: func() any { return &itemizer{} }}

// appendItems appends the two rows of a text that was written to z: that of its header,
// whose end is returned, and that of its structure.
func (z *itemizer) appendItems(dst, start []byte) (out []byte, topLen int) {
	z.s.Finish(&z.d)
	header := start[:min(z.d.HeaderBytes, maxHeaderCopy, int64(len(start)))]
	whole := byte(0)
	if int64(len(header)) == z.d.HeaderBytes {
		whole = 1
	}
	dst = append(append(dst, rows.Version, whole), header...)
	topLen = len(dst)
	return message.AppendStructure(append(dst, rows.Version), &z.d), topLen
}

// parseTop reads the row of a header, which Header aliases then.
func (it *Items) parseTop(row []byte) bool {
	if len(row) < 2 || row[0] != rows.Version || row[1] > 1 {
		return false
	}
	it.Header, it.Whole = row[2:len(row):len(row)], row[1] == 1
	return true
}

// parse reads the row of a structure; the slices alias it.
func (it *Items) parse(row []byte) bool {
	return len(row) > 1 && row[0] == rows.Version && message.ParseStructure(row[1:], &it.Structure) == nil
}

// itemize makes the items of an inline text ready to go with its record.
func (f *filing) itemize() {
	t := &f.texts[0]
	if len(f.ds) != 1 || t.file != nil || t.draft != nil {
		return // made when somebody asks
	}
	z := itemizers.Get().(*itemizer)
	defer itemizers.Put(z)
	z.s.Reset()
	_, _ = z.s.Write(t.bytes) // never fails
	f.o.items, f.o.topLen = z.appendItems(f.o.items[:0], t.bytes)
	f.o.itemsFor = t.blob.ID
}

// Items reads what is kept of the text of a message (see Meta.EmailID). It is valid
// until the next Items with the same it.
func (v *View) Items(id EmailID, it *Items) error {
	s := v.m.a.s
	if err := s.begin(); err != nil {
		return err
	}
	defer s.leave()
	it.Prefix = nil
	it.raw = it.raw[:0]
	keep := func(row []byte) error {
		it.raw = append(it.raw, row...)
		return nil
	}
	top, err := get(s.db, rows.TopKey(nil, id.Blob), keep)
	if err != nil {
		return err
	}
	n := len(it.raw)
	found, err := get(s.db, rows.ItemsKey(nil, id.Blob), keep)
	if err != nil {
		return err
	}
	if top && found && it.parseTop(it.raw[:n]) && it.parse(it.raw[n:]) {
		return nil
	}
	return s.makeItems(id.Blob, it)
}

// makeItems makes items from the text, and has them kept.
func (s *Store) makeItems(blob uint64, it *Items) error {
	msg := Message{s: s}
	if err := msg.openBlob(blob); err != nil {
		return err
	}
	defer msg.close()
	z := itemizers.Get().(*itemizer)
	defer itemizers.Put(z)
	z.s.Reset()
	buf := bufpool.Get(copyBytes)
	defer bufpool.Put(buf)
	var start []byte
	for off := int64(0); off < msg.blob.Size; {
		n, err := msg.readText(buf.B[:copyBytes], off)
		if n == 0 {
			return fmt.Errorf("read text: %w", errors.Join(err, io.ErrUnexpectedEOF))
		}
		if off == 0 {
			start = append(start, buf.B[:n]...)
		}
		_, _ = z.s.Write(buf.B[:n]) // never fails
		off += int64(n)
	}
	o := s.newOp(false)
	o.items, o.topLen = z.appendItems(o.items[:0], start)
	o.itemsFor, o.local = blob, true
	it.raw = append(it.raw[:0], o.items...)
	n := o.topLen
	o.after = o.free
	s.ap.put(o)
	if !it.parseTop(it.raw[:n]) || !it.parse(it.raw[n:]) {
		return message.ErrStructure
	}
	return nil
}

// applyItems keeps items that were made late, if their text is still there.
func (ap *applier) applyItems(o *op) {
	if ap.batch == nil {
		ap.batch = ap.s.db.NewBatch()
	}
	b, err := ap.blob(o.itemsFor)
	if err == nil && b.row.Refs > 0 {
		err = ap.setItems(o)
	}
	ap.check(err)
	ap.ready = append(ap.ready, o)
}

// setItems writes the rows of a text's items.
func (ap *applier) setItems(o *op) error {
	ap.keyBuf = rows.TopKey(ap.keyBuf[:0], o.itemsFor)
	if err := ap.batch.Set(ap.keyBuf, o.items[:o.topLen], nil); err != nil {
		return err
	}
	ap.keyBuf = rows.ItemsKey(ap.keyBuf[:0], o.itemsFor)
	return ap.batch.Set(ap.keyBuf, o.items[o.topLen:], nil)
}
