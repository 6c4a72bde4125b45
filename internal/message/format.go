package message

import (
	"bytes"
	"strconv"
)

// format writes the items of dst into s.out.
func (s *Structurer) format(dst *Structure) {
	var ends [7]int
	out := s.appendEnvelope(s.out[:0], &s.parts[0])
	ends[0] = len(out)
	out = s.appendBody(out, 0, false)
	ends[1] = len(out)
	out = s.appendBody(out, 0, true)
	ends[2] = len(out)
	out = s.appendPreview(out)
	ends[3] = len(out)
	root := &s.parts[0]
	out = appendIDs(out, s.value(root, fieldMessageID), true)
	ends[4] = len(out)
	out = appendIDs(out, s.value(root, fieldInReplyTo), true)
	ends[5] = len(out)
	out = appendIDs(out, s.value(root, fieldReferences), false)
	ends[6] = len(out)
	s.out = out
	dst.Envelope, dst.Body, dst.BodyStructure = out[:ends[0]:ends[0]], out[ends[0]:ends[1]:ends[1]], out[ends[1]:ends[2]:ends[2]]
	dst.Preview, dst.MessageID = out[ends[2]:ends[3]:ends[3]], out[ends[3]:ends[4]:ends[4]]
	dst.InReplyTo, dst.References = out[ends[4]:ends[5]:ends[5]], out[ends[5]:ends[6]:ends[6]]
	if n := len(dst.References); n > referenceMax {
		dst.References = dst.References[n-referenceMax:]
		if i := bytes.IndexByte(dst.References, ' '); i >= 0 {
			dst.References = dst.References[i+1:]
		}
	}
}

// appendIDs appends the message ids of value with single spaces between them, or
// the first one only.
func appendIDs(dst, value []byte, first bool) []byte {
	start := len(dst)
	for {
		i := bytes.IndexByte(value, '<')
		if i < 0 {
			return dst
		}
		value = value[i:]
		n := bytes.IndexByte(value, '>') + 1
		if n == 0 {
			return dst
		}
		if n > referenceMax {
			value = value[n:]
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		for _, c := range value[:n] {
			if c > ' ' { // an id has no space; what was folded has
				dst = append(dst, c)
			}
		}
		if value = value[n:]; first {
			return dst
		}
	}
}

// appendEnvelope appends the ENVELOPE of the message e (RFC 3501 section 7.4.2).
func (s *Structurer) appendEnvelope(dst []byte, e *entity) []byte {
	dst = appendNString(append(dst, '('), s.value(e, fieldDate))
	dst = appendNString(append(dst, ' '), s.value(e, fieldSubject))
	from := len(dst)
	dst = s.appendAddresses(append(dst, ' '), s.value(e, fieldFrom))
	fromEnd := len(dst)
	for _, field := range [...]int{fieldSender, fieldReplyTo} {
		start := len(dst)
		dst = s.appendAddresses(append(dst, ' '), s.value(e, field))
		if string(dst[start:]) == " NIL" { // the server says what the reader is to assume
			dst = append(dst[:start], dst[from:fromEnd]...)
		}
	}
	for _, field := range [...]int{fieldTo, fieldCc, fieldBcc} {
		dst = s.appendAddresses(append(dst, ' '), s.value(e, field))
	}
	dst = appendNString(append(dst, ' '), s.value(e, fieldInReplyTo))
	dst = appendNString(append(dst, ' '), s.value(e, fieldMessageID))
	return append(dst, ')')
}

// appendBody appends the BODY of part i, or its BODYSTRUCTURE. Between the parts
// of a multipart there is no space: the grammar has none.
func (s *Structurer) appendBody(dst []byte, i int32, extended bool) []byte {
	e := &s.parts[i]
	typ, sub, params := s.typeOf(e)
	dst = append(dst, '(')
	if e.Kind == KindMultipart {
		for child := i + 1; child != 0; child = s.parts[child].next {
			dst = s.appendBody(dst, child, extended)
		}
		dst = appendLower(append(dst, ' '), sub)
		if extended {
			dst = s.appendParams(append(dst, ' '), params)
			dst = s.appendExtension(dst, e)
		}
		return append(dst, ')')
	}
	dst = appendLower(dst, typ)
	dst = appendLower(append(dst, ' '), sub)
	dst = s.appendParams(append(dst, ' '), params)
	dst = appendNString(append(dst, ' '), s.value(e, fieldContentID))
	dst = appendNString(append(dst, ' '), s.value(e, fieldDescription))
	encoding, _ := token(s.value(e, fieldEncoding))
	if len(encoding) == 0 {
		encoding = []byte("7bit")
	}
	dst = appendLower(append(dst, ' '), encoding)
	dst = strconv.AppendInt(append(dst, ' '), e.BodyEnd-e.BodyOff, 10)
	switch e.Kind {
	case KindMessage:
		dst = s.appendEnvelope(append(dst, ' '), &s.parts[i+1])
		dst = s.appendBody(append(dst, ' '), i+1, extended)
		fallthrough
	case KindText:
		dst = strconv.AppendInt(append(dst, ' '), e.Lines, 10)
	}
	if extended {
		dst = appendNString(append(dst, ' '), s.value(e, fieldMD5))
		dst = s.appendExtension(dst, e)
	}
	return append(dst, ')')
}

// appendExtension appends disposition, language and location.
func (s *Structurer) appendExtension(dst []byte, e *entity) []byte {
	word, rest := token(s.value(e, fieldDisposition))
	if len(word) == 0 {
		dst = append(dst, " NIL"...)
	} else {
		dst = appendLower(append(dst, " ("...), word)
		dst = append(s.appendParams(append(dst, ' '), rest), ')')
	}
	word, rest = token(s.value(e, fieldLanguage))
	if len(word) == 0 {
		dst = append(dst, " NIL"...)
	} else {
		dst = append(dst, " ("...)
		for len(word) > 0 {
			dst = appendString(dst, word)
			if rest = skipSpace(rest); len(rest) == 0 || rest[0] != ',' {
				break
			}
			if word, rest = token(rest[1:]); len(word) > 0 {
				dst = append(dst, ' ')
			}
		}
		dst = append(dst, ')')
	}
	return appendNString(append(dst, ' '), s.value(e, fieldLocation))
}

// appendParams appends the parameters as they were sent, those of RFC 2231 too.
func (s *Structurer) appendParams(dst, params []byte) []byte {
	start := len(dst)
	for {
		name, value, rest := nextParam(s.scratch.word[:0], params)
		s.scratch.word = value[:0]
		if len(name) == 0 {
			break
		}
		params = rest
		if len(dst) == start {
			dst = append(dst, '(')
		} else {
			dst = append(dst, ' ')
		}
		dst = appendString(dst, name)
		dst = appendString(append(dst, ' '), value)
	}
	if len(dst) == start {
		return append(dst, "NIL"...)
	}
	return append(dst, ')')
}
