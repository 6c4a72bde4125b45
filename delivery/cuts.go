package delivery

import (
	"io"

	"postrider/internal/mail"
)

// withoutCuts is a text without some parts of it, or none.
type withoutCuts struct {
	whole mail.Body
	cuts  []span // ascending, apart from each other
	size  int64
	mem   []byte // the text, when the whole is in memory
}

// cut makes b the text of whole without cuts, which stay the caller's.
func (b *withoutCuts) cut(whole mail.Body, cuts []span) {
	*b = withoutCuts{whole: whole, cuts: cuts, size: whole.Size()}
	for _, c := range cuts {
		b.size -= c.to - c.from
	}
	text := whole.Bytes()
	if text == nil {
		return
	}
	b.mem = make([]byte, 0, b.size)
	at := int64(0)
	for _, c := range cuts {
		b.mem = append(b.mem, text[at:c.from]...)
		at = c.to
	}
	b.mem = append(b.mem, text[at:]...)
}

func (b *withoutCuts) Size() int64   { return b.size }
func (b *withoutCuts) Bytes() []byte { return b.mem }

// ReadAt implements io.ReaderAt.
func (b *withoutCuts) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		from, left := b.place(off + int64(n))
		if left == 0 {
			return n, io.EOF
		}
		part := p[n:]
		if int64(len(part)) > left {
			part = part[:left]
		}
		k, err := b.whole.ReadAt(part, from)
		n += k
		if k < len(part) {
			return n, err
		}
	}
	return n, nil
}

// place returns where in the whole an offset is, and how much follows there without a
// cut.
func (b *withoutCuts) place(off int64) (from, left int64) {
	for _, c := range b.cuts {
		if off < c.from {
			return off, c.from - off
		}
		off += c.to - c.from
	}
	return off, max(0, b.whole.Size()-off)
}

// Reader reads the whole, so that it is verified, and leaves the cuts out.
func (b *withoutCuts) Reader() io.Reader { return &cutReader{b: b, r: b.whole.Reader()} }

type cutReader struct {
	b   *withoutCuts
	r   io.Reader
	off int64 // in the whole
}

// Read implements io.Reader. The last piece of the text is given out when the whole
// was found to be right.
func (r *cutReader) Read(p []byte) (int, error) {
	for {
		n, err := r.r.Read(p)
		kept := r.keep(p[:n])
		if err == nil && r.off == r.b.whole.Size() {
			var end [1]byte
			if _, err = r.r.Read(end[:]); err != nil && err != io.EOF {
				return 0, err
			}
		}
		if kept > 0 || err != nil || len(p) == 0 {
			return kept, err
		}
	}
}

// keep moves what of p stays to its front.
func (r *cutReader) keep(p []byte) int {
	start, at, kept := r.off, r.off, 0
	r.off += int64(len(p))
	for _, c := range r.b.cuts {
		switch {
		case c.to <= at:
			continue
		case c.from >= r.off:
			return kept + copy(p[kept:], p[at-start:])
		case c.from > at:
			kept += copy(p[kept:], p[at-start:c.from-start])
		}
		at = min(c.to, r.off)
	}
	return kept + copy(p[kept:], p[at-start:])
}
