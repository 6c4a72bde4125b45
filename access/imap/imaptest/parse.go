package imaptest

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxLiteral bounds what is taken from a server.
const maxLiteral = 64 << 20

// Read reads a response with its literals.
func Read(in *bufio.Reader) (*Response, error) {
	p := &parser{in: in}
	r := p.response()
	if p.err != nil {
		return nil, fmt.Errorf("after %q: %w", tail(p.seen), p.err)
	}
	return r, nil
}

func tail(b []byte) []byte { return b[max(0, len(b)-200):] }

type parser struct {
	in    *bufio.Reader
	seen  []byte
	err   error
	depth int
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// peek returns the next octet; 0 after an error.
func (p *parser) peek() byte {
	if p.err != nil {
		return 0
	}
	b, err := p.in.Peek(1)
	if err != nil {
		p.err = err
		return 0
	}
	return b[0]
}

func (p *parser) next() byte {
	c := p.peek()
	if p.err == nil {
		_, _ = p.in.Discard(1)
		p.seen = append(p.seen, c)
	}
	return c
}

func (p *parser) want(c byte) {
	if got := p.next(); p.err == nil && got != c {
		p.fail("%q where %q must be", got, c)
	}
}

func (p *parser) word() string {
	var b strings.Builder
	for c := p.peek(); c > ' ' && c != '(' && c != ')' && c != '"' && c != '{' && c != 0x7f; c = p.peek() {
		b.WriteByte(p.next())
	}
	return b.String()
}

func (p *parser) response() *Response {
	r := &Response{Tag: p.word()}
	if r.Tag == "" {
		p.fail("a response without a tag")
	}
	if r.Tag == "+" {
		r.Text = p.rest()
		return r
	}
	p.want(' ')
	r.Name = strings.ToUpper(p.word())
	if n, err := strconv.ParseUint(r.Name, 10, 32); err == nil {
		r.Number = uint32(n)
		p.want(' ')
		r.Name = strings.ToUpper(p.word())
	}
	switch r.Name {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		p.want(' ')
		if p.peek() == '[' {
			p.next()
			r.Code = p.until(']')
			if len(r.Code) == 0 {
				p.fail("an empty code")
			}
			if p.peek() == ' ' {
				p.next()
			}
		}
		r.Text = p.rest()
		return r
	case "":
		p.fail("a response without a name")
	}
	r.Args = p.until('\r')
	p.want('\n')
	return r
}

// rest is what people read, up to the end of the line (RFC 9051 section 7.1: at
// least one octet, where old clients break on none).
func (p *parser) rest() string {
	var b strings.Builder
	for c := p.next(); p.err == nil; c = p.next() {
		if c == '\r' {
			p.want('\n')
			break
		}
		if c == 0 || c == '\n' {
			p.fail("octet %#x in a text", c)
		}
		b.WriteByte(c)
	}
	return b.String()
}

// until reads nodes up to and with the octet end.
func (p *parser) until(end byte) (nodes []Node) {
	if p.depth++; p.depth > 200 {
		p.fail("lists too deep")
	}
	defer func() { p.depth-- }()
	for p.err == nil {
		switch c := p.peek(); {
		case c == end:
			p.next()
			return nodes
		case c == ' ':
			p.next()
			if c := p.peek(); (c == ' ' || c == end) && end != '\r' {
				p.fail("a stray space")
			}
		default:
			nodes = append(nodes, p.node(end))
		}
	}
	return nodes
}

func (p *parser) node(end byte) Node {
	switch c := p.peek(); {
	case c == '(':
		p.next()
		return Node{Kind: List, List: p.until(')')}
	case c == '"':
		return Node{Kind: String, Text: p.quoted()}
	case c == '{' || c == '~':
		return Node{Kind: String, Text: p.literal()}
	case c <= ' ' || c == ')' || c == 0x7f:
		p.fail("octet %q where a value must be", c)
		return Node{}
	}
	return Node{Text: p.atom(end)}
}

func (p *parser) quoted() string {
	p.next()
	var b strings.Builder
	for c := p.next(); p.err == nil && c != '"'; c = p.next() {
		if c == '\\' {
			if c = p.next(); c != '"' && c != '\\' {
				p.fail("a needless backslash")
			}
		}
		if c == 0 || c == '\r' || c == '\n' {
			p.fail("octet %#x in a quoted string", c)
		}
		b.WriteByte(c)
	}
	return b.String()
}

func (p *parser) literal() string {
	binary := p.peek() == '~'
	if binary {
		p.next()
	}
	p.want('{')
	var digits []byte
	for c := p.next(); p.err == nil && c != '}'; c = p.next() {
		digits = append(digits, c)
	}
	p.want('\r')
	p.want('\n')
	n, err := strconv.ParseUint(string(digits), 10, 32)
	if err != nil || n > maxLiteral {
		p.fail("a literal of %q octets", digits)
		return ""
	}
	b := make([]byte, n)
	if p.err == nil {
		_, p.err = io.ReadFull(p.in, b)
	}
	if !binary && strings.IndexByte(string(b), 0) >= 0 {
		p.fail("NUL in a literal")
	}
	return string(b)
}

// atom reads one, with the section of BODY[...] in it.
func (p *parser) atom(end byte) string {
	var b strings.Builder
	for c := p.peek(); p.err == nil && c > ' ' && c != '(' && c != ')' && c != '"' && c != '{' && c != end && c != 0x7f; c = p.peek() {
		b.WriteByte(p.next())
		if c != '[' || end == ']' {
			continue
		}
		for p.err == nil && c != ']' {
			if c = p.peek(); c == '"' {
				b.WriteString(strconv.Quote(p.quoted()))
				continue
			}
			if c = p.next(); c < ' ' {
				p.fail("octet %#x in a section", c)
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}
