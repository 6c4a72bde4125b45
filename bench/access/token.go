package access

import (
	"bytes"
	"strconv"
)

// tokenKind is what a token of an IMAP answer is.
type tokenKind uint8

const (
	tokenAtom    tokenKind = iota // also a number, a flag, BODY[...]
	tokenQuoted                   // text without its quotes
	tokenLiteral                  // size octets follow, to be taken by literal or skipLiteral
	tokenOpen                     // (
	tokenClose                    // )
	tokenEnd                      // CRLF
)

// token is a piece of an answer (RFC 3501 section 9). Its text is valid until the
// next token.
type token struct {
	kind tokenKind
	text []byte
	size int64 // of a literal
}

// is reports whether the token is this atom, in whatever case.
func (t token) is(atom string) bool {
	return t.kind == tokenAtom && len(t.text) == len(atom) && bytes.EqualFold(t.text, []byte(atom))
}

// number returns the value of an atom that is a number.
func (t token) number() (uint64, bool) {
	if t.kind != tokenAtom || len(t.text) == 0 || len(t.text) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range t.text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// tokens reads the answers of an IMAP server token by token.
type tokens struct {
	reader
	text []byte // of the token at hand
}

// Limits of what a server may send as one token.
const (
	longestToken   = 32 << 10
	longestLiteral = 1 << 30
	deepest        = 32 // parentheses within parentheses
)

// next returns the next token; spaces only part tokens.
func (t *tokens) next() (token, error) {
	t.text = t.text[:0]
	for {
		c, err := t.peek()
		if err != nil {
			return token{}, err
		}
		switch c {
		case ' ':
			t.drop()
		case '(':
			t.drop()
			return token{kind: tokenOpen}, nil
		case ')':
			t.drop()
			return token{kind: tokenClose}, nil
		case '\r', '\n':
			line, err := t.line()
			if err == nil && len(line) > 0 {
				err = malformed("CR within a line")
			}
			return token{kind: tokenEnd}, err
		case '"':
			t.drop()
			return t.quoted()
		case '{':
			return t.literalSize()
		default:
			return t.atom()
		}
	}
}

func (t *tokens) quoted() (token, error) {
	for escaped := false; ; {
		c, err := t.peek()
		if err != nil {
			return token{}, err
		}
		switch {
		case c == '\r' || c == '\n':
			return token{}, malformed("a quoted string without an end")
		case len(t.text) == longestToken:
			return token{}, malformed("a quoted string of more than %d octets", longestToken)
		}
		t.drop()
		switch {
		case escaped:
			escaped = false
			t.text = append(t.text, c)
		case c == '\\':
			escaped = true
		case c == '"':
			return token{kind: tokenQuoted, text: t.text}, nil
		default:
			t.text = append(t.text, c)
		}
	}
}

// atom reads up to a space, a parenthesis or the end of the line; within brackets
// (BODY[HEADER.FIELDS (FROM)]) these belong to it.
func (t *tokens) atom() (token, error) {
	for brackets := 0; ; {
		c, err := t.peek()
		if err != nil {
			return token{}, err
		}
		switch c {
		case '\r', '\n':
			return token{kind: tokenAtom, text: t.text}, nil
		case ' ', '(', ')':
			if brackets == 0 {
				return token{kind: tokenAtom, text: t.text}, nil
			}
		case '[':
			brackets++
		case ']':
			brackets = max(0, brackets-1)
		}
		if len(t.text) == longestToken {
			return token{}, malformed("an atom of more than %d octets", longestToken)
		}
		t.drop()
		t.text = append(t.text, c)
	}
}

func (t *tokens) literalSize() (token, error) {
	line, err := t.line()
	if err != nil {
		return token{}, err
	}
	if len(line) < 3 || line[len(line)-1] != '}' {
		return token{}, malformed("%q is no literal", shorten(line))
	}
	size, ok := token{text: line[1 : len(line)-1]}.number()
	if !ok || size > longestLiteral {
		return token{}, malformed("%q is no literal", shorten(line))
	}
	return token{kind: tokenLiteral, size: int64(size)}, nil
}

// short takes a literal that must not be long, so that it is like a quoted string.
func (t *tokens) short(k token) (token, error) {
	if k.kind != tokenLiteral {
		return k, nil
	}
	if k.size > longestToken {
		return k, malformed("a literal of %d octets where a word is due", k.size)
	}
	err := t.take(k.size, func(b []byte) { t.text = append(t.text, b...) })
	return token{kind: tokenQuoted, text: t.text}, err
}

// skip drops the rest of the value that begins with k.
func (t *tokens) skip(k token) error {
	for depth := 0; ; {
		switch k.kind {
		case tokenLiteral:
			if err := t.take(k.size, nil); err != nil {
				return err
			}
		case tokenOpen:
			if depth++; depth > deepest {
				return malformed("more than %d parentheses", deepest)
			}
		case tokenClose:
			if depth--; depth < 0 {
				return malformed("a parenthesis closes what is not open")
			}
		case tokenEnd:
			return malformed("a line ends within a value")
		}
		if depth == 0 {
			return nil
		}
		var err error
		if k, err = t.next(); err != nil {
			return err
		}
	}
}

// rest returns the line from here on, for texts in which anything may stand.
func (t *tokens) rest() ([]byte, error) {
	line, err := t.line()
	return bytes.TrimLeft(line, " "), err
}

// shorten makes a stranger's text fit for a message to a human.
func shorten(b []byte) string {
	const most = 120
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}

// codeNumber returns the number of a response code: of "[UIDNEXT 12] text" for
// "UIDNEXT".
func codeNumber(text []byte, name string) (uint64, bool) {
	inner, ok := bytes.CutPrefix(text, []byte{'['})
	if !ok {
		return 0, false
	}
	inner, _, ok = bytes.Cut(inner, []byte{']'})
	if !ok {
		return 0, false
	}
	key, value, _ := bytes.Cut(inner, []byte{' '})
	if !bytes.EqualFold(key, []byte(name)) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(value), 10, 63)
	return n, err == nil
}
