package message

import "bytes"

// leadMax is how much of a line is held to see whether it is a delimiter: two
// hyphens, a boundary, two more, and some padding.
const leadMax = boundaryMax + 64

// span is a piece of a Structurer's arena. The zero value is no piece, which is
// not the same as an empty one.
type span struct{ start, len uint32 } // start counts from 1

// entity is a part while its message is read.
type entity struct {
	Part
	fields    [numFields]span
	bodyLine  int64 // line ends before the body
	lastChild int32
	next      int32 // the sibling that follows; 0: none
	children  int32
	depth     uint8
	message   bool // has a header of its own: the message, or what a message/rfc822 holds
	digest    bool // its children are messages unless they say otherwise (RFC 2046 section 5.1.5)
	opaque    bool // not looked into though its type asks for it
	fallback  bool // a multipart without parts, shown as plain text
}

// open is a multipart in whose body the text stands.
type open struct {
	part     int32
	boundary span
}

// Structurer reads the text of a message once, as it comes, and makes a
// Structure of it. The zero value is ready; Reset readies it for the next one and
// keeps its memory. It takes any octets: broken mail gives a structure that is
// valid IMAP, if not what its author meant.
//
// A header ends with the first empty line, and a part in a multipart at the next
// delimiter of any multipart around it. A multipart in which no delimiter is
// found is shown as plain text, so that its content can be read.
type Structurer struct {
	arena  []byte // kept header values and boundaries
	parts  []entity
	opened []open
	cur    int32 // the part whose header or body is being read

	off      int64 // octets read
	lines    int64 // line ends read
	mid      bool  // octets of the line were read
	eolLen   int64 // length of the last line end: 2 with CR
	last     byte  // the last octet read
	inHeader bool
	leading  bool // the line is held in lead, since it may be a delimiter
	plain    bool // the line is known to be no delimiter
	lead     []byte

	field fieldReader

	peek     []byte // start of the text from which the preview is made
	peekPart int32  // -1: none
	peekHTML bool

	out       []byte // the formatted items
	addresses int
	scratch   addressScratch
	begun     bool
}

// Reset readies s for another message.
func (s *Structurer) Reset() {
	s.arena, s.parts, s.opened = s.arena[:0], s.parts[:0], s.opened[:0]
	s.off, s.lines, s.eolLen, s.last = 0, 0, 0, 0
	s.mid, s.leading, s.plain, s.begun = false, false, false, false
	s.field = fieldReader{}
	s.peek, s.peekPart, s.peekHTML = s.peek[:0], -1, false
	s.out, s.addresses = s.out[:0], 0
}

// begin opens the message itself.
func (s *Structurer) begin() {
	if !s.begun {
		s.Reset()
		s.begun = true
		s.arena = append(append(append(s.arena, opaqueType...), plainType...), messageType...)
		s.enter(-1)
	}
}

// enter opens a new part within parent and starts to read its header.
func (s *Structurer) enter(parent int32) {
	i := int32(len(s.parts))
	e := entity{Part: Part{Parent: parent, HeaderOff: s.off}, message: true}
	if parent >= 0 {
		up := &s.parts[parent]
		e.depth, e.message = up.depth+1, up.Kind == KindMessage
		if up.children > 0 {
			s.parts[up.lastChild].next = i
		}
		up.lastChild = i
		up.children++
	}
	s.parts = append(s.parts, e)
	s.cur, s.inHeader = i, true
	s.field.state = fieldNone
}

// Write takes the next piece of the text. It never fails.
func (s *Structurer) Write(p []byte) (int, error) {
	s.begin()
	n := len(p)
	for len(p) > 0 {
		took := 0
		switch {
		case s.leading:
			took = s.hold(p)
		case !s.mid && p[0] == '-' && !s.plain && len(s.opened) > 0:
			s.leading, s.lead = true, s.lead[:0]
		case s.inHeader:
			took = s.header(p)
		default:
			took = s.text(p)
		}
		p = p[took:]
	}
	return n, nil
}

// hold gathers a line that may be a delimiter until that is known.
func (s *Structurer) hold(p []byte) int {
	n, whole := lineEnd(p)
	if len(s.lead)+n > leadMax {
		s.release()
		return 0
	}
	s.lead = append(s.lead, p[:n]...)
	switch {
	case len(s.lead) > 1 && s.lead[1] != '-':
		s.release()
	case whole && !s.delimiter():
		s.release()
	}
	return n
}

// release reads a held line as what it is after all: a piece of a header or text.
func (s *Structurer) release() {
	s.leading, s.plain = false, true
	for p := s.lead; len(p) > 0; {
		if s.inHeader {
			p = p[s.header(p):]
		} else {
			p = p[s.text(p):]
		}
	}
}

// lineEnd returns how much of p belongs to the line that it starts in, and
// whether the line ends there.
func lineEnd(p []byte) (n int, whole bool) {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i + 1, true
	}
	return len(p), false
}

// text takes body octets up to where a delimiter may begin.
func (s *Structurer) text(p []byte) int {
	n := len(p)
	if len(s.opened) > 0 {
		if i := bytes.Index(p, []byte("\n--")); i >= 0 {
			n = i + 1
		} else if n > 1 && p[n-1] == '-' && p[n-2] == '\n' {
			n--
		}
	}
	s.count(p[:n])
	if s.cur == s.peekPart {
		s.peek = append(s.peek, p[:min(n, peekMax-len(s.peek))]...)
	}
	return n
}

// count passes p, which is not empty.
func (s *Structurer) count(p []byte) {
	n := len(p)
	s.off += int64(n)
	s.lines += int64(bytes.Count(p, []byte{'\n'}))
	if p[n-1] != '\n' {
		s.mid, s.last = true, p[n-1]
		return
	}
	before := s.last
	if n > 1 {
		before = p[n-2]
	}
	s.mid, s.plain, s.eolLen, s.last = false, false, 1, '\n'
	if before == '\r' {
		s.eolLen = 2
	}
}

// delimiter acts on the held line if it is a delimiter of a multipart around it,
// the innermost first (RFC 2046 section 5.1.1), and reports whether it was one.
func (s *Structurer) delimiter() bool {
	if len(s.parts) >= partsMax {
		return false
	}
	line := bytes.TrimRight(s.lead, " \t\r\n")
	if len(line) < 2 || line[1] != '-' {
		return false
	}
	line = line[2:]
	for k := len(s.opened) - 1; k >= 0; k-- {
		b := s.bytes(s.opened[k].boundary)
		if !bytes.HasPrefix(line, b) {
			continue
		}
		rest := line[len(b):]
		if len(rest) != 0 && string(rest) != "--" {
			continue
		}
		s.leading = false
		up := s.opened[k].part
		s.closeUntil(up, s.off)
		s.opened = s.opened[:k+1]
		s.count(s.lead)
		if len(rest) == 0 {
			s.enter(up)
		} else { // what follows is no part
			s.opened = s.opened[:k]
			s.cur, s.inHeader = up, false
		}
		return true
	}
	return false
}
