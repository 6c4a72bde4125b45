package message

// token reads a token of RFC 2045 section 5.1 behind space and comments, and
// returns what follows it. Octets above 127 are taken for letters.
func token(p []byte) (word, rest []byte) {
	p = skipSpace(p)
	n := 0
	for n < len(p) && !special(p[n]) {
		n++
	}
	return p[:n], p[n:]
}

// special reports an octet that ends a token: space, controls and tspecials.
func special(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=', 0x7f:
		return true
	}
	return c <= ' '
}

// skipSpace passes spaces and comments (RFC 5322 section 3.2.2).
func skipSpace(p []byte) []byte {
	for len(p) > 0 {
		switch p[0] {
		case ' ', '\t':
			p = p[1:]
		case '(':
			p = p[commentEnd(p):]
		default:
			return p
		}
	}
	return p
}

// commentEnd returns the length of the comment that p begins with; one that is
// never closed reaches to the end.
func commentEnd(p []byte) int {
	depth := 0
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(p)
}

// appendQuoted appends the content of the quoted string that p begins with and
// returns what follows it; one that is never closed reaches to the end.
func appendQuoted(dst, p []byte) (content, rest []byte) {
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c == '"':
			return dst, p[i+1:]
		case c == '\\' && i+1 < len(p):
			i++
			dst = append(dst, p[i])
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}

// splitType returns the parts of a Content-Type, and whether it is one.
func splitType(value []byte) (typ, sub, params []byte, ok bool) {
	typ, rest := token(value)
	if rest = skipSpace(rest); len(typ) == 0 || len(rest) == 0 || rest[0] != '/' {
		return nil, nil, nil, false
	}
	sub, rest = token(rest[1:])
	return typ, sub, rest, len(sub) > 0
}

// The types of what does not say its own, or is not shown with it. They stand at
// the start of the arena.
const (
	opaqueType  = "application/octet-stream"
	plainType   = "text/plain;charset=us-ascii"
	messageType = "message/rfc822"
)

// typeOf returns the type that e is shown with (RFC 2045 section 5.2, RFC 2046
// section 5.1.5). The slices alias the arena.
func (s *Structurer) typeOf(e *entity) (typ, sub, params []byte) {
	value := s.value(e, fieldContentType)
	typ, sub, params, ok := splitType(value)
	switch {
	case e.opaque:
		value = s.arena[:len(opaqueType)]
	case e.fallback:
		value = s.arena[len(opaqueType):][:len(plainType)]
	case ok:
		return typ, sub, params
	case value == nil && e.Parent >= 0 && s.parts[e.Parent].digest:
		value = s.arena[len(opaqueType)+len(plainType):][:len(messageType)]
	default:
		value = s.arena[len(opaqueType):][:len(plainType)]
	}
	typ, sub, params, _ = splitType(value)
	return typ, sub, params
}

// nextParam reads "; name=value" and appends the value to dst. An empty name with
// an empty rest says that there are no more.
func nextParam(dst, p []byte) (name, value, rest []byte) {
	for len(p) > 0 {
		p = skipSpace(p)
		if len(p) > 0 && p[0] != ';' { // not where a parameter begins: go on at the next
			p = p[paramEnd(p):]
			continue
		}
		if len(p) > 0 {
			p = p[1:]
		}
		if name, p = token(p); len(name) == 0 {
			continue
		}
		if p = skipSpace(p); len(p) == 0 || p[0] != '=' {
			continue
		}
		if p = skipSpace(p[1:]); len(p) > 0 && p[0] == '"' {
			value, rest = appendQuoted(dst, p)
			return name, value, rest
		}
		n := 0 // RFC 2045 has a token here; file names with spaces are seen
		for n < len(p) && p[n] != ';' && (p[n] != '(' || n == 0 || p[n-1] != ' ') {
			n++
		}
		rest = p[n:]
		for n > 0 && p[n-1] == ' ' {
			n--
		}
		return name, append(dst, p[:n]...), rest
	}
	return nil, dst, nil
}

// paramEnd returns how much of p stands before the next semicolon.
func paramEnd(p []byte) int {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case ';':
			return i
		case '"':
			for i++; i < len(p) && p[i] != '"'; i++ {
				if p[i] == '\\' {
					i++
				}
			}
		}
	}
	return len(p)
}

// appendParam appends the value of the parameter name of params, if it is there.
func appendParam(dst, params []byte, name string) []byte {
	start := len(dst)
	for {
		var found []byte
		found, dst, params = nextParam(dst[:start], params)
		if len(found) == 0 {
			return dst[:start]
		}
		if equalFold(found, name) {
			return dst
		}
	}
}

// AppendCharset appends the charset that a Content-Type, unfolded, names.
func AppendCharset(dst, contentType []byte) []byte {
	_, _, params, ok := splitType(contentType)
	if !ok {
		return dst
	}
	return appendParam(dst, params, "charset")
}

// encodingOf reads a Content-Transfer-Encoding; none is 7bit.
func encodingOf(value []byte) Encoding {
	word, _ := token(value)
	switch {
	case len(word) == 0, equalFold(word, "7bit"), equalFold(word, "8bit"), equalFold(word, "binary"):
		return EncodingIdentity
	case equalFold(word, "quoted-printable"):
		return EncodingQuotedPrintable
	case equalFold(word, "base64"):
		return EncodingBase64
	}
	return EncodingUnknown
}

// equalFold reports whether word is lower, which is ASCII in lower case.
func equalFold(word []byte, lower string) bool {
	if len(word) != len(lower) {
		return false
	}
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
