package bounce

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"unicode/utf8"

	"postrider/internal/mail"
	"postrider/internal/message"
)

// maxLine is the longest line of a message without its CRLF (RFC 5322 section
// 2.1.1).
const maxLine = 998

// readHeader reads the header of the original, its last whole line before
// MaxReturnedHeader at most; nil when there is none.
func (n *Notice) readHeader() []byte {
	if n.Original == nil {
		return nil
	}
	b := make([]byte, min(n.Original.Size(), MaxReturnedHeader))
	got, err := n.Original.ReadAt(b, 0)
	if err != nil && err != io.EOF || got <= 0 {
		return nil
	}
	b = b[:got]
	var s message.Scanner
	s.Scan(b)
	if s.Done() {
		b = b[:s.HeaderBytes]
		if i := bytes.LastIndex(b, []byte("\r\n\r\n")); i >= 0 && i+4 == len(b) {
			b = b[:len(b)-2]
		}
	}
	if end := bytes.LastIndexByte(b, '\n'); end+1 < len(b) { // cut by the bound, or at a line that is no field
		b = b[:end+1]
	}
	return b
}

// returned makes the third part of at most left bytes, and says what it is: "full",
// "header", or "" for none.
func (n *Notice) returned(header []byte, wide bool, left int) (part, string) {
	if n.Original == nil {
		return part{}, ""
	}
	if n.full() {
		if p, ok := n.returnFull(wide); ok && len(p.text) <= left {
			return p, "full"
		}
	}
	if p, ok := returnHeader(header, n.Envelope.SMTPUTF8, wide, left); ok {
		return p, "header"
	}
	return part{}, ""
}

// full reports a message that may be returned whole: its sender asked for it
// (RFC 3461 section 4.3, which means it for failures), it is small, and it was not
// one to be kept off unsafe ways (RFC 8689 section 5: as if RET=HDRS stood there).
func (n *Notice) full() bool {
	e := n.Envelope
	return n.Kind == Failure && e.Return == mail.ReturnFull && !e.RequireTLS && n.Original.Size() <= MaxReturnedFull
}

func (n *Notice) returnFull(wide bool) (part, bool) {
	text, err := io.ReadAll(io.LimitReader(n.Original.Reader(), MaxReturnedFull+1))
	if err != nil || len(text) > MaxReturnedFull { // also when it is damaged
		return part{}, false
	}
	shape := measure(text)
	if !shape.lines {
		return part{}, false
	}
	if !bytes.HasSuffix(text, []byte("\r\n")) {
		text = append(text, '\r', '\n')
	}
	p := part{kind: "message/rfc822", encoding: "7bit", about: "The message", text: text}
	if shape.eightBit {
		p.encoding = "8bit"
	}
	if n.Envelope.SMTPUTF8 && shape.eightBit {
		p.kind = "message/global" // RFC 6532 section 3.7
		if !wide {                // which may be encoded, where nothing says that the way takes it
			p.encoding = "base64"
			p.text = appendBase64(nil, text)
		}
	}
	return p, true
}

// returnHeader makes the part of RFC 6522 section 4, or of RFC 6533 section 6.
// What is not plain lines of ASCII is encoded.
func returnHeader(header []byte, global, wide bool, left int) (part, bool) {
	p := part{kind: "text/rfc822-headers", encoding: "7bit", about: "Header of the message"}
	for limit := len(header); limit > 0; limit /= 2 {
		header = header[:bytes.LastIndexByte(header[:limit], '\n')+1]
		if len(header) == 0 {
			break
		}
		shape := measure(header)
		p.text, p.encoding = header, "7bit"
		switch {
		case shape.eightBit && global && wide && shape.lines:
			p.kind, p.encoding = "message/global-headers", "8bit"
		case shape.eightBit && global:
			p.kind = "message/global-headers"
			p.text, p.encoding = quote(header), "quoted-printable"
		case shape.eightBit:
			p.kind = "text/rfc822-headers; charset=unknown-8bit" // RFC 1428 section 3
			if utf8.Valid(header) {
				p.kind = "text/rfc822-headers; charset=utf-8"
			}
			p.text, p.encoding = quote(header), "quoted-printable"
		case !shape.lines:
			p.text, p.encoding = quote(header), "quoted-printable"
		}
		if len(p.text) <= left {
			return p, true
		}
	}
	return part{}, false
}

// shape is what an encoding must cope with.
type shape struct {
	eightBit bool
	lines    bool // CRLF alone ends lines, none is too long, and there is no NUL
}

func measure(text []byte) shape {
	s := shape{lines: true}
	start := 0
	for i, c := range text {
		switch {
		case c >= 0x80:
			s.eightBit = true
		case c == 0, c == '\r' && (i+1 == len(text) || text[i+1] != '\n'), c == '\n' && (i == 0 || text[i-1] != '\r'):
			s.lines = false
		case c == '\n':
			s.lines = s.lines && i-1-start <= maxLine
			start = i + 1
		}
	}
	s.lines = s.lines && len(text)-start <= maxLine
	return s
}

// quote encodes text as quoted-printable; every line end becomes CRLF.
func quote(text []byte) []byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, err := w.Write(text)
	if cerr := w.Close(); err != nil || cerr != nil { // a Buffer takes everything
		return nil
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// appendBase64 appends text in lines of 76 characters (RFC 2045 section 6.8).
func appendBase64(dst, text []byte) []byte {
	const perLine = 57
	for len(text) > 0 {
		n := min(len(text), perLine)
		dst = base64.StdEncoding.AppendEncode(dst, text[:n])
		dst = append(dst, '\r', '\n')
		text = text[n:]
	}
	return dst
}

// messageID returns the id of the original when it can be repeated: one word of
// printable ASCII in angle brackets.
func messageID(header []byte) []byte {
	id := field(header, "message-id")
	if len(id) < 5 || len(id) > 250 || id[0] != '<' || id[len(id)-1] != '>' || bytes.IndexByte(id, '@') < 0 {
		return nil
	}
	for i, c := range id {
		if c <= ' ' || c >= 0x7f || c == '<' && i > 0 || c == '>' && i < len(id)-1 {
			return nil
		}
	}
	return id
}

// field returns the unfolded value of the first field of that name, which is
// given in lower case; nil when there is none.
func field(header []byte, name string) []byte {
	for len(header) > 0 {
		line, rest, _ := bytes.Cut(header, []byte("\r\n"))
		value, is := cutName(line, name)
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			var more []byte
			more, rest, _ = bytes.Cut(rest, []byte("\r\n"))
			if is && len(value) < 2000 {
				value = append(value[:len(value):len(value)], more...)
			}
		}
		if is {
			return bytes.TrimSpace(value)
		}
		header = rest
	}
	return nil
}

func cutName(line []byte, name string) (value []byte, ok bool) {
	if len(line) <= len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	rest := bytes.TrimLeft(line[len(name):], " \t")
	if len(rest) == 0 || rest[0] != ':' {
		return nil, false
	}
	return rest[1:], true
}
