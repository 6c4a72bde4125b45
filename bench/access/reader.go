package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errMalformed reports an answer that cannot be read: the server's fault, not the
// network's.
var errMalformed = errors.New("malformed answer")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// Sizes of the buffer of a reader: the first, which thousands of waiting
// connections can afford, and the one that a longer line or text makes it grow to.
const (
	readerFirst = 2 << 10
	readerMost  = 64 << 10
)

// reader takes lines, single octets and counted texts off a stream. What it
// returns is valid until its next call.
type reader struct {
	src      io.Reader
	buf      []byte
	from, to int // buf[from:to] is not yet taken
}

// reset begins with a new stream.
func (r *reader) reset(src io.Reader) {
	r.src, r.from, r.to = src, 0, 0
	if r.buf == nil {
		r.buf = make([]byte, readerFirst)
	}
}

// buffered returns how many octets wait.
func (r *reader) buffered() int { return r.to - r.from }

// fill reads more. The buffer grows when it is full, up to readerMost.
func (r *reader) fill() error {
	if r.from == r.to {
		r.from, r.to = 0, 0
	}
	if r.to == len(r.buf) {
		switch {
		case r.from > 0:
			copy(r.buf, r.buf[r.from:r.to])
		case len(r.buf) < readerMost:
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		default:
			return malformed("more than %d octets without an end", readerMost)
		}
		r.from, r.to = 0, r.to-r.from
	}
	n, err := r.src.Read(r.buf[r.to:])
	r.to += n
	switch {
	case n > 0:
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// line returns the next line without its CRLF. A line that ends otherwise is
// malformed.
func (r *reader) line() ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(r.buf[r.from+seen:r.to], '\n'); i >= 0 {
			line := r.buf[r.from : r.from+seen+i]
			r.from += seen + i + 1
			if len(line) == 0 || line[len(line)-1] != '\r' {
				return nil, malformed("a line ends in LF alone")
			}
			return line[:len(line)-1], nil
		}
		seen = r.buffered()
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// peek returns the next octet without taking it.
func (r *reader) peek() (byte, error) {
	if r.from == r.to {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	return r.buf[r.from], nil
}

// drop takes the octet that peek has shown.
func (r *reader) drop() { r.from++ }

// take hands the next n octets to sink, piece by piece; nil drops them.
func (r *reader) take(n int64, sink func([]byte)) error {
	for n > 0 {
		if r.from == r.to {
			if n > int64(len(r.buf)) && len(r.buf) < readerMost {
				r.buf = make([]byte, readerMost) // a long text in few reads
			}
			if err := r.fill(); err != nil {
				return err
			}
		}
		piece := r.buf[r.from:min(r.to, r.from+int(min(n, readerMost)))]
		if sink != nil {
			sink(piece)
		}
		r.from += len(piece)
		n -= int64(len(piece))
	}
	return nil
}
