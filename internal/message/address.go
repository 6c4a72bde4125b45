package message

// Words in the place of what an address lacks: an empty host would begin a
// group (RFC 3501 section 7.4.2), and these are what other servers say.
const (
	missingMailbox = "MISSING_MAILBOX"
	missingDomain  = "MISSING_DOMAIN"
)

// addressScratch is the memory in which addresses are put together.
type addressScratch struct {
	word    []byte // of parameters
	phrase  []byte // words before "<" with single spaces between them
	local   []byte // the same words without spaces, or the local part in brackets
	domain  []byte
	route   []byte
	comment []byte // the last one, for an address without a phrase
	name    []byte // the phrase of an address in brackets

	angle bool // brackets were seen
	at    bool // "@" was seen
	any   bool // anything was
}

// reset readies a for the next address.
func (a *addressScratch) reset() {
	a.phrase, a.local, a.domain, a.route = a.phrase[:0], a.local[:0], a.domain[:0], a.route[:0]
	a.comment, a.name = a.comment[:0], a.name[:0]
	a.angle, a.at, a.any = false, false, false
}

// appendAddresses appends a list of addresses as ENVELOPE has them, groups
// included; NIL for none. It takes anything: what is no address gives one that
// has the words in it.
func (s *Structurer) appendAddresses(dst, value []byte) []byte {
	start := len(dst)
	a := &s.scratch
	a.reset()
	group := false
	dst = append(dst, '(')
	for p := value; len(p) > 0 && s.addresses < addressesMax; {
		switch c := p[0]; c {
		case ' ', '\t':
			p = p[1:]
		case '(':
			n := commentEnd(p)
			a.comment = appendComment(a.comment[:0], p[:n])
			p = p[n:]
		case ',', ';':
			dst = s.flush(dst)
			if c == ';' && group {
				dst, group = append(dst, "(NIL NIL NIL NIL)"...), false
			}
			p = p[1:]
		case ':':
			if !group && !a.angle && !a.at {
				dst = appendNString(append(dst, "(NIL NIL "...), a.phrase[:len(a.phrase):len(a.phrase)])
				dst, group = append(dst, " NIL)"...), true
				a.reset()
			}
			p = p[1:]
		case '<':
			p = a.readAngle(p[1:])
		case '@':
			a.at, a.any = true, true
			p = p[1:]
		default:
			p = a.readWord(p)
		}
	}
	dst = s.flush(dst)
	if group {
		dst = append(dst, "(NIL NIL NIL NIL)"...)
	}
	if len(dst) == start+1 {
		return append(dst[:start], "NIL"...)
	}
	return append(dst, ')')
}

// flush appends the address that a holds, if any.
func (s *Structurer) flush(dst []byte) []byte {
	a := &s.scratch
	if !a.any {
		a.reset()
		return dst
	}
	s.addresses++
	name := a.name
	if len(name) == 0 {
		name = a.comment
	}
	dst = append(dst, '(')
	dst = appendOptional(dst, name)
	dst = appendOptional(append(dst, ' '), a.route)
	dst = append(dst, ' ')
	if len(a.local) == 0 {
		dst = append(dst, `"`+missingMailbox+`"`...)
	} else {
		dst = appendString(dst, a.local)
	}
	dst = append(dst, ' ')
	if len(a.domain) == 0 {
		dst = append(dst, `"`+missingDomain+`"`...)
	} else {
		dst = appendString(dst, a.domain)
	}
	a.reset()
	return append(dst, ')')
}

// appendOptional appends value, or NIL when it is empty.
func appendOptional(dst, value []byte) []byte {
	if len(value) == 0 {
		return append(dst, "NIL"...)
	}
	return appendString(dst, value)
}

// readWord reads an atom, a quoted string or a domain literal, outside of
// brackets; dots belong to atoms. What follows the brackets is no part of the
// address.
func (a *addressScratch) readWord(p []byte) []byte {
	start := len(a.phrase)
	if start > 0 {
		a.phrase = append(a.phrase, ' ')
	}
	at := len(a.phrase)
	var rest []byte
	a.phrase, rest = appendWord(a.phrase, p)
	word := a.phrase[at:]
	switch {
	case a.angle:
		a.phrase = a.phrase[:start]
	case a.at:
		a.domain = append(a.domain, word...)
	default:
		a.local = append(a.local, word...)
	}
	a.any = true
	return rest
}

// appendWord appends the atom, quoted string or domain literal at the start of p.
func appendWord(dst, p []byte) (word, rest []byte) {
	switch p[0] {
	case '"':
		return appendQuoted(dst, p)
	case '[':
		for i, c := range p {
			if c == ']' {
				return append(dst, p[:i+1]...), p[i+1:]
			}
		}
		return append(dst, p...), nil
	}
	n := 1
	for n < len(p) && !addressSpecial(p[n]) {
		n++
	}
	return append(dst, p[:n]...), p[n:]
}

// addressSpecial reports an octet that ends an atom of an address.
func addressSpecial(c byte) bool {
	switch c {
	case ' ', '\t', '(', '<', '>', ',', ';', ':', '@', '"', '[':
		return true
	}
	return false
}

// readAngle reads what stands in brackets, behind the first one (RFC 5322
// sections 3.4 and 4.4, where the route is).
func (a *addressScratch) readAngle(p []byte) []byte {
	if a.angle { // a second address without a comma: the first one stands
		a.at = false
	}
	first := !a.angle
	a.angle, a.any = true, true
	if first {
		a.name = append(a.name[:0], a.phrase...)
		if a.at && len(a.domain) > 0 { // "me@here <me@here>": the words are what was written
			a.name = append(append(append(a.name[:0], a.local...), '@'), a.domain...)
		}
		a.local, a.domain, a.at = a.local[:0], a.domain[:0], false
	}
	for len(p) > 0 {
		switch c := p[0]; {
		case c == '>':
			return p[1:]
		case c == ' ' || c == '\t':
			p = p[1:]
		case c == '(':
			p = p[commentEnd(p):]
		case !first:
			p = p[1:]
		case c == '@':
			a.at = true
			p = p[1:]
		case c == ',' && a.at && len(a.local) == 0: // of a route
			a.domain = append(a.domain, ',')
			a.at = false
			p = p[1:]
		case c == ':' && a.at && len(a.local) == 0:
			a.route = append(append(a.route[:0], '@'), a.domain...)
			a.domain, a.at = a.domain[:0], false
			p = p[1:]
		case c == ',' || c == ';': // never closed
			return p
		case a.at:
			if n := len(a.domain); n > 0 && a.domain[n-1] == ',' {
				a.domain = append(a.domain, '@')
			}
			a.domain, p = appendWord(a.domain, p)
		default:
			a.local, p = appendWord(a.local, p)
		}
	}
	return nil
}

// appendComment appends the content of a comment, without the outer parentheses.
func appendComment(dst, p []byte) []byte {
	p = p[1:]
	if n := len(p); n > 0 && p[n-1] == ')' {
		p = p[:n-1]
	}
	for i := 0; i < len(p); i++ {
		if p[i] == '\\' && i+1 < len(p) {
			i++
		}
		dst = append(dst, p[i])
	}
	return dst
}
