package pop3

import (
	"bytes"
	"errors"
	"math"
	"strconv"

	"postrider/internal/wire"
)

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
	s.mark(&s.seen, i)
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
	if s.text == nil {
		s.text = &textWriter{w: s.w}
	}
	s.text.stuffer = stuffer{header: lines < math.MaxInt64, lines: lines}
	if _, err := t.WriteTo(s.text); err != nil && !errors.Is(err, errEnough) {
		s.broken(err)
		return 0, false
	}
	if s.text.octets > 0 {
		s.w.AddString("\r\n")
	}
	s.w.AddString(".\r\n")
	return size, true
}

// errEnough ends the reading of a text for TOP.
var errEnough = errors.New("the rest is not wanted")

// textWriter sends a text as it is read.
type textWriter struct {
	w *wire.Conn
	stuffer
}

func (t *textWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if t.done {
			return 0, errEnough
		}
		var b []byte
		b, rest = t.append(t.w.BulkRoom(replyRoom), rest)
		t.w.Add(b)
	}
	return len(p), t.w.Failed()
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
				return dst, src
			}
			if src[0] == '.' {
				dst = append(dst, '.')
			}
		}
		n, bare := x.run(src[:min(len(src), room)])
		dst = append(dst, src[:n]...)
		if bare {
			dst = append(dst, '\r', '\n')
			n++
		}
		src = src[n:]
	}
	return dst, src
}

// run returns how many octets of src are sent as they are, up to a line that begins
// with a dot or is not wanted, or to an LF alone.
func (x *stuffer) run(src []byte) (n int, bare bool) {
	for n < len(src) {
		i := bytes.IndexByte(src[n:], '\n')
		if i < 0 {
			x.octets += int64(len(src) - n)
			x.cr = src[len(src)-1] == '\r'
			return len(src), false
		}
		crlf := i > 0 && src[n+i-1] == '\r' || i == 0 && x.cr
		x.endLine(x.octets+int64(i), crlf)
		if !crlf {
			return n + i, true
		}
		n += i + 1
		if n < len(src) && src[n] == '.' || x.lines == 0 && !x.header {
			break
		}
	}
	return n, false
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
