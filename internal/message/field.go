package message

import "bytes"

// The header fields that are kept.
const (
	fieldDate = iota
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	fieldReferences
	fieldContentType // from here on also of parts that are no messages
	fieldEncoding
	fieldContentID
	fieldDescription
	fieldDisposition
	fieldLanguage
	fieldLocation
	fieldMD5

	numFields
)

// fieldNameMax is the length of the longest name: content-transfer-encoding.
const fieldNameMax = 25

// fieldOf returns the field that a name in lower case means, or -1.
func fieldOf(name []byte) int {
	switch string(name) {
	case "date":
		return fieldDate
	case "subject":
		return fieldSubject
	case "from":
		return fieldFrom
	case "sender":
		return fieldSender
	case "reply-to":
		return fieldReplyTo
	case "to":
		return fieldTo
	case "cc":
		return fieldCc
	case "bcc":
		return fieldBcc
	case "in-reply-to":
		return fieldInReplyTo
	case "message-id":
		return fieldMessageID
	case "references":
		return fieldReferences
	case "content-type":
		return fieldContentType
	case "content-transfer-encoding":
		return fieldEncoding
	case "content-id":
		return fieldContentID
	case "content-description":
		return fieldDescription
	case "content-disposition":
		return fieldDisposition
	case "content-language":
		return fieldLanguage
	case "content-location":
		return fieldLocation
	case "content-md5":
		return fieldMD5
	}
	return -1
}

// fieldState is where in a header line a Structurer stands.
type fieldState uint8

const (
	fieldNone  fieldState = iota // in what nobody asks for
	fieldEmpty                   // in what may be the empty line
	fieldName                    // in a name
	fieldSpace                   // in the space behind a name
	fieldValue                   // in a value that is kept, or between its lines
)

// fieldReader gathers one header field.
type fieldReader struct {
	state fieldState
	nameN int
	name  [fieldNameMax]byte
	field int
	start int // of the value in the arena
}

// header takes octets of a header, at most to the end of a line.
func (s *Structurer) header(p []byte) int {
	n, whole := lineEnd(p)
	line := p[:n]
	f := &s.field
	fresh := !s.mid
	if fresh {
		switch line[0] {
		case ' ', '\t': // more of the field before (RFC 5322 section 2.2.3)
			if f.state != fieldValue {
				f.state = fieldNone
			}
		case '\r', '\n':
			s.endField()
			f.state = fieldEmpty
		default:
			s.endField()
			f.state, f.nameN = fieldName, 0
		}
	}
	if f.state == fieldEmpty {
		rest := line
		if fresh && line[0] == '\r' {
			rest = line[1:]
		}
		if len(rest) > 0 && rest[0] != '\n' {
			f.state = fieldNone
		}
	}
	s.count(line)
	switch f.state {
	case fieldEmpty:
		if whole {
			f.state = fieldNone
			s.endHeader()
		}
	case fieldName, fieldSpace:
		s.readName(line)
	case fieldValue:
		s.keep(line)
	}
	return n
}

// readName reads a name up to its colon and hands on what follows.
func (s *Structurer) readName(p []byte) {
	f := &s.field
	for i, c := range p {
		switch {
		case c == ':':
			s.startField()
			if f.state == fieldValue {
				s.keep(p[i+1:])
			}
			return
		case c == ' ' || c == '\t': // RFC 5322 section 4.5
			f.state = fieldSpace
			continue
		case c < ' ' || f.state == fieldSpace || f.nameN == fieldNameMax:
			f.state = fieldNone
			return
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		f.name[f.nameN] = c
		f.nameN++
	}
}

// startField decides whether the field whose name was read is kept: the first
// one of each name is.
func (s *Structurer) startField() {
	f, e := &s.field, &s.parts[s.cur]
	f.state = fieldNone
	f.field = fieldOf(f.name[:f.nameN])
	switch {
	case f.field < 0 || e.fields[f.field].start != 0,
		f.field < fieldContentType && !e.message,
		f.field == fieldReferences && s.cur != 0,
		len(s.arena) >= keptMax:
		return
	}
	f.state, f.start = fieldValue, len(s.arena)
}

// keep appends a piece of a value, without its line end.
func (s *Structurer) keep(p []byte) {
	f := &s.field
	whole := len(p) > 0 && p[len(p)-1] == '\n'
	if whole {
		p = p[:len(p)-1]
	}
	room := min(fieldMax-(len(s.arena)-f.start), keptMax-len(s.arena))
	s.arena = append(s.arena, p[:max(0, min(len(p), room))]...)
	if n := len(s.arena); whole && n > f.start && s.arena[n-1] == '\r' {
		s.arena = s.arena[:n-1]
	}
}

// endField ends the field whose value is being kept, if there is one.
func (s *Structurer) endField() {
	f := &s.field
	if f.state != fieldValue {
		return
	}
	f.state = fieldNone
	raw := s.arena[f.start:]
	for i, c := range raw { // what no quoted string may hold, or a client would show
		if c < ' ' {
			raw[i] = ' '
		}
	}
	value := bytes.TrimLeft(raw, " ")
	start := f.start + len(raw) - len(value)
	value = bytes.TrimRight(value, " ")
	s.arena = s.arena[:start+len(value)]
	s.parts[s.cur].fields[f.field] = span{start: uint32(start) + 1, len: uint32(len(value))}
}

// bytes returns a piece of the arena, nil for none. It is valid until the arena
// grows.
func (s *Structurer) bytes(p span) []byte {
	if p.start == 0 {
		return nil
	}
	return s.arena[p.start-1:][:p.len]
}

// value returns the value of a field of e, nil for none.
func (s *Structurer) value(e *entity, field int) []byte { return s.bytes(e.fields[field]) }
