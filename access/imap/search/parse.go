package search

import (
	"golang.org/x/text/encoding"

	"postrider/access/imapwire"
)

// parser reads a program. It keeps a stack of its own, so that what a stranger nests
// is no recursion.
type parser struct {
	*Program
	d       *imapwire.Decoder
	charset encoding.Encoding
	stack   []frame
	depth   int // of nodes
	scratch []byte
}

// frame is a key that is not complete.
type frame struct {
	node    int32
	last    int32 // its last child
	missing int8  // keys that an OR still needs; negative: as many as there are
	paren   bool
	shared  bool // node is that of the frame before
}

// Parse reads the keys that are all that is left in d; their strings are in charset,
// nil: UTF-8.
func (p *Program) Parse(d *imapwire.Decoder, charset encoding.Encoding) error {
	p.reset()
	ps := parser{Program: p, d: d, charset: charset}
	p.nodes = append(p.nodes, node{op: opAnd})
	ps.stack = append(ps.stack, frame{missing: -1})
	for {
		if err := ps.key(); err != nil {
			return err
		}
		if done, err := ps.after(); done || err != nil {
			p.seal()
			return err
		}
	}
}

// top returns the frame that the next key belongs to.
func (p *parser) top() *frame { return &p.stack[len(p.stack)-1] }

// key reads a key, or how one begins that holds others.
func (p *parser) key() error {
	for {
		not := false
		for p.word("NOT") {
			if not = !not; !p.d.SP() {
				return ErrSyntax
			}
		}
		switch {
		case p.d.Peek() == '(':
			if !p.d.Enter() {
				return ErrTooDeep
			}
			if err := p.open(opAnd, not, frame{missing: -1, paren: true}); err != nil {
				return err
			}
		case p.word("OR"):
			if !p.d.SP() {
				return ErrSyntax
			}
			if err := p.open(opOr, not, frame{missing: 2}); err != nil {
				return err
			}
		default:
			return p.leaf(not)
		}
	}
}

// word takes a word in capitals that is followed by a space.
func (p *parser) word(upper string) bool {
	rest := p.d.Rest()
	if len(rest) <= len(upper) || rest[len(upper)] != ' ' || !imapwire.Is(rest[:len(upper)], upper) {
		return false
	}
	p.d.Seek(p.d.Offset() + len(upper))
	return true
}

// open begins a key with keys in it. One like that which it is in becomes a part of
// that, so that chains of OR, of whatever shape, are one node.
func (p *parser) open(o op, not bool, f frame) error {
	in := p.top()
	if f.node = in.node; !not && p.nodes[in.node].op == o {
		f.shared, f.last = true, in.last
	} else {
		if p.depth++; p.depth > MaxDepth {
			return ErrTooDeep
		}
		i, err := p.add(node{op: o, not: not})
		if err != nil {
			return err
		}
		f.node = i
	}
	p.stack = append(p.stack, f)
	return nil
}

// add appends a node as the next child of the top frame.
func (p *parser) add(n node) (int32, error) {
	if len(p.nodes) > MaxKeys {
		return 0, ErrTooMany
	}
	i := int32(len(p.nodes))
	p.nodes = append(p.nodes, n)
	f := p.top()
	if f.last == 0 {
		p.nodes[f.node].first = i
	} else {
		p.nodes[f.last].next = i
	}
	f.last = i
	return i, nil
}

// after goes on behind a key: it closes what is complete, and takes the space before
// the next one. It reports the end.
func (p *parser) after() (done bool, err error) {
	for {
		f := p.top()
		switch {
		case f.missing > 0:
			f.missing--
		case f.missing == 0:
			return false, ErrSyntax
		}
		switch {
		case f.missing != 0 && p.d.SP():
			return false, nil
		case f.missing > 0:
			return false, ErrSyntax
		case f.paren:
			if !p.d.Leave() {
				return false, ErrSyntax
			}
		case f.missing < 0:
			if !p.d.End() {
				return false, ErrSyntax
			}
			return true, nil
		}
		p.close()
	}
}

// close takes the top frame away.
func (p *parser) close() {
	f := *p.top()
	p.stack = p.stack[:len(p.stack)-1]
	if f.shared {
		p.top().last = f.last
	} else {
		p.depth--
	}
}
