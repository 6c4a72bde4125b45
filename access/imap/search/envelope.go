package search

import "bytes"

// envelope takes the value of ENVELOPE apart, as the store has made it: balanced,
// with quoted strings, literals and NIL.
type envelope struct{ rest []byte }

// Places of values in an envelope (RFC 9051 section 7.5.2).
const (
	envelopeFrom = 2
	envelopeTo   = 5
	envelopeCC   = 6
)

// skip passes a value.
func (e *envelope) skip() {
	depth := 0
	for len(e.rest) > 0 {
		switch e.rest[0] {
		case ' ':
			e.rest = e.rest[1:]
			continue
		case '(':
			depth++
			e.rest = e.rest[1:]
			continue
		case ')':
			depth--
			e.rest = e.rest[1:]
		default:
			e.string(nil)
		}
		if depth <= 0 {
			return
		}
	}
}

// string takes the string that comes next and appends it to what dst points to, if it
// does. NIL, and what is none, is empty.
func (e *envelope) string(dst *[]byte) {
	p := bytes.TrimLeft(e.rest, " ")
	switch {
	case len(p) == 0:
		e.rest = nil
	case p[0] == '"':
		n := 1
		for ; n < len(p) && p[n] != '"'; n++ {
			if p[n] == '\\' && n+1 < len(p) {
				n++
			}
			if dst != nil {
				*dst = append(*dst, p[n])
			}
		}
		e.rest = p[min(n+1, len(p)):]
	case p[0] == '{':
		size, n := 0, 1
		for ; n < len(p) && digit(p[n]) && size < len(p); n++ {
			size = size*10 + int(p[n]-'0')
		}
		text := p[min(n+len("}\r\n"), len(p)):]
		size = min(size, len(text))
		if dst != nil {
			*dst = append(*dst, text[:size]...)
		}
		e.rest = text[size:]
	default:
		n := bytes.IndexAny(p, " ()")
		if n < 0 {
			n = len(p)
		}
		e.rest = p[max(n, 1):]
	}
}

// address is an address of an envelope. That of a group has its name as the mailbox,
// and no host.
type address struct{ name, box, host []byte }

// read takes the first address of the list at a place in an envelope. Its memory is
// used again.
func (a *address) read(env []byte, place int) {
	a.name, a.box, a.host = a.name[:0], a.box[:0], a.host[:0]
	if len(env) == 0 {
		return
	}
	e := envelope{env[1:]}
	for range place {
		e.skip()
	}
	p := bytes.TrimLeft(e.rest, " ")
	if !bytes.HasPrefix(p, []byte("((")) {
		return
	}
	e.rest = p[2:]
	e.string(&a.name)
	e.skip() // source route
	e.string(&a.box)
	e.string(&a.host)
}
