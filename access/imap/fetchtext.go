package imap

import (
	"cmp"
	"errors"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
	"postrider/internal/message"
	"postrider/internal/wire"
)

// headerMax is how much of a header is looked at for fields, where it is not kept with
// the message: a longer one is no header that anybody reads.
const headerMax = 1 << 20

// section appends BODY[...] or what has a name of its own for it. It reports false
// when the session cannot go on.
func (f *fetcher) section(item *fetchItem) bool {
	switch item.section {
	case sectionFields, sectionNotFields:
		return f.fieldsSection(item)
	case sectionHeader:
		if it := &f.cursor.Items; len(item.numbers) == 0 && it.Whole {
			f.pieces = append(f.pieces[:0], octets{0, len(it.Prefix)}, octets{0, len(it.Header)})
			f.lines(item, it.Prefix, 1, it.Header, "")
			return true
		}
	}
	if err := f.openSection(item); err != nil {
		f.nothing(item, err)
		return true
	}
	off, n, ok := f.locate(item)
	if !ok {
		f.nothing(item, nil)
		return true
	}
	if item.partial {
		skip := min(item.offset, n)
		off, n = off+skip, min(n-skip, item.count)
	}
	return f.stream(item, off, n)
}

// openSection opens the text for a section. Where a message's header ends is not known
// yet, when its start alone was looked at.
func (f *fetcher) openSection(item *fetchItem) error {
	if f.plan.needs&needItems == 0 && item.section != sectionWhole {
		if there, err := f.structure(); err != nil || !there {
			return cmp.Or(err, mailbox.ErrNoMessage)
		}
	}
	if there, err := f.openText(); err != nil || !there {
		return cmp.Or(err, mailbox.ErrNoMessage)
	}
	return nil
}

// nothing appends NIL for an item: for a part that is not there, or one that could not
// be read.
func (f *fetcher) nothing(item *fetchItem, err error) {
	if err != nil {
		f.damaged = err
	}
	f.out.bytes(item.label)
	f.out.text("NIL")
}

// locate finds the octets of a section in the opened message.
func (f *fetcher) locate(item *fetchItem) (off, n int64, ok bool) {
	return item.locate(&f.cursor.Items.Structure, int64(len(f.msg.Prefix())), f.msg.Size())
}

// locate finds the octets of a section in a message of so many octets, of which the
// first ones, up to prefix, are of this recipient alone: they belong to its header (RFC
// 9051 section 6.4.5).
func (i *fetchItem) locate(it *message.Structure, prefix, size int64) (off, n int64, ok bool) {
	if len(i.numbers) == 0 {
		switch i.section {
		case sectionWhole:
			return 0, size, true
		case sectionText:
			off = min(prefix+it.HeaderBytes, size)
			return off, size - off, true
		}
		return 0, min(prefix+it.HeaderBytes, size), true
	}
	at := it.Find(i.numbers)
	if at < 0 {
		return 0, 0, false
	}
	from, to := it.Parts[at].BodyOff, it.Parts[at].BodyEnd
	switch i.section {
	case sectionWhole:
	case sectionMIME:
		from, to = it.Parts[at].HeaderOff, it.Parts[at].BodyOff
	default: // of the message that the part holds
		j := it.Message(at, i.numbers)
		if j < 0 {
			return 0, 0, false
		}
		if from, to = it.Parts[j].HeaderOff, it.Parts[j].BodyOff; i.section == sectionText {
			from, to = it.Parts[j].BodyOff, it.Parts[j].BodyEnd
		}
	}
	if from > 0 { // else what stands before the text is of this header
		from += prefix
	}
	to = min(to+prefix, size)
	from = min(from, to)
	return from, to - from, true
}

// stream appends octets of the opened message. Nothing is held of a long text.
func (f *fetcher) stream(item *fetchItem, off, n int64) bool {
	f.out.need(smallRoom)
	m := f.out.mark()
	f.out.bytes(item.label)
	f.out.literal(n)
	f.out.clean = true
	err := f.copyText(off, n)
	f.out.clean = false
	switch {
	case err == nil:
		f.texts, f.work, f.sent = f.texts+1, f.work+n, f.sent+n
		return true
	case f.out.w.Failed() != nil:
		return false
	case f.out.back(m):
		f.nothing(item, err)
		return true
	}
	f.broken(err)
	return false
}

// copyText copies octets of the opened message to the client.
func (f *fetcher) copyText(off, n int64) (err error) {
	if n == 0 {
		return nil
	}
	if n > wire.BulkRoomSize {
		f.detach()
	}
	if whole := off == 0 && n == f.msg.Size(); whole && n > wire.BulkRoomSize {
		_, err = f.msg.WriteTo(&f.out)
		return err
	} else if whole {
		f.out.need(int(n))
		at := len(f.out.b)
		f.out.b, err = f.msg.Append(f.out.b)
		f.out.cleanFrom(at)
		return err
	}
	for n > 0 {
		f.out.need(int(min(n, wire.BulkRoomSize/4)))
		room := f.out.b[len(f.out.b):cap(f.out.b)]
		k, err := f.msg.ReadAt(room[:min(int64(len(room)), n)], off)
		if k == 0 {
			return errors.Join(mail.ErrCorrupt, err)
		}
		at := len(f.out.b)
		f.out.b = f.out.b[:at+k]
		f.out.cleanFrom(at)
		off, n = off+int64(k), n-int64(k)
		if err := f.out.w.Failed(); err != nil {
			return err
		}
	}
	return nil
}

// fieldsSection appends HEADER.FIELDS or HEADER.FIELDS.NOT, with an empty line at the
// end whether the header has one or not.
func (f *fetcher) fieldsSection(item *fetchItem) bool {
	it := &f.cursor.Items
	prefix, header := it.Prefix, it.Header
	if len(item.numbers) > 0 || !it.Whole {
		prefix = nil
		var ok bool
		var err error
		if header, ok, err = f.readHeader(item); err != nil || !ok {
			f.nothing(item, err)
			return true
		}
	}
	without := item.section == sectionNotFields
	f.pieces = item.fields.selected(f.pieces[:0], prefix, without)
	before := len(f.pieces)
	f.pieces = item.fields.selected(f.pieces, header, without)
	f.lines(item, prefix, before, header, "\r\n")
	return true
}

// lines appends the pieces, of which those before a number are of prefix and the others
// of header, and what ends them.
func (f *fetcher) lines(item *fetchItem, prefix []byte, before int, header []byte, end string) {
	n := int64(len(end))
	for _, p := range f.pieces {
		n += int64(p.to - p.from)
	}
	skip := int64(0)
	if item.partial {
		skip = min(item.offset, n)
		n = min(n-skip, item.count)
	}
	f.out.bytes(item.label)
	f.out.literal(n)
	f.out.clean = true
	for i, p := range f.pieces {
		b := header
		if i < before {
			b = prefix
		}
		b = b[p.from:p.to]
		k := min(skip, int64(len(b)))
		b = b[k:]
		b = b[:min(n, int64(len(b)))]
		f.out.bytes(b)
		skip, n = skip-k, n-int64(len(b))
	}
	f.out.clean = false
	f.out.text(end[min(skip, int64(len(end))):][:n])
}

// readHeader reads the header that a section names.
func (f *fetcher) readHeader(item *fetchItem) (header []byte, ok bool, err error) {
	if err = f.openSection(item); err != nil {
		return nil, false, err
	}
	off, n, ok := f.locate(item)
	if !ok {
		return nil, false, nil
	}
	n = min(n, headerMax)
	if int64(cap(f.header)) < n {
		f.header = make([]byte, n)
	}
	f.header = f.header[:n]
	f.work += n
	k, err := f.msg.ReadAt(f.header, off)
	if int64(k) == n {
		err = nil
	}
	return f.header[:k], err == nil, err
}
