package spool

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool/frame"
)

// walker reads the groups of one generation. Its buffer is used again.
type walker struct {
	file     vfs.File
	seed     frame.Seed
	gen      uint64
	capacity int64 // groups lie below it
	buf      []byte
}

// readAt fills p; a file that ends too early is malformed.
func (w *walker) readAt(p []byte, off int64) error {
	n, err := w.file.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return frame.ErrMalformed
	}
	return err
}

// header reads the group header at off.
func (w *walker) header(off int64, h *frame.GroupHeader) error {
	var p [frame.GroupHeaderLen]byte
	if off+int64(len(p)) > w.capacity {
		return frame.ErrMalformed
	}
	if err := w.readAt(p[:], off); err != nil {
		return err
	}
	if err := frame.ParseGroupHeader(p[:], w.seed, w.gen, off, h); err != nil {
		return err
	}
	if off+int64(h.Length) > w.capacity {
		return frame.ErrMalformed
	}
	return nil
}

// group reads the group at off; its bytes are valid until the next call.
func (w *walker) group(off int64, h *frame.GroupHeader) ([]byte, error) {
	if err := w.header(off, h); err != nil {
		return nil, err
	}
	if cap(w.buf) < int(h.Length) {
		w.buf = make([]byte, max(int(h.Length), 2*cap(w.buf)))
	}
	p := w.buf[:h.Length]
	return p, w.readAt(p, off)
}

// visitor is called for every record of a group. When the payload does not check
// it is nil. An error ends the walk.
type visitor func(h *frame.Header, off int64, payload []byte) error

// records goes through the records of a group at off. It returns ErrMalformed if
// any of them does not check, after it has visited those that can be told.
func (w *walker) records(group []byte, off int64, h *frame.GroupHeader, visit visitor) error {
	var bad error
	pos := int64(frame.GroupHeaderLen)
	for range h.Count {
		var rh frame.Header
		p := group[pos:]
		if err := frame.ParseHeader(p, w.seed, off+pos, &rh); err != nil {
			return err // without its length nothing behind it can be found
		}
		payload, err := rh.Check(p, w.seed, off+pos)
		if err != nil {
			bad = err
		}
		if visit != nil {
			if err := visit(&rh, off+pos, payload); err != nil {
				return err
			}
		}
		pos += rh.Len()
	}
	if pos != int64(h.Length) {
		return frame.ErrMalformed
	}
	return bad
}

// later looks for a group of this generation between from and to, and returns its
// offset, or 0. That is not how records are found: it only tells a torn tail from
// a hole, since a group is never written before what precedes it is synced.
func (w *walker) later(from, to int64) (int64, error) {
	const window = 256 << 10
	p := make([]byte, window)
	var h frame.GroupHeader
	for base := from; base < to; base += window {
		n, err := w.file.ReadAt(p[:min(window, to-base)], base)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := 0; i+frame.GroupHeaderLen <= n; i += frame.Align {
			off := base + int64(i)
			err := frame.ParseGroupHeader(p[i:n], w.seed, w.gen, off, &h)
			if err == nil || errors.Is(err, frame.ErrVersion) {
				return off, nil
			}
		}
		if n < window {
			break
		}
	}
	return 0, nil
}
