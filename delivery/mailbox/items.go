package mailbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"

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

	raw  []byte
	rest []byte // of a row whose structure was not read yet; nil: it was
}

// itemizer makes items.
type itemizer struct {
	s message.Structurer
	d message.Structure
}

var itemizers = sync.Pool{New: func() any { return &itemizer{} }}

// appendItems appends the row of a text that was written to z.
func (z *itemizer) appendItems(dst, start []byte) []byte {
	z.s.Finish(&z.d)
	header := start[:min(z.d.HeaderBytes, maxHeaderCopy, int64(len(start)))]
	dst = binary.AppendUvarint(append(dst, rows.Version), uint64(len(header)))
	dst = append(dst, header...)
	return message.AppendStructure(dst, &z.d)
}

// parse reads a row; the slices alias it.
func (it *Items) parse(row []byte) error {
	rest := it.parseHeader(row)
	if rest == nil {
		return message.ErrStructure
	}
	return message.ParseStructure(rest, &it.Structure)
}

// parseHeader reads the header block of a row, and returns the structure behind it; nil:
// the row is damaged.
func (it *Items) parseHeader(row []byte) (rest []byte) {
	if len(row) < 2 || row[0] != rows.Version {
		return nil
	}
	n, w := binary.Uvarint(row[1:])
	if w <= 0 || n >= uint64(len(row)-1-w) {
		return nil
	}
	row = row[1+w:]
	it.Header, rest = row[:n:n], row[n:]
	it.Whole = int64(n) == message.HeaderBytes(rest)
	return rest
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
	f.o.items = z.appendItems(f.o.items[:0], t.bytes)
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
	found, err := get(s.db, rows.ItemsKey(nil, id.Blob), func(row []byte) error {
		it.raw = append(it.raw[:0], row...)
		return nil
	})
	if err != nil {
		return err
	}
	if found && it.parse(it.raw) == nil {
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
	o.items = z.appendItems(o.items[:0], start)
	o.itemsFor, o.local = blob, true
	it.raw = append(it.raw[:0], o.items...)
	o.after = o.free
	s.ap.put(o)
	return it.parse(it.raw)
}

// applyItems keeps items that were made late, if their text is still there.
func (ap *applier) applyItems(o *op) {
	if ap.batch == nil {
		ap.batch = ap.s.db.NewBatch()
	}
	b, err := ap.blob(o.itemsFor)
	if err == nil && b.row.Refs > 0 {
		ap.keyBuf = rows.ItemsKey(ap.keyBuf[:0], o.itemsFor)
		err = ap.batch.Set(ap.keyBuf, o.items, nil)
	}
	ap.check(err)
	ap.ready = append(ap.ready, o)
}

// ScanItems is Scan with the items of each message, and with its prefix when that is
// asked for. Both arguments of f are valid during the call.
func (v *View) ScanItems(from, to uint32, prefix bool, f func(*Meta, *Items) bool) error {
	s := v.m.a.s
	if err := s.begin(); err != nil {
		return err
	}
	defer s.leave()
	items, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rows.PrefixItems}, UpperBound: []byte{rows.PrefixItems + 1}})
	if err != nil {
		return indexError("read items", err)
	}
	heads, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rows.PrefixHead}, UpperBound: []byte{rows.PrefixHead + 1}})
	if err != nil {
		return indexError("read prefixes", errors.Join(err, items.Close()))
	}
	var it Items
	var key []byte
	var inner error
	err = v.Scan(from, to, func(m *Meta) bool {
		key = rows.ItemsKey(key[:0], m.EmailID.Blob)
		if !seek(items, key) || it.parse(items.Value()) != nil {
			if inner = s.makeItems(m.EmailID.Blob, &it); errors.Is(inner, ErrNoMessage) {
				inner = nil
				return true // gone meanwhile
			}
		}
		it.Prefix = nil
		if prefix && m.PrefixBytes > 0 && inner == nil {
			key = rows.HeadKey(key[:0], v.m.a.id, v.m.id, m.UID)
			if seek(heads, key) {
				it.Prefix, _, inner = rows.ParseHead(heads.Value())
			}
		}
		return inner == nil && f(m, &it)
	})
	if err = errors.Join(err, inner, items.Error(), heads.Error(), items.Close(), heads.Close()); err != nil {
		return indexError("read items", err)
	}
	return nil
}

// seek finds a key.
func seek(it *pebble.Iterator, key []byte) bool {
	return it.SeekGE(key) && string(it.Key()) == string(key)
}
