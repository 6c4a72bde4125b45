package mbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
)

// Reader is an mbox file as a source of one folder.
type Reader struct {
	f    *os.File
	name string
}

// Open opens an mbox file, whose messages are given as those of the mailbox
// name. The path itself may be no link and no pipe.
func Open(path, name string) (*Reader, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Reader{f: f, name: name}, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

// Origin is the same for all mbox files: messages are known by their content.
func (r *Reader) Origin() string { return "mbox" }

// Folders returns the one folder.
func (r *Reader) Folders(context.Context) ([]transfer.Folder, error) {
	return []transfer.Folder{{Name: r.name, Messages: -1, Use: transfer.UseOf(r.name), Subscribed: true}}, nil
}

// Messages gives the messages in the order of the file.
func (r *Reader) Messages(ctx context.Context, _ *transfer.Folder, want func([]*transfer.Message) ([]bool, error)) iter.Seq2[*transfer.Message, error] {
	return func(yield func(*transfer.Message, error) bool) {
		if _, err := r.f.Seek(0, io.SeekStart); err != nil {
			yield(nil, err)
			return
		}
		s := splitter{in: bufio.NewReaderSize(r.f, 64<<10)}
		seen := make(map[[16]byte]int)
		for n := 1; ; n++ {
			one, err := s.next()
			if err == io.EOF {
				return
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !r.give(one, n, seen, want, yield) {
				return
			}
		}
	}
}

// give yields a message, if it is wanted.
func (r *Reader) give(one *message, n int, seen map[[16]byte]int, want func([]*transfer.Message) ([]bool, error), yield func(*transfer.Message, error) bool) bool {
	sum := sha256.Sum256(one.text)
	short := [16]byte(sum[:])
	seen[short]++ // two that are alike are two
	m := &transfer.Message{
		Key: fmt.Sprintf("%s-%d", hex.EncodeToString(short[:]), seen[short]), Name: fmt.Sprintf("%s message %d", r.f.Name(), n),
		Flags: one.flags, Keywords: one.keywords, SizeBytes: int64(len(one.text)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(one.text)), nil },
	}
	m.Received, _ = fromTime(one.from)
	if one.long {
		return yield(m, transfer.ErrTooLong)
	}
	wanted, err := want([]*transfer.Message{m})
	if err != nil {
		yield(nil, err)
		return false
	}
	return !wanted[0] || yield(m, nil)
}

// message is one of a file. It is valid until the next one.
type message struct {
	from     []byte // its "From " line
	text     []byte // as in the file, without quoting and status fields
	flags    mailbox.Flags
	keywords []string
	long     bool // more than MaxTextBytes, of which the start is kept
}

// splitter cuts a file into messages.
type splitter struct {
	in   *bufio.Reader
	line []byte
	from []byte // the line that begins the next one; nil before the first
	one  message
}

// next returns the next message, or io.EOF.
func (s *splitter) next() (*message, error) {
	for s.from == nil {
		line, err := s.readLine()
		if err != nil {
			return nil, err
		}
		if separates(line) {
			s.from = bytes.Clone(line)
		}
	}
	m := &s.one
	*m = message{from: s.from, text: m.text[:0]}
	s.from = nil
	header, skip := true, false
	for {
		line, err := s.readLine()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if separates(line) && endsEmpty(m.text) {
			s.from = bytes.Clone(line)
			break
		}
		empty := len(bytes.TrimRight(line, "\r\n")) == 0
		switch {
		case header && empty:
			header = false
		case header && (line[0] == ' ' || line[0] == '\t'):
			if skip {
				continue
			}
		case header:
			if skip = statusField(line); skip {
				readStatus(bytes.TrimRight(line, "\r\n"), &m.flags, &m.keywords)
				continue
			}
		}
		if line[0] == '>' && isFrom(line) {
			line = line[1:]
		}
		if m.long = m.long || len(m.text)+len(line) > transfer.MaxTextBytes; !m.long {
			m.text = append(m.text, line...)
		}
	}
	m.text = trimLast(m.text)
	return m, nil
}

// endsEmpty reports whether text ends with an empty line, or is empty.
func endsEmpty(text []byte) bool {
	return len(text) == 0 || bytes.HasSuffix(text, []byte("\n\n")) || bytes.HasSuffix(text, []byte("\n\r\n")) || string(text) == "\n" || string(text) == "\r\n"
}

// trimLast takes off the empty line that follows each message.
func trimLast(text []byte) []byte {
	if !endsEmpty(text) || len(text) == 0 {
		return text
	}
	text = text[:len(text)-1]
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text = text[:n-1]
	}
	return text
}

// readLine returns the next line with its end. It is valid until the next one; a
// line longer than a text may be is cut off.
func (s *splitter) readLine() ([]byte, error) {
	s.line = s.line[:0]
	for {
		piece, err := s.in.ReadSlice('\n')
		if len(s.line)+len(piece) <= transfer.MaxTextBytes+1 {
			s.line = append(s.line, piece...)
		}
		switch {
		case err == nil, err == io.EOF && len(s.line) > 0:
			return s.line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

var _ transfer.Source = (*Reader)(nil)
