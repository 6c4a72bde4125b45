package smtp

import (
	"bytes"
	"errors"
	"io"

	"postrider/internal/mail"
)

// Limits on what a server may answer. A reply beyond them is ErrReply.
const (
	AnswerLineBytes = 2 << 10   // bytes of one line that are kept; what follows is read and dropped
	AnswerLines     = 100       // lines of one reply
	AnswerOctets    = 256 << 10 // bytes of one reply on the wire, the dropped ones included
)

const (
	replyBufferBytes  = 4 << 10  // larger than AnswerLineBytes, so a kept line is in one piece
	replyTextRetained = 16 << 10 // an Answer lets go of a larger text
)

// ErrReply reports bytes that are not a reply of RFC 5321 section 4.2, or one
// beyond the limits above. What follows on the connection cannot be trusted.
var ErrReply = errors.New("smtp: malformed reply")

// Answer is a reply as a client reads it.
type Answer struct {
	Code uint16 // 200 to 599
	// Enhanced is the enhanced status code (RFC 2034) that opened the first
	// line, when its class agrees with Code; else the zero value.
	Enhanced mail.Enhanced
	// Text holds the lines without codes, parted by '\n'; control bytes have
	// become spaces. It is valid until the Answer is used again.
	Text []byte
}

// Status returns a as a mail.Status with the same Text. A missing enhanced code
// becomes the class of Code with 0.0.
func (a *Answer) Status() mail.Status {
	s := mail.Status{Code: a.Code, Enhanced: a.Enhanced, Text: a.Text}
	if s.Enhanced.Class == 0 {
		s.Enhanced.Class = uint8(a.Code / 100)
		if s.Enhanced.Class == 3 { // RFC 3463 knows no such class
			s.Enhanced = mail.Enhanced{}
		}
	}
	return s
}

// ReplyReader reads the replies of a server. Its memory is fixed whatever the
// server sends. Its user bounds the time a reply may take by a deadline on the
// source; a source error ends it.
type ReplyReader struct {
	src  io.Reader
	buf  []byte
	r, w int   // unread bytes are buf[r:w]
	err  error // of the source; given once the buffer holds no whole line
}

// Reset makes r read from src and forgets what was buffered. It keeps memory.
func (r *ReplyReader) Reset(src io.Reader) {
	if r.buf == nil {
		r.buf = make([]byte, replyBufferBytes)
	}
	*r = ReplyReader{src: src, buf: r.buf}
}

// Buffered returns how many bytes were read from the source and not yet used.
func (r *ReplyReader) Buffered() int { return r.w - r.r }

// Ready reports whether a line is complete in the buffer, so that Read does at
// least not have to wait for the beginning of a reply.
func (r *ReplyReader) Ready() bool { return bytes.IndexByte(r.buf[r.r:r.w], '\n') >= 0 }

// Read reads the next reply into a, waiting as long as the source does. The
// error is ErrReply, one of the source, or io.ErrUnexpectedEOF when the source
// ended within a reply (io.EOF: before it).
func (r *ReplyReader) Read(a *Answer) error {
	*a = Answer{Text: a.Text[:0]}
	if cap(a.Text) > replyTextRetained {
		a.Text = nil
	}
	octets := 0
	for lines := 1; ; lines++ {
		line, n, err := r.line(AnswerOctets - octets)
		if err != nil {
			if err == io.EOF && (lines > 1 || n > 0) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		octets += n
		last, ok := a.addLine(line, lines == 1)
		if !ok || (!last && lines == AnswerLines) {
			return ErrReply
		}
		if last {
			return nil
		}
	}
}

// line returns the next line without its end, cut to AnswerLineBytes bytes, and
// how many octets it had. It is valid until the next call. A line may end in a
// bare LF: many servers' scripts do, and in clear nothing hangs on it.
func (r *ReplyReader) line(limit int) (line []byte, octets int, err error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[r.r+scanned:r.w], '\n'); i >= 0 {
			end := r.r + scanned + i
			line = r.buf[r.r:end]
			octets = len(line) + 1
			r.r = end + 1
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			break
		}
		scanned = r.w - r.r
		if scanned > AnswerLineBytes {
			return r.longLine(limit)
		}
		if err := r.fill(); err != nil {
			return nil, scanned, err
		}
	}
	if octets > limit {
		return nil, octets, ErrReply
	}
	return line[:min(len(line), AnswerLineBytes)], octets, nil
}

// longLine keeps the first AnswerLineBytes bytes of a line whose end is not in
// sight and drops the others.
func (r *ReplyReader) longLine(limit int) ([]byte, int, error) {
	copy(r.buf, r.buf[r.r:r.r+AnswerLineBytes])
	octets := AnswerLineBytes
	rest := r.buf[AnswerLineBytes:]
	n := copy(rest, r.buf[r.r+AnswerLineBytes:r.w])
	for {
		if i := bytes.IndexByte(rest[:n], '\n'); i >= 0 {
			octets += i + 1
			r.r, r.w = AnswerLineBytes+i+1, AnswerLineBytes+n
			if octets > limit {
				return nil, octets, ErrReply
			}
			return r.buf[:AnswerLineBytes], octets, nil
		}
		if octets += n; octets > limit {
			return nil, octets, ErrReply
		}
		r.r, r.w = 0, 0 // the line's beginning stays below, where nothing else reads
		if r.err != nil {
			return nil, octets, r.err
		}
		n, r.err = r.src.Read(rest)
	}
}

// fill reads once from the source, behind the unread bytes.
func (r *ReplyReader) fill() error {
	if r.err != nil {
		return r.err
	}
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	for range 8 { // an io.Reader may give nothing and no error, but not for ever
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		r.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	r.err = io.ErrNoProgress
	return r.err
}

// addLine takes one line of a reply: three digits, a hyphen when more lines
// follow, else a space or nothing, then text (RFC 5321 section 4.2.1). All lines
// of a reply carry the same code.
func (a *Answer) addLine(line []byte, first bool) (last, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !replyDigit(line[1]) || !replyDigit(line[2]) {
		return false, false
	}
	code := uint16(line[0]-'0')*100 + uint16(line[1]-'0')*10 + uint16(line[2]-'0')
	if !first && code != a.Code {
		return false, false
	}
	a.Code = code
	last, text := true, line[3:]
	if len(text) > 0 {
		switch text[0] {
		case ' ':
		case '-':
			last = false
		default:
			return false, false
		}
		text = text[1:]
	}
	if e, n := parseEnhanced(text); n > 0 && uint16(e.Class) == code/100 {
		if first {
			a.Enhanced = e
		}
		if e == a.Enhanced { // repeated on every line (RFC 2034 section 4)
			text = text[n:]
		}
	}
	if !first {
		a.Text = append(a.Text, '\n')
	}
	at := len(a.Text)
	a.Text = append(a.Text, text...)
	for i, c := range a.Text[at:] {
		if c < ' ' || c == 0x7f {
			a.Text[at+i] = ' '
		}
	}
	return last, true
}

// parseEnhanced reads an enhanced code and the space behind it, and returns how
// many bytes that took: 0 when there is none.
func parseEnhanced(t []byte) (mail.Enhanced, int) {
	if len(t) < 5 || (t[0] != '2' && t[0] != '4' && t[0] != '5') || t[1] != '.' {
		return mail.Enhanced{}, 0
	}
	subject, n := parseSmall(t[2:])
	at := 2 + n
	if n == 0 || at >= len(t) || t[at] != '.' {
		return mail.Enhanced{}, 0
	}
	at++
	detail, n := parseSmall(t[at:])
	at += n
	if n == 0 {
		return mail.Enhanced{}, 0
	}
	e := mail.Enhanced{Class: t[0] - '0', Subject: subject, Detail: detail}
	switch {
	case at == len(t):
		return e, at
	case t[at] == ' ':
		return e, at + 1
	}
	return mail.Enhanced{}, 0
}

// parseSmall reads one to three digits and returns how many.
func parseSmall(t []byte) (v uint16, n int) {
	for n < len(t) && n < 3 && replyDigit(t[n]) {
		v = v*10 + uint16(t[n]-'0')
		n++
	}
	if n < len(t) && replyDigit(t[n]) {
		return 0, 0
	}
	return v, n
}

func replyDigit(c byte) bool { return '0' <= c && c <= '9' }
