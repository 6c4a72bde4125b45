package submission

import (
	"bytes"

	"postrider/internal/mail"
)

// addresses calls each for every address in the value of an originator field (RFC
// 5322 section 3.6.2): mailboxes and groups, in canonical form. It reports false when
// the value does not read one way only, and when it names nobody: programs disagree
// about such a field, and one of them might show the address that another did not
// see. each ends it by returning false.
func addresses(value []byte, each func(address []byte) bool) bool {
	p := parser{rest: value}
	found, group := 0, false
	for {
		switch p.next() {
		case 0:
			return p.ok && found > 0 && !group
		case ',': // with nothing before it, as obsolete programs write
		case ';':
			if !group {
				return false
			}
			group = false
		default:
			n, opened, ok := p.mailbox(each)
			if !ok || opened && group {
				return false
			}
			group = group || opened
			found += n
		}
	}
}

// parser cuts a value into tokens.
type parser struct {
	rest  []byte
	token []byte // an atom with dots, a quoted string or a literal; else one special
	word  bool   // it is one of the first two
	ok    bool   // false: what stands there is none
	text  []byte // scratch for an address
}

// next reads a token and returns its kind: its first octet, 'a' for an atom; 0 at the
// end, and where no token can be read.
func (p *parser) next() byte {
	p.token, p.word = nil, false
	if p.ok = p.skip(); !p.ok || len(p.rest) == 0 {
		return 0
	}
	n, kind := 1, p.rest[0]
	switch {
	case kind == '"':
		n = enclosed(p.rest, '"')
		p.word = true
	case kind == '[':
		n = enclosed(p.rest, ']')
	case bytes.IndexByte([]byte("<>@,;:"), kind) >= 0:
	default:
		n = 0
		for n < len(p.rest) && isAtom(p.rest[n]) {
			n++
		}
		kind = 'a'
		p.word = true
	}
	if p.ok = n > 0; !p.ok {
		return 0
	}
	p.token, p.rest = p.rest[:n], p.rest[n:]
	return kind
}

// mailbox reads from the token in hand up to the comma or semicolon behind it, which
// it leaves. A phrase with a colon opens a group.
func (p *parser) mailbox(each func([]byte) bool) (found int, group, ok bool) {
	var phrase [][]byte // tokens before a bracket: a name, or an address without brackets
	for kind := p.token[0]; ; {
		switch kind {
		case '<':
			if len(phrase) > 0 && !namesNobody(phrase) { // foo@example <bar@example>: both must do
				if !p.tell(phrase, each) {
					return 0, false, false
				}
			}
			return 1, false, p.angle(each)
		case ':':
			return 0, true, len(phrase) > 0 && namesNobody(phrase)
		case '>':
			return 0, false, false
		}
		if len(phrase) == maxPhrase {
			return 0, false, false
		}
		phrase = append(phrase, p.token)
		if !p.skip() {
			return 0, false, false
		}
		if len(p.rest) == 0 || p.rest[0] == ',' || p.rest[0] == ';' {
			return 1, false, p.tell(phrase, each)
		}
		if kind = p.next(); kind == 0 {
			return 0, false, false
		}
	}
}

// maxPhrase is how many words the name before an address may have.
const maxPhrase = 1000

// namesNobody reports a phrase without an "@" of its own.
func namesNobody(phrase [][]byte) bool {
	for _, t := range phrase {
		if t[0] == '@' {
			return false
		}
	}
	return true
}

// angle reads what stands behind "<", and then to the end of the mailbox.
func (p *parser) angle(each func([]byte) bool) bool {
	kind := p.next()
	if kind == '@' || kind == ',' { // the route that RFC 822 had
		for ; kind != ':'; kind = p.next() {
			if kind == '@' {
				kind = p.next()
				if kind != 'a' && kind != '[' {
					return false
				}
			} else if kind != ',' {
				return false
			}
		}
		kind = p.next()
	}
	if kind != 'a' && kind != '"' {
		return false
	}
	spec := [][]byte{p.token}
	for range 2 {
		if p.next() == 0 {
			return false
		}
		spec = append(spec, p.token)
	}
	if p.next() != '>' || !p.tell(spec, each) {
		return false
	}
	return p.skip() && (len(p.rest) == 0 || p.rest[0] == ',' || p.rest[0] == ';')
}

// tell hands on local part, "@" and domain.
func (p *parser) tell(spec [][]byte, each func([]byte) bool) bool {
	if len(spec) != 3 || spec[1][0] != '@' || spec[0][0] == '[' || spec[0][0] == '@' || spec[2][0] == '"' {
		return false
	}
	p.text = append(append(append(p.text[:0], spec[0]...), '@'), spec[2]...)
	a, err := mail.ParseAddress(p.text, true)
	if err != nil {
		return false
	}
	return each(a.AppendText(nil))
}

// skip passes spaces and comments (RFC 5322 section 3.2.2); false: one does not end.
func (p *parser) skip() bool {
	depth := 0
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			i++
		case depth > 0 && (c >= ' ' && c != 0x7f), c == ' ', c == '\t', c == '\r', c == '\n':
		default:
			p.rest = p.rest[i:]
			return depth == 0
		}
	}
	p.rest = nil
	return depth == 0
}

// enclosed returns the length of what stands between its first octet and end, both
// included; 0 when it does not end.
func enclosed(p []byte, end byte) int {
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c == end:
			return i + 1
		case c == '\\':
			i++
		case c < ' ' && c != '\t' && c != '\r' && c != '\n', c == 0x7f, c == '[' && end == ']':
			return 0
		}
	}
	return 0
}

// isAtom reports an octet of an atom, or a dot between two.
func isAtom(c byte) bool {
	return c > ' ' && c != 0x7f && bytes.IndexByte([]byte(`()<>[]:;@\,"`), c) < 0
}
