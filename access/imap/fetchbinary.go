package imap

import (
	"bytes"
	"errors"

	"postrider/internal/bufpool"
	"postrider/internal/mail"
	"postrider/internal/message"
	"postrider/internal/wire"
)

// decoding reads a part of the opened message, decoded.
type decoding struct {
	decoder message.Decoder
	off     int64 // of what is not read yet
	end     int64
	ended   bool
}

// decodeBytes is how much of a text is decoded at once.
const decodeBytes = 16 << 10

// decode begins with a part.
func (f *fetcher) decode(off, n int64, e message.Encoding) {
	f.decoder.decoder.Reset(e)
	f.decoder.off, f.decoder.end, f.decoder.ended = off, off+n, false
}

// decoded appends the next piece to dst; ended says that it was the last one.
func (f *fetcher) decoded(dst []byte, raw []byte) ([]byte, error) {
	d := &f.decoder
	if d.off == d.end {
		d.ended = true
		return d.decoder.Finish(dst), nil
	}
	n, err := f.msg.ReadAt(raw[:min(int64(len(raw)), d.end-d.off)], d.off)
	if n == 0 {
		return dst, errors.Join(mail.ErrCorrupt, err)
	}
	d.off += int64(n)
	f.work += int64(n)
	return d.decoder.Append(dst, raw[:n]), nil
}

// binaryPart finds the part that a BINARY item names; false when it has answered
// itself. The whole message is as it is, and so is what has parts of its own (RFC 3516
// section 4.3).
func (f *fetcher) binaryPart(item *fetchItem) (off, n int64, e message.Encoding, ok bool) {
	err := f.openSection(item)
	if err == nil {
		off, n, ok = f.locate(item)
	}
	if !ok {
		if item.kind == fetchBinary {
			f.nothing(item, err)
			return 0, 0, 0, false
		}
		if err != nil {
			f.damaged = err
		}
		return 0, 0, 0, true // there are no octets
	}
	if len(item.numbers) == 0 {
		return off, n, message.EncodingIdentity, true
	}
	switch part := &f.cursor.Items.Parts[f.cursor.Items.Find(item.numbers)]; part.Kind {
	case message.KindBasic, message.KindText:
		return off, n, part.Encoding, true
	}
	return off, n, message.EncodingIdentity, true
}

// measure counts the octets of the part that decode began with, and reports whether
// there is a NUL among them.
func (f *fetcher) measure() (n int64, nul bool, err error) {
	raw, out := bufpool.Get(decodeBytes), bufpool.Get(2*decodeBytes)
	defer bufpool.Put(raw)
	defer bufpool.Put(out)
	for !f.decoder.ended {
		if out.B, err = f.decoded(out.B[:0], raw.B[:decodeBytes]); err != nil {
			return 0, false, err
		}
		n += int64(len(out.B))
		nul = nul || bytes.IndexByte(out.B, 0) >= 0
	}
	return n, nul, nil
}

// binarySize appends BINARY.SIZE[...]: what has to be decoded is decoded for it.
func (f *fetcher) binarySize(item *fetchItem) bool {
	off, n, e, ok := f.binaryPart(item)
	if !ok {
		return true
	}
	switch e {
	case message.EncodingUnknown:
		f.unknown = true
	case message.EncodingIdentity:
	default:
		var err error
		f.decode(off, n, e)
		if n, _, err = f.measure(); err != nil {
			f.damaged = err
		}
	}
	f.out.bytes(item.label)
	f.out.number("", uint64(n))
	return true
}

// binary appends BINARY[...]. The part is decoded twice, since its size stands before
// it, and nothing of it is held.
func (f *fetcher) binary(item *fetchItem) bool {
	off, n, e, ok := f.binaryPart(item)
	if !ok {
		return true
	}
	if e == message.EncodingUnknown { // RFC 3516 section 4.3
		f.unknown = true
		f.nothing(item, nil)
		return true
	}
	before := f.work
	f.decode(off, n, e)
	total, nul, err := f.measure()
	if err != nil {
		f.nothing(item, err)
		return true
	}
	skip, left := int64(0), total
	if item.partial {
		skip = min(item.offset, total)
		left = min(total-skip, item.count)
	}
	f.out.bytes(item.label)
	if nul { // which only a literal8 may hold
		f.out.text("~")
	}
	f.out.literal(left)
	f.decode(off, n, e)
	if err := f.sendDecoded(skip, left); err != nil {
		if f.out.w.Failed() == nil {
			f.broken(err)
		}
		return false
	}
	f.texts++
	f.sent += left
	if !item.partial { // what was read for it was read for something
		f.work = before + left
	}
	return true
}

// sendDecoded sends octets of the part that decode began with.
func (f *fetcher) sendDecoded(skip, left int64) (err error) {
	if left > wire.BulkRoomSize {
		f.detach()
	}
	raw, out := bufpool.Get(decodeBytes), bufpool.Get(2*decodeBytes)
	defer bufpool.Put(raw)
	defer bufpool.Put(out)
	for left > 0 {
		if f.decoder.ended {
			return mail.ErrCorrupt // it was longer before
		}
		if out.B, err = f.decoded(out.B[:0], raw.B[:decodeBytes]); err != nil {
			return err
		}
		k := min(skip, int64(len(out.B)))
		b := out.B[k:]
		b = b[:min(left, int64(len(b)))]
		skip, left = skip-k, left-int64(len(b))
		if _, err := f.out.Write(b); err != nil {
			return err
		}
	}
	return nil
}
