package queue

import (
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/bufpool"
	"postrider/internal/mail"
	"postrider/queue/internal/cold"
	"postrider/queue/internal/record"

	"github.com/valyala/bytebufferpool"
)

// body is the text of a leased message, wherever it is: in memory, in a pinned
// generation of the spool, in a cold segment, or in a file of its own.
type body struct {
	size int64
	crc  uint32

	mem  []byte                     // the whole text
	own  *bytebufferpool.ByteBuffer // holds mem when nobody else does
	q    *Queue
	gen  uint64 // pinned when not 0; the text begins at off
	seg  *cold.Segment
	file vfs.File
	off  int64

	first reader
	lent  bool // first has been handed out
}

// Size returns the length of the text.
func (b *body) Size() int64 { return b.size }

// Bytes returns the text when it is in memory.
func (b *body) Bytes() []byte { return b.mem }

// ReadAt implements io.ReaderAt within the text. It does not verify.
func (b *body) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read body: offset %d", off)
	}
	if off >= b.size {
		return 0, io.EOF
	}
	short := false
	if int64(len(p)) > b.size-off {
		p, short = p[:b.size-off], true
	}
	var n int
	var err error
	switch {
	case b.mem != nil:
		n = copy(p, b.mem[off:])
	case b.gen != 0:
		n, err = b.q.sp.ReadAt(p, b.gen, b.off+off)
	case b.seg != nil:
		n, err = b.seg.ReadAt(p, b.off+off)
	case b.file != nil:
		n, err = b.file.ReadAt(p, b.off+off)
	}
	if n == len(p) {
		err = nil
	} else if err == nil || err == io.EOF {
		// The text ends before its length says: that is damage, not an end.
		return n, mail.ErrCorrupt
	}
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// Reader reads the text from its start and verifies it on the way.
func (b *body) Reader() io.Reader {
	if b.lent {
		return &reader{b: b}
	}
	b.lent = true
	b.first = reader{b: b}
	return &b.first
}

// reader verifies while it reads.
type reader struct {
	b   *body
	off int64
	sum uint32
}

// Read implements io.Reader; in the place of io.EOF it returns mail.ErrCorrupt
// when the text does not match its checksum.
func (r *reader) Read(p []byte) (int, error) {
	if r.off >= r.b.size {
		if r.sum != r.b.crc {
			return 0, mail.ErrCorrupt
		}
		return 0, io.EOF
	}
	n, err := r.b.ReadAt(p, r.off)
	r.sum = record.UpdateSum(r.sum, p[:n])
	r.off += int64(n)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// load reads the whole text into memory, when there is room for it and it
// matches its checksum; else it stays where it is, to be read bit by bit.
func (b *body) load() {
	n := int64(bufpool.Class(int(b.size)))
	if b.mem != nil || b.size == 0 || b.q.mem.Add(n) > b.q.o.MemoryBytes {
		b.q.mem.Add(-n)
		return
	}
	buf := bufpool.Get(int(b.size))
	text := buf.B[:b.size]
	if _, err := b.ReadAt(text, 0); (err != nil && err != io.EOF) || record.Sum(text) != b.crc {
		bufpool.Put(buf)
		b.q.mem.Add(-n)
		return
	}
	b.q.mem.Add(int64(cap(buf.B)) - n)
	b.release()
	buf.B = text
	b.own, b.mem = buf, text
}

// release gives up what the body holds. Its bytes are no longer valid.
func (b *body) release() {
	if b.own != nil {
		b.q.mem.Add(-int64(cap(b.own.B)))
		bufpool.Put(b.own)
		b.own = nil
	}
	b.mem = nil
	if b.gen != 0 {
		b.q.sp.Unpin(b.gen)
		b.gen = 0
	}
	if b.seg != nil {
		// Opened for reading only: closing it cannot lose anything.
		_ = b.seg.Release()
		b.seg = nil
	}
	if b.file != nil {
		_ = b.file.Close()
		b.file = nil
	}
	b.lent = false
}
