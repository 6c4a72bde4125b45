package pop3

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"

	"postrider/internal/bufpool"
)

// chunkBytes is how much of a text is read at a time.
const chunkBytes = 32 << 10

// retr does RETR.
func (s *session) retr(arg []byte) {
	i, ok := s.only(arg)
	if !ok {
		return
	}
	n, ok := s.send(i, math.MaxInt64)
	if !ok {
		return
	}
	s.seen.set(i, s.drop.Len())
	s.retrieved++
	s.bytes += n
	s.m.Retrieved.Add(1)
	s.m.Bytes.Add(n)
}

// top does TOP.
func (s *session) top(arg []byte) {
	i, rest, ok := s.message(arg)
	if !ok {
		return
	}
	lines, more, ok := number(rest)
	if !ok || more != nil {
		s.fail(replyArgument)
		return
	}
	s.send(i, lines)
}

// send answers with the text of message i: its header, the empty line after it and
// at most that many lines of its body. It returns the size of the whole text.
func (s *session) send(i int, lines int64) (size int64, ok bool) {
	t, err := s.drop.Text(i)
	if err != nil {
		s.unreadable(err)
		return 0, false
	}
	defer t.Release()
	size = t.Size()
	b := append(s.w.Room(replyRoom), "+OK "...)
	s.w.Add(append(strconv.AppendInt(b, size, 10), " octets\r\n"...))
	x := stuffer{header: lines < math.MaxInt64, lines: lines}
	if err := s.copyText(&x, t, size); err != nil {
		s.broken(err)
		return 0, false
	}
	if x.octets > 0 {
		s.w.AddString("\r\n")
	}
	s.w.AddString(".\r\n")
	return size, true
}

func (s *session) copyText(x *stuffer, t Text, size int64) error {
	buf := bufpool.Get(int(min(max(size, 1), chunkBytes)))
	defer bufpool.Put(buf)
	for at := int64(0); at < size && !x.done; {
		p := buf.B[:min(size-at, int64(cap(buf.B)))]
		n, err := t.ReadAt(p, at)
		if n < len(p) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		at += int64(n)
		for rest := p; len(rest) > 0 && !x.done; {
			var b []byte
			b, rest = x.append(s.w.BulkRoom(replyRoom), rest)
			s.w.Add(b)
		}
		if err := s.w.Failed(); err != nil {
			return err
		}
	}
	return nil
}

// stuffer makes of a text the lines of a multi-line answer: each ends with CRLF,
// and one that begins with a dot gets another (RFC 1939 section 3). An LF alone
// becomes CRLF, since there are clients that would take it for the end of a line
// and the dot after it for that of the message.
type stuffer struct {
	octets int64 // of the line so far
	cr     bool  // the last of them is a CR
	header bool  // lines are not counted yet
	lines  int64 // that are wanted
	done   bool  // all of them were appended
}

// append appends of src what fits in dst and returns what is left of it.
func (x *stuffer) append(dst, src []byte) (out, rest []byte) {
	for len(src) > 0 {
		room := cap(dst) - len(dst) - len(".\r\n")
		if room <= 0 {
			return dst, src
		}
		if x.octets == 0 {
			if x.lines == 0 && !x.header {
				x.done = true
				return dst, nil
			}
			if src[0] == '.' {
				dst = append(dst, '.')
			}
		}
		piece := src[:min(len(src), room)]
		i := bytes.IndexByte(piece, '\n')
		if i < 0 {
			dst = append(dst, piece...)
			x.octets += int64(len(piece))
			x.cr = piece[len(piece)-1] == '\r'
			src = src[len(piece):]
			continue
		}
		crlf := i > 0 && piece[i-1] == '\r' || i == 0 && x.cr
		dst = append(dst, piece[:i]...)
		if !crlf {
			dst = append(dst, '\r')
		}
		dst = append(dst, '\n')
		x.endLine(x.octets+int64(i), crlf)
		src = src[i+1:]
	}
	return dst, src
}

// endLine counts a line of so many octets before its LF.
func (x *stuffer) endLine(octets int64, crlf bool) {
	x.octets, x.cr = 0, false
	switch {
	case !x.header:
		x.lines--
	case octets == 0 || octets == 1 && crlf:
		x.header = false
	}
}
