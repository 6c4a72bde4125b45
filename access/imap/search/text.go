package search

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"unicode/utf8"

	"postrider/delivery/mailbox"
	"postrider/internal/message"
)

// Sizes of what is read at once.
const (
	pieceBytes  = 32 << 10
	headerBytes = 16 << 10 // of a part's header; what is longer is not looked into
)

// textReader looks for all strings of a program's BODY and TEXT in one pass through a
// message. Its memory is used again.
type textReader struct {
	msg     mailbox.Message
	raw     []byte // as it is stored
	plain   []byte // without its transfer encoding
	decoder message.Decoder
	charset *charset
	utf8    []byte
	left    int    // octets of utf8 that the next piece completes
	window  []byte // folded: what was fed, and the end of what was fed before
	longest int    // string
}

// testText tells what readText has found.
func (r *run) testText(n *node) bool { return r.said>>n.lo&1 != 0 }

// readText looks for all strings in the text of the message that is looked at.
func (r *run) readText() error {
	t := &r.text
	r.said = 0
	if t.raw == nil {
		t.raw = make([]byte, pieceBytes)
		for _, i := range r.texts {
			t.longest = max(t.longest, int(r.nodes[i].text.len))
		}
	}
	inHeader := r.textBits(opText)
	r.readFields(r.items.Prefix, inHeader)
	r.readFields(r.items.Header, inHeader)
	if r.allSaid() {
		return nil
	}
	err := r.sweep.cursor.Message(&t.msg)
	if errors.Is(err, mailbox.ErrNoMessage) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	defer t.msg.Release()
	for i := range r.items.Parts {
		if err := r.readPart(i); err != nil || r.allSaid() {
			return err
		}
	}
	return nil
}

func (r *run) allSaid() bool { return bits.OnesCount64(r.said) == len(r.texts) }

// textBits returns the bits of the keys with an op.
func (r *run) textBits(o op) (mask uint64) {
	for k, i := range r.texts {
		if r.nodes[i].op == o {
			mask |= 1 << k
		}
	}
	return mask
}

// readFields looks through the fields of a header for the strings in mask.
func (r *run) readFields(header []byte, mask uint64) {
	for mask&^r.said != 0 {
		var name, value []byte
		if name, value, header = nextField(header); len(name) == 0 {
			return
		}
		w := append(appendLower(r.text.window[:0], name), ": "...)
		r.text.window = appendFold(w, r.words.text(value))
		r.match(mask)
	}
}

// match looks for the strings in mask in the window.
func (r *run) match(mask uint64) {
	for k, i := range r.texts {
		if bit := uint64(1) << k; mask&bit&^r.said != 0 && bytes.Contains(r.text.window, r.bytes(r.nodes[i].text)) {
			r.said |= bit
		}
	}
}

// readPart looks into a part: its header, unless it is that of the message, and its
// text, if it is one.
func (r *run) readPart(i int) error {
	part := &r.items.Parts[i]
	header := r.items.Header
	if i > 0 {
		n := min(part.BodyOff-part.HeaderOff, headerBytes)
		if err := r.readAt(r.text.raw[:n], part.HeaderOff); err != nil {
			return err
		}
		header = r.text.raw[:n]
		r.readFields(header, ^uint64(0))
	}
	if part.Kind != message.KindText || part.Encoding == message.EncodingUnknown || r.allSaid() {
		return nil
	}
	r.begin(header, part.Encoding)
	return r.readBody(part)
}

// readAt fills p from an offset in the text.
func (r *run) readAt(p []byte, off int64) error {
	n, err := r.text.msg.ReadAt(p, off+int64(r.meta.PrefixBytes))
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// begin readies for the text of a part.
func (r *run) begin(header []byte, e message.Encoding) {
	t := &r.text
	t.decoder.Reset(e)
	t.window, t.left = t.window[:0], 0
	var room [64]byte
	value, _ := nextNamed(header, []byte("content-type"))
	t.charset = r.words.charsets.find(message.AppendCharset(room[:0], r.words.text(value)))
	if !t.charset.plain() {
		t.charset.decoder.Reset()
	}
}

// readBody looks through the text of a part.
func (r *run) readBody(part *message.Part) error {
	t := &r.text
	for off := part.BodyOff; off < part.BodyEnd && !r.allSaid(); {
		n := min(part.BodyEnd-off, pieceBytes)
		if err := r.readAt(t.raw[:n], off); err != nil {
			return err
		}
		off += n
		last := off == part.BodyEnd
		t.plain = t.decoder.Append(t.plain[:len(t.plain)], t.raw[:n])
		if last {
			t.plain = t.decoder.Finish(t.plain)
		}
		t.convert(last)
		t.fold(last)
		r.match(^uint64(0))
		if err := r.scope.check(r.done, r.total); err != nil {
			return err
		}
	}
	t.plain = t.plain[:0]
	return nil
}

// convert moves plain to utf8; what a character needs more of stays.
func (t *textReader) convert(last bool) {
	t.utf8 = t.utf8[:t.left]
	if t.charset.plain() {
		t.utf8 = append(t.utf8, t.plain...)
		t.plain = t.plain[:0]
		return
	}
	var rest []byte
	t.utf8, rest = t.charset.transform(t.utf8, t.plain, last)
	if len(rest) > utf8.UTFMax {
		rest = nil // a decoder that is stuck
	}
	t.plain = t.plain[:copy(t.plain, rest)]
}

// fold brings utf8 into the window, behind the end of what is there, but for what the
// next piece may complete.
func (t *textReader) fold(last bool) {
	if keep := t.longest - 1; len(t.window) > keep {
		t.window = t.window[:copy(t.window, t.window[len(t.window)-keep:])]
	}
	cut := len(t.utf8)
	if !last {
		cut = wholeLen(t.utf8)
	}
	t.window = appendFold(t.window, t.utf8[:cut])
	t.left = copy(t.utf8, t.utf8[cut:])
}

// wholeLen returns how much of p can be decomposed without knowing what follows: up to
// an ASCII character near the end, or else all but the last character.
func wholeLen(p []byte) int {
	const near = 64
	for n := len(p); n > 0 && n > len(p)-near; n-- {
		if p[n-1] < utf8.RuneSelf {
			return n
		}
	}
	for n := len(p) - 1; n > 0 && n >= len(p)-utf8.UTFMax; n-- {
		if utf8.RuneStart(p[n]) {
			return n
		}
	}
	return len(p)
}
