package message

import "bytes"

// closeUntil ends the parts that are open within part up, at a delimiter that
// begins at off.
func (s *Structurer) closeUntil(up int32, off int64) {
	for s.inHeader { // a header that ends with the delimiter, or a message without any text
		s.endHeader()
	}
	end, lines := off-s.eolLen, s.lines-1 // the line end belongs to the delimiter
	for i := s.cur; i != up && i >= 0; i = s.parts[i].Parent {
		e := &s.parts[i]
		if end < e.BodyOff { // unless it ends a header
			end, lines = e.BodyOff, e.bodyLine
		}
		e.close(end, lines)
	}
}

// close ends the body of e at end, before which are so many line ends.
func (e *entity) close(end, lines int64) {
	e.BodyEnd, e.Lines = end, lines-e.bodyLine
	if e.Kind == KindMultipart && e.children == 0 {
		e.Kind, e.fallback = KindText, true
	}
}

// endHeader ends the header of the current part at the octet that is next and
// opens what its type says.
func (s *Structurer) endHeader() {
	s.endField()
	s.inHeader = false
	e := &s.parts[s.cur]
	e.BodyOff, e.bodyLine = s.off, s.lines
	e.Encoding = encodingOf(s.value(e, fieldEncoding))
	typ, sub, params := s.typeOf(e)
	room := e.depth < depthMax && len(s.parts) < partsMax
	switch {
	case equalFold(typ, "multipart"):
		boundary := s.boundary(params)
		switch {
		case !room:
			e.opaque = true
		case boundary.len == 0:
			e.Kind, e.fallback = KindText, true
		default:
			e.Kind, e.digest = KindMultipart, equalFold(sub, "digest")
			s.opened = append(s.opened, open{part: s.cur, boundary: boundary})
		}
	case equalFold(typ, "message") && equalFold(sub, "rfc822"):
		if e.opaque = !room || e.Encoding != EncodingIdentity; e.opaque {
			break
		}
		e.Kind = KindMessage
		s.enter(s.cur)
	case equalFold(typ, "text"):
		e.Kind = KindText
		s.choosePeek(e, sub)
	}
}

// choosePeek makes the current part the one that the preview is made of: the
// first plain text, else the first HTML.
func (s *Structurer) choosePeek(e *entity, sub []byte) {
	plain, html := equalFold(sub, "plain"), equalFold(sub, "html")
	if !plain && !html || s.peekPart >= 0 && (!s.peekHTML || html) {
		return
	}
	disposition, _ := token(s.value(e, fieldDisposition))
	if equalFold(disposition, "attachment") {
		return
	}
	s.peek, s.peekPart, s.peekHTML = s.peek[:0], s.cur, html
}

// boundary returns the boundary that params give, without the spaces at its end,
// which a delimiter cannot be told to have.
func (s *Structurer) boundary(params []byte) span {
	start := len(s.arena)
	s.arena = appendParam(s.arena, params, "boundary")
	n := len(bytes.TrimRight(s.arena[start:], " \t"))
	if n == 0 || n > boundaryMax {
		s.arena = s.arena[:start]
		return span{}
	}
	s.arena = s.arena[:start+n]
	return span{start: uint32(start) + 1, len: uint32(n)}
}

// Finish ends the text and sets dst to what it was found to be. The slices of
// dst are s's memory and valid until its next Reset or Write; Parts is dst's own.
func (s *Structurer) Finish(dst *Structure) {
	s.begin()
	if s.leading && !s.delimiter() {
		s.release()
	}
	for s.inHeader {
		s.endHeader()
	}
	for i := s.cur; i >= 0; i = s.parts[i].Parent {
		s.parts[i].close(s.off, s.lines)
	}
	dst.Parts = dst.Parts[:0]
	for i := range s.parts {
		dst.Parts = append(dst.Parts, s.parts[i].Part)
	}
	dst.SizeBytes, dst.HeaderBytes, dst.Lines = s.off, s.parts[0].BodyOff, s.lines
	s.format(dst)
	s.begun = false
}
