package mailbox

import (
	"bytes"
	"io"

	"github.com/valyala/bytebufferpool"

	"postrider/internal/bufpool"
	"postrider/internal/mail"
)

// Draft takes a text in pieces: in memory while it is small, in a file of the store
// when it is large. It belongs to one goroutine.
type Draft struct {
	s     *Store
	buf   *bytebufferpool.ByteBuffer
	large *largeFile
	ready bool // the file is durable
	filed bool // it belongs to a message now
	in    bool // it counts as a call under way
	err   error
}

// NewDraft begins a text that arrives in pieces. The caller closes it.
func (s *Store) NewDraft() *Draft {
	d := &Draft{s: s, err: s.begin()}
	d.in = d.err == nil
	return d
}

// Write takes more of the text.
func (d *Draft) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.large == nil && d.Size()+int64(len(p)) > int64(d.s.o.LargeBytes) {
		if d.toFile(int64(len(p))); d.err != nil {
			return 0, d.err
		}
	}
	switch {
	case d.err != nil:
	case d.large != nil:
		if d.err = d.s.space.admit(int64(len(p)), grows); d.err == nil {
			d.err = d.large.write(p)
		}
	default:
		d.grow(len(p))
		d.buf.B = append(d.buf.B, p...)
	}
	if d.err != nil {
		return 0, d.err
	}
	return len(p), nil
}

// toFile begins the file of the text with what is in memory; more is still to come.
func (d *Draft) toFile(more int64) {
	if d.err = d.s.space.admit(d.Size()+more, grows); d.err != nil {
		return
	}
	if d.large, d.err = d.s.newLarge(); d.err == nil && d.buf != nil {
		d.err = d.large.write(d.buf.B)
		d.dropBuffer()
	}
}

// Spill takes the text out of memory. What is filed together with others becomes a file
// anyway (see DeliverAll); it need not wait for them in memory.
func (d *Draft) Spill() error {
	if d.err == nil && d.large == nil {
		d.toFile(0)
	}
	return d.err
}

// grow makes room for n more bytes, in a buffer of a larger class when needed.
func (d *Draft) grow(n int) {
	if d.buf == nil {
		d.buf = bufpool.Get(n)
		return
	}
	if need := len(d.buf.B) + n; need > cap(d.buf.B) {
		b := bufpool.Get(need)
		b.B = append(b.B, d.buf.B...)
		bufpool.Put(d.buf)
		d.buf = b
	}
}

func (d *Draft) dropBuffer() {
	if d.buf != nil {
		bufpool.Put(d.buf)
		d.buf = nil
	}
}

// Size is the length so far.
func (d *Draft) Size() int64 {
	switch {
	case d.large != nil:
		return d.large.size
	case d.buf != nil:
		return int64(len(d.buf.B))
	}
	return 0
}

// Body is the text, for a Delivery, valid until Close; nothing may be written any
// more.
func (d *Draft) Body() (mail.Body, error) {
	if d.err == nil && d.large != nil && !d.ready {
		d.err = d.large.finish()
		d.ready = d.err == nil
	}
	if d.err != nil {
		return nil, d.err
	}
	return (*draftBody)(d), nil
}

// Close gives the draft up, or back after its delivery.
func (d *Draft) Close() {
	if d.s == nil {
		return
	}
	d.dropBuffer()
	if d.large != nil && !d.filed {
		d.large.abandon()
	}
	if d.in {
		d.s.leave()
	}
	*d = Draft{err: ErrClosed}
}

// draftBody is a Draft as a mail.Body.
type draftBody Draft

// Size implements mail.Body.
func (b *draftBody) Size() int64 { return (*Draft)(b).Size() }

// Bytes implements mail.Body.
func (b *draftBody) Bytes() []byte {
	switch {
	case b.large != nil:
		return nil
	case b.buf != nil:
		return b.buf.B
	}
	return []byte{}
}

// ReadAt implements io.ReaderAt.
func (b *draftBody) ReadAt(p []byte, off int64) (int, error) {
	if b.large == nil {
		return bytes.NewReader(b.Bytes()).ReadAt(p, off)
	}
	f, err := b.s.fs.Open(b.s.largePath(b.large.blob))
	if err != nil {
		return 0, err
	}
	n, err := f.ReadAt(p, off)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return n, err
}

// Reader implements mail.Body. The text was written by this process and is not
// verified.
func (b *draftBody) Reader() io.Reader { return io.NewSectionReader(b, 0, b.Size()) }
